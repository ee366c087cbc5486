//! Conditional requests and ranges (RFC 9110, sections 13 and 14), over plain strings.

use std::ops::Range;

/// Whether a list of entity tags (`If-Match`, `If-None-Match`) has `tag`, or is `*`. `weak`: whether tags
/// that differ only in `W/` count as the same (section 8.8.3.2).
pub fn lists(list: &str, tag: &str, weak: bool) -> bool {
    list.trim() == "*" || tags(list).any(|other| same(other, tag, weak))
}

fn same(a: &str, b: &str, weak: bool) -> bool {
    if weak { opaque(a) == opaque(b) } else { a == b && !a.starts_with("W/") }
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The tags of a list. A comma may stand inside a tag, so it is not split at commas.
pub fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest.trim_start_matches([' ', '\t', ',']);
        let quote = opaque(start).strip_prefix('"')?;
        let prefix = start.len() - quote.len();
        let end = prefix + quote.find('"')? + 1;
        rest = &start[end..];
        Some(&start[..end])
    })
}

/// What a `Range` asks of a representation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeAsk {
    /// Nothing that we do: another unit, several ranges, malformed. All of it is sent (section 14.2).
    Whole,
    /// These bytes.
    Part(Range<usize>),
    /// Bytes that there are not.
    Beyond,
}

/// Reads the value of a `Range` field for a representation of `length` bytes.
pub fn range(field: &str, length: usize) -> RangeAsk {
    let Some(spec) = field.trim().strip_prefix("bytes=").map(str::trim) else { return RangeAsk::Whole };
    let Some((first, last)) = spec.split_once('-') else { return RangeAsk::Whole };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than a usize has: as large as can be.
    let number = |text: &str| text.parse::<usize>().unwrap_or(usize::MAX);
    match (first, last) {
        ("", suffix) if digits(suffix) => match number(suffix).min(length) {
            0 => RangeAsk::Beyond,
            count => RangeAsk::Part(length - count..length),
        },
        (first, "") if digits(first) && number(first) < length => RangeAsk::Part(number(first)..length),
        (first, last) if digits(first) && digits(last) && number(first) <= number(last) => {
            if number(first) < length {
                RangeAsk::Part(number(first)..number(last).saturating_add(1).min(length))
            } else {
                RangeAsk::Beyond
            }
        }
        (first, "") if digits(first) => RangeAsk::Beyond,
        _ => RangeAsk::Whole,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            assert_eq!((lists(list, "\"a\"", true), lists(list, "\"a\"", false)), (weak, strong), "{list}");
        }
        assert!(lists("\"a\"", "W/\"a\"", true) && !lists("W/\"a\"", "W/\"a\"", false));
    }

    #[test]
    fn one_range_of_bytes_is_done_and_anything_else_gets_all() {
        use RangeAsk::{Beyond, Part, Whole};
        for (field, ask) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=2-5", Part(2..6)),
            ("bytes=2-99", Part(2..10)),
            ("bytes=4-", Part(4..10)),
            ("bytes=-3", Part(7..10)),
            ("bytes=-99", Part(0..10)),
            ("bytes=0-99999999999999999999999999", Part(0..10)),
            ("bytes=10-", Beyond),
            ("bytes=10-12", Beyond),
            ("bytes=-0", Beyond),
            ("bytes=5-2", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("lines=0-1", Whole),
            ("", Whole),
        ] {
            assert_eq!(range(field, 10), ask, "{field}");
        }
        assert_eq!((range("bytes=0-", 0), range("bytes=-1", 0)), (Beyond, Beyond));
    }

    proptest! {
        #[test]
        fn a_part_always_lies_inside_and_is_never_empty(field in "bytes=[0-9-]{0,22}|\\PC*", length in 0_usize..100) {
            if let RangeAsk::Part(part) = range(&field, length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }

        #[test]
        fn any_list_is_read_without_harm(list in "[W/\", a*]{0,30}") {
            let _ = (lists(&list, "\"a\"", true), lists(&list, "\"a\"", false));
        }
    }
}
