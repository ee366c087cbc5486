//! Conditions (RFC 9110, section 13): a client's, answered from the store, and our own to the origin
//! (RFC 9111, section 4.3).

use hyper::HeaderMap;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, HeaderName,
    HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};

use super::freshness::date;
use crate::web::etag::{self, Comparison};
use crate::web::range::{self, RangeAsk};

/// What describes a body, which a 304 doesn't have (RFC 9110, section 15.4.5).
const OF_A_BODY: [HeaderName; 5] = [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE];

/// Whether the origin can be asked if a response has changed.
pub fn has_validator(headers: &HeaderMap) -> bool {
    headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED)
}

/// Whether a request says under what condition it wants its answer.
pub fn is_conditional(request: &HeaderMap) -> bool {
    request.contains_key(IF_NONE_MATCH) || request.contains_key(IF_MODIFIED_SINCE)
}

/// Conditions about the state that the origin alone knows (RFC 9111, section 4.3.2).
pub fn is_for_the_origin(request: &HeaderMap) -> bool {
    request.contains_key(IF_MATCH) || request.contains_key(IF_UNMODIFIED_SINCE)
}

/// Asks for `stored` if it has changed, whatever the client's own condition was.
pub fn ask_for_change(request: &mut HeaderMap, stored: &HeaderMap) {
    ask_for_all(request);
    for (condition, validator) in [(IF_NONE_MATCH, ETAG), (IF_MODIFIED_SINCE, LAST_MODIFIED)] {
        if let Some(value) = stored.get(validator) {
            request.insert(condition, value.clone());
        }
    }
}

/// Asks for the whole without a condition.
pub fn ask_for_all(request: &mut HeaderMap) {
    for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE, RANGE] {
        request.remove(name);
    }
}

/// Whether a 304 with `news` is about `stored`: it names no other version (RFC 9111, section 4.3.4).
pub fn is_about(news: &HeaderMap, stored: &HeaderMap) -> bool {
    match (news.get(ETAG), stored.get(ETAG)) {
        (Some(new), Some(old)) => etag::same(new.as_bytes(), old.as_bytes(), Comparison::Weak),
        _ => true,
    }
}

/// Whether a HEAD's answer shows that what is stored is still what a GET would bring (section 4.3.5).
pub fn head_agrees(news: &HeaderMap, stored: &HeaderMap) -> bool {
    let same = |name| news.get(&name).is_none_or(|new| stored.get(&name) == Some(new));
    same(ETAG) && same(LAST_MODIFIED) && same(CONTENT_LENGTH)
}

/// Whether the client's own copy will do (RFC 9110, section 13.2.2): If-None-Match goes before
/// If-Modified-Since.
pub fn not_modified(request: &HeaderMap, stored: &HeaderMap) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let tag = stored.get(ETAG).map_or(&b""[..], HeaderValue::as_bytes);
        return request.get_all(IF_NONE_MATCH).iter().any(|line| etag::lists(line.as_bytes(), tag, Comparison::Weak));
    }
    let since = date(request.get(IF_MODIFIED_SINCE));
    let changed = date(stored.get(LAST_MODIFIED)).or_else(|| date(stored.get(DATE)));
    matches!((since, changed), (Some(since), Some(changed)) if changed <= since)
}

/// What `request` wants of a body of `length` bytes that came with `stored`.
pub fn part(request: &HeaderMap, stored: &HeaderMap, length: usize) -> RangeAsk {
    match request.get(RANGE).and_then(|range| range.to_str().ok()) {
        Some(field) if still_is(request, stored) => range::range(field, length),
        _ => RangeAsk::Whole,
    }
}

/// If-Range (RFC 9110, section 13.1.5): a strong tag or the very date, or else the whole.
fn still_is(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let Some(condition) = request.get(IF_RANGE) else { return true };
    let is = |name| stored.get(name) == Some(condition);
    if condition.as_bytes().starts_with(b"\"") { is(ETAG) } else { is(LAST_MODIFIED) }
}

/// Takes out of the head of a 304 what it does not have.
pub fn strip_body_fields(headers: &mut HeaderMap) {
    for name in OF_A_BODY {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn a_tag_in_the_list_makes_it_not_modified_and_goes_before_the_date() {
        let stored = head(&[("etag", "W/\"a,b\""), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        for matching in ["\"a,b\"", "\"x\", W/\"a,b\"", "*"] {
            let mut request = head(&[("if-modified-since", "Sat, 05 Nov 1994 08:49:37 GMT")]);
            assert!(!not_modified(&request, &stored));
            request.insert(IF_NONE_MATCH, matching.parse().expect("a value"));
            assert!(not_modified(&request, &stored), "{matching}");
        }
        let other = head(&[("if-none-match", "\"x\""), ("if-modified-since", "Mon, 07 Nov 1994 08:49:37 GMT")]);
        assert!(!not_modified(&other, &stored));
    }

    #[test]
    fn a_part_of_another_version_is_not_sent() {
        let stored = head(&[("etag", "\"a\"")]);
        for (condition, expected) in
            [("\"a\"", RangeAsk::Part(0..2)), ("\"b\"", RangeAsk::Whole), ("W/\"a\"", RangeAsk::Whole)]
        {
            let mut request = head(&[("range", "bytes=0-1")]);
            assert_eq!(part(&request, &stored, 10), RangeAsk::Part(0..2));
            request.insert(IF_RANGE, condition.parse().expect("a value"));
            assert_eq!(part(&request, &stored, 10), expected, "{condition}");
        }
    }

    #[test]
    fn a_date_is_compared_in_whatever_format_it_came() {
        let stored = head(&[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        for since in ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Mon, 07 Nov 1994 08:49:37 GMT"] {
            assert!(not_modified(&head(&[("if-modified-since", since)]), &stored), "{since}");
        }
        assert!(!not_modified(&head(&[("if-modified-since", "yesterday")]), &stored));
    }
}
