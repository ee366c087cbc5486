//! Entity-tags (RFC 9110, section 8.8.3).

use super::list;
use super::secret;

/// A strong one: another body has another tag.
pub fn strong(body: &[u8]) -> String {
    // 16 bytes of SHA-256: nobody finds two bodies with one tag.
    format!("\"{}\"", secret::hex(&secret::sha256(body)[..16]))
}

/// Whether a line of If-None-Match names `tag` or any, by weak comparison.
pub fn names(line: &[u8], tag: Option<&[u8]>) -> bool {
    let tag = tag.map(opaque);
    list::members(line).any(|named| named == b"*" || tag == Some(opaque(named)))
}

/// Whether two are the same by weak comparison.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    opaque(a) == opaque(b)
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list_weak_or_strong() {
        for line in [r#""a""#, r#"W/"a""#, r#""x,", "a""#, "*"] {
            assert!(names(line.as_bytes(), Some(br#"W/"a""#)), "{line}");
        }
        assert!(!names(br#""x", "y""#, Some(br#""a""#)) && !names(br#""a""#, None));
        assert_ne!(strong(b"a"), strong(b"b"));
    }
}
