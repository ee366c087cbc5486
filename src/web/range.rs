//! Parts of a representation (RFC 9110, section 14).

use std::ops::Range;

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
    let Some((unit, spec)) = field.trim().split_once('=') else { return RangeAsk::Whole };
    let Some((first, last)) = spec.trim().split_once('-') else { return RangeAsk::Whole };
    // Section 14.1: the names of units have no case.
    if !unit.eq_ignore_ascii_case("bytes") {
        return RangeAsk::Whole;
    }
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
    fn one_range_of_bytes_is_done_and_anything_else_gets_all() {
        use RangeAsk::{Beyond, Part, Whole};
        for (field, ask) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=2-5", Part(2..6)),
            ("bytes=2-99", Part(2..10)),
            ("bytes=4-", Part(4..10)),
            ("Bytes=8-", Part(8..10)),
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
    }
}
