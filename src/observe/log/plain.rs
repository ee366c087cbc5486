//! Text that a terminal only shows, and that is one line, whoever wrote it (CWE-117: log injection).

use std::borrow::Cow;
use std::fmt::Write as _;

/// Longest text of one line; what is longer is cut, and says so.
pub const CHARS_MAX: usize = 2_048;

/// Whether it would end a line, move a cursor, or turn the direction of what follows (CVE-2021-42574).
fn is_active(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` with what is active written as an escape, and no longer than [`CHARS_MAX`].
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, CHARS_MAX, |_| false)
}

/// Likewise, to stand between quotes: those, and the backslash, are escaped, too.
pub fn quoted(text: &str, chars_max: usize) -> Cow<'_, str> {
    escaped(text, chars_max, |c| matches!(c, '"' | '\\'))
}

fn escaped(text: &str, chars_max: usize, also: impl Fn(char) -> bool) -> Cow<'_, str> {
    let short = text.len() <= chars_max || text.chars().nth(chars_max).is_none();
    if short && !text.chars().any(|c| is_active(c) || also(c)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len().min(chars_max) + 8);
    for c in text.chars().take(chars_max) {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if also(c) => shown.extend(['\\', c]),
            // Writing to a string does not fail.
            c if is_active(c) => _ = write!(shown, "\\u{{{:x}}}", u32::from(c)),
            c => shown.push(c),
        }
    }
    if !short {
        shown.push('…');
    }
    Cow::Owned(shown)
}

/// A JSON text in which nothing is active: JSON itself escapes only what is below U+0020 (RFC 8259, section 7), and
/// what is active stands in strings alone.
pub fn json(text: String) -> String {
    if !text.chars().any(is_active) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            // All of them are in the basic plane: one unit of UTF-16.
            c if is_active(c) => _ = write!(shown, "\\u{:04x}", u32::from(c)),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_one_line_and_only_shown() {
        assert_eq!(line("GET /a: fine"), "GET /a: fine");
        assert_eq!(line("a\r\nb\u{1b}[31m\u{9b}2J\u{2028}\u{202e}"), "a\\r\\nb\\u{1b}[31m\\u{9b}2J\\u{2028}\\u{202e}");
        assert_eq!(quoted("a\" 200 \"\\", 99), "a\\\" 200 \\\"\\\\");
        assert_eq!(quoted("äbcd", 3), "äbc…");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_bounded_and_inert(text in "\\PC*|[\\s\\S]*") {
            for shown in [line(&text), quoted(&text, 64)] {
                prop_assert!(!shown.chars().any(is_active), "{shown:?}");
            }
            prop_assert!(quoted(&text, 64).chars().count() <= 64 * 10 + 1);
            let document = json(serde_json::to_string(&text).expect("a text"));
            prop_assert!(!document.chars().any(is_active));
            prop_assert_eq!(serde_json::from_str::<String>(&document).expect("the same text"), text);
        }
    }
}
