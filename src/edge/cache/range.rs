//! A part of a stored response (RFC 9110, section 14).

use std::ops::Range;

use hyper::HeaderMap;
use hyper::header::{ETAG, IF_RANGE, LAST_MODIFIED, RANGE};

/// What to send of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    Part(Range<usize>),
    /// 416: nothing of it is there.
    Nothing,
}

/// What `request` wants of a body of `length` bytes that came with `stored`. Several ranges, other units and
/// what cannot be read are answered with the whole, which section 14.2 allows.
pub fn wanted(request: &HeaderMap, stored: &HeaderMap, length: usize) -> Wanted {
    let Some(range) = request.get(RANGE).and_then(|range| range.to_str().ok()) else { return Wanted::Whole };
    if !still_is(request, stored) {
        return Wanted::Whole;
    }
    parse(range, length).unwrap_or(Wanted::Whole)
}

/// If-Range (section 13.1.5): a strong tag or the very date, or else the whole.
fn still_is(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let Some(condition) = request.get(IF_RANGE) else { return true };
    let is = |name| stored.get(name) == Some(condition);
    if condition.as_bytes().starts_with(b"\"") { is(ETAG) } else { is(LAST_MODIFIED) }
}

fn parse(range: &str, length: usize) -> Option<Wanted> {
    let (unit, set) = range.split_once('=')?;
    let (first, last) = set.trim().split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") || set.contains(',') {
        return None;
    }
    let part = if first.is_empty() {
        length.saturating_sub(number(last)?)..length
    } else {
        let last = if last.is_empty() { usize::MAX } else { number(last)? };
        let first = number(first)?;
        if last < first {
            return None;
        }
        first..last.saturating_add(1).min(length)
    };
    Some(if part.start < part.end { Wanted::Part(part) } else { Wanted::Nothing })
}

/// Digits; more than fit are the largest that does.
fn number(digits: &str) -> Option<usize> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_ten(range: &str) -> Wanted {
        let mut request = HeaderMap::new();
        request.insert(RANGE, range.parse().expect("a value"));
        wanted(&request, &HeaderMap::new(), 10)
    }

    #[test]
    fn one_range_is_a_part_and_everything_else_the_whole() {
        assert_eq!(of_ten("bytes=0-1"), Wanted::Part(0..2));
        assert_eq!(of_ten("Bytes=8-"), Wanted::Part(8..10));
        assert_eq!(of_ten("bytes=-3"), Wanted::Part(7..10));
        assert_eq!(of_ten("bytes=-30"), Wanted::Part(0..10));
        assert_eq!(of_ten("bytes=5-99999999999999999999999"), Wanted::Part(5..10));
        for whole in ["bytes=0-1,3-4", "items=0-1", "bytes=2-1", "bytes=a-", "bytes=--1", "bytes=-"] {
            assert_eq!(of_ten(whole), Wanted::Whole, "{whole}");
        }
        assert_eq!((of_ten("bytes=10-"), of_ten("bytes=-0")), (Wanted::Nothing, Wanted::Nothing));
    }

    #[test]
    fn a_part_of_another_version_is_not_sent() {
        let mut request = HeaderMap::new();
        request.insert(RANGE, "bytes=0-1".parse().expect("a value"));
        let mut stored = HeaderMap::new();
        stored.insert(ETAG, "\"a\"".parse().expect("a value"));
        for (condition, expected) in
            [("\"a\"", Wanted::Part(0..2)), ("\"b\"", Wanted::Whole), ("W/\"a\"", Wanted::Whole)]
        {
            request.insert(IF_RANGE, condition.parse().expect("a value"));
            assert_eq!(wanted(&request, &stored, 10), expected, "{condition}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_whole(range in "bytes=[0-9]{0,21}-[0-9]{0,21}", length in 0_usize..1_000) {
            let mut request = HeaderMap::new();
            request.insert(RANGE, range.parse().expect("a value"));
            if let Wanted::Part(part) = wanted(&request, &HeaderMap::new(), length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }
    }
}
