//! Entity-tags (RFC 9110, section 8.8.3).

use super::secret;

/// Whether tags that differ only in `W/` are the same (section 8.8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Weak,
    Strong,
}

/// A strong one: another body has another tag.
pub fn strong(body: &[u8]) -> String {
    // 16 bytes of SHA-256: nobody finds two bodies with one tag.
    format!("\"{}\"", secret::hex(&secret::sha256(body)[..16]))
}

/// Whether a line of `If-Match` or `If-None-Match` has `tag`, or is `*`. An empty tag is in no list.
pub fn lists(line: &[u8], tag: &[u8], by: Comparison) -> bool {
    line.trim_ascii() == b"*" || tags(line).any(|other| same(other, tag, by))
}

pub fn same(a: &[u8], b: &[u8], by: Comparison) -> bool {
    match by {
        Comparison::Weak => opaque(a) == opaque(b),
        Comparison::Strong => a == b && !a.starts_with(b"W/"),
    }
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The tags of a list. A comma may stand inside a tag, and a backslash is a character like any other there, so
/// it is no list of quoted strings.
pub fn tags(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let skipped = rest.iter().take_while(|byte| b" \t,".contains(byte)).count();
        let start = &rest[skipped..];
        let quoted = opaque(start).strip_prefix(b"\"")?;
        let end = start.len() - quoted.len() + quoted.iter().position(|byte| *byte == b'"')? + 1;
        rest = &start[end..];
        Some(&start[..end])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Comparison::{Strong, Weak};
    use super::*;

    #[test]
    fn a_list_of_tags_is_compared_weakly_or_strongly() {
        for (list, weak, strong) in [
            ("\"a\"", true, true),
            ("*", true, true),
            ("W/\"a\"", true, false),
            ("\"b\", \"x,y\" ,\"a\"", true, true),
            ("\"b,\"a\"", false, false),
            ("\"b\"", false, false),
            ("a", false, false),
            ("", false, false),
            ("\"a", false, false),
        ] {
            assert_eq!(
                (lists(list.as_bytes(), b"\"a\"", Weak), lists(list.as_bytes(), b"\"a\"", Strong)),
                (weak, strong),
                "{list}"
            );
        }
        assert!(lists(b"\"a\"", b"W/\"a\"", Weak) && !lists(b"W/\"a\"", b"W/\"a\"", Strong));
        assert!(lists(br#""x\", "a""#, br#""a""#, Weak), "a backslash hides no quote");
        assert!(lists(b"*", b"", Weak) && !lists(b"\"\"", b"", Weak), "no tag");
        assert_ne!(strong(b"a"), strong(b"b"));
    }

    proptest! {
        #[test]
        fn any_list_is_read_without_harm(list: Vec<u8>) {
            let _ = (lists(&list, b"\"a\"", Weak), lists(&list, b"\"a\"", Strong));
        }
    }
}
