//! Fields that are lists (RFC 9110, section 5.6.1).

/// The members of a line, commas in quoted strings left alone.
pub fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let members = line.split(move |byte| {
        let comma = *byte == b',' && !quoted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        comma
    });
    members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// The members of a line that has no quoted strings, the empty ones too. A quote hides no comma here: a field
/// such as `Connection` has none, and who writes one may mean to hide what comes after it.
pub fn tokens(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::members;

    #[test]
    fn a_comma_in_quotes_parts_nothing() {
        let all: Vec<&[u8]> = members(br#" a,, "b,\",c" ,d="#).collect();
        assert_eq!(all, [&b"a"[..], br#""b,\",c""#, b"d="]);
    }
}
