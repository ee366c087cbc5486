//! What `Cache-Control` says (RFC 9111, section 5.2), of requests and of responses, and the field that
//! speaks to caches like this one alone, `CDN-Cache-Control` (RFC 9213).

use hyper::HeaderMap;
use hyper::header::{CACHE_CONTROL, HeaderName, PRAGMA};

use crate::web::list::members;

/// Times beyond this are this (RFC 9111, section 1.2.2).
pub const SECONDS_MAX: u64 = 1 << 31;
/// RFC 9213, section 3.1.
const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// The directives that mean something here; others are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Control {
    pub no_store: bool,
    /// Also where only a field is named: to leave a field out is allowed, to leave all out is simpler.
    pub no_cache: bool,
    /// Likewise.
    pub private: bool,
    pub public: bool,
    pub must_revalidate: bool,
    pub proxy_revalidate: bool,
    pub must_understand: bool,
    pub only_if_cached: bool,
    pub max_age: Option<u64>,
    pub s_maxage: Option<u64>,
    pub min_fresh: Option<u64>,
    /// Without a value any staleness will do: [`SECONDS_MAX`].
    pub max_stale: Option<u64>,
    pub stale_while_revalidate: Option<u64>,
    pub stale_if_error: Option<u64>,
}

impl Control {
    /// A request's. `Pragma: no-cache` counts where there is no Cache-Control (section 5.4).
    pub fn of_request(headers: &HeaderMap) -> Self {
        if headers.contains_key(CACHE_CONTROL) {
            return Self::of_fields(headers);
        }
        let pragma = |value: &[u8]| value.eq_ignore_ascii_case(b"no-cache");
        let no_cache = headers.get(PRAGMA).is_some_and(|value| pragma(value.as_bytes().trim_ascii()));
        Self { no_cache, ..Self::default() }
    }

    /// A response's, and whether a targeted field spoke: then `Expires` is to be ignored with the rest
    /// (RFC 9213, section 2.2).
    pub fn of_response(headers: &HeaderMap) -> (Self, bool) {
        match targeted(headers) {
            Some(control) => (control, true),
            None => (Self::of_fields(headers), false),
        }
    }

    fn of_fields(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        for value in headers.get_all(CACHE_CONTROL) {
            for directive in members(value.as_bytes()) {
                let (name, argument) = match directive.iter().position(|byte| *byte == b'=') {
                    Some(at) => (&directive[..at], Some(unquoted(&directive[at + 1..]))),
                    None => (directive, None),
                };
                control.take(name, argument);
            }
        }
        control
    }

    fn take(&mut self, name: &[u8], argument: Option<&[u8]>) {
        let flag = match name.to_ascii_lowercase().as_slice() {
            b"no-store" => &mut self.no_store,
            b"no-cache" => &mut self.no_cache,
            b"private" => &mut self.private,
            b"public" => &mut self.public,
            b"must-revalidate" => &mut self.must_revalidate,
            b"proxy-revalidate" => &mut self.proxy_revalidate,
            b"must-understand" => &mut self.must_understand,
            b"only-if-cached" => &mut self.only_if_cached,
            name => return self.take_time(name, argument),
        };
        *flag = true;
    }

    /// Of directives that stand twice the first counts (section 4.2.1). A time that is none is zero: a
    /// response whose freshness cannot be read is stale.
    fn take_time(&mut self, name: &[u8], argument: Option<&[u8]>) {
        let (time, unless_valid) = match name {
            b"max-age" => (&mut self.max_age, 0),
            b"s-maxage" => (&mut self.s_maxage, 0),
            b"stale-while-revalidate" => (&mut self.stale_while_revalidate, 0),
            b"stale-if-error" => (&mut self.stale_if_error, 0),
            b"min-fresh" => (&mut self.min_fresh, SECONDS_MAX),
            b"max-stale" => (&mut self.max_stale, if argument.is_none() { SECONDS_MAX } else { 0 }),
            _ => return,
        };
        time.get_or_insert(argument.and_then(seconds).unwrap_or(unless_valid));
    }
}

/// A delta-seconds: digits, too many of which are [`SECONDS_MAX`].
pub fn seconds(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let digit =
        |so_far: u64, byte: &u8| byte.is_ascii_digit().then(|| (so_far * 10 + u64::from(byte - b'0')).min(SECONDS_MAX));
    text.iter().try_fold(0, digit)
}

fn unquoted(argument: &[u8]) -> &[u8] {
    argument.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(argument)
}

/// RFC 9213, section 2.1: a dictionary (RFC 8941, section 3.2) or nothing at all; none if it is empty.
fn targeted(headers: &HeaderMap) -> Option<Control> {
    let mut control = Control::default();
    let mut count = 0;
    for value in headers.get_all(&CDN_CACHE_CONTROL) {
        for member in members(value.as_bytes()) {
            count += 1;
            let (name, argument) = match member.iter().position(|byte| *byte == b'=') {
                Some(at) => (&member[..at], Some(&member[at + 1..])),
                None => (member, None),
            };
            let key = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(byte);
            let begins = name.first().is_some_and(|byte| byte.is_ascii_lowercase() || *byte == b'*');
            if !begins || !name.iter().all(key) || !argument.is_none_or(is_item) {
                return None;
            }
            let timed = matches!(name, b"max-age" | b"s-maxage" | b"stale-while-revalidate" | b"stale-if-error");
            if timed && argument.and_then(seconds).is_none() {
                return None;
            }
            control.take(name, argument);
        }
    }
    (count > 0).then_some(control)
}

/// Whether it is an integer, a token, a boolean or a string of RFC 8941, section 3.3.
fn is_item(value: &[u8]) -> bool {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(byte);
    match value {
        [b'"', inner @ .., b'"'] => !inner.contains(&b'"') && inner.iter().all(|byte| (b' '..0x7f).contains(byte)),
        b"?0" | b"?1" => true,
        [b'-', digits @ ..] => (1..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        [first, ..] if first.is_ascii_digit() => value.len() <= 15 && value.iter().all(u8::is_ascii_digit),
        [first, rest @ ..] => (first.is_ascii_alphabetic() || *first == b'*') && rest.iter().all(token),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn fields(name: HeaderName, lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name.clone(), HeaderValue::from_bytes(line).expect("a field's value"));
        }
        headers
    }

    fn parsed(line: &str) -> Control {
        Control::of_response(&fields(CACHE_CONTROL, &[line.as_bytes()])).0
    }

    #[test]
    fn directives_are_read_without_regard_to_case_and_not_inside_of_quotes() {
        assert_eq!(parsed("MaX-aGe=3600, PUBLIC"), Control { max_age: Some(3600), public: true, ..Control::default() });
        assert_eq!(parsed(r#"x="max-age=9, no-store", max-age=1"#).max_age, Some(1));
        assert!(!parsed(r#"x="a\", no-store""#).no_store);
        assert_eq!(parsed(r#"max-age="60""#).max_age, Some(60));
        assert!(parsed(r#"private="set-cookie", max-age=60"#).private);
    }

    #[test]
    fn of_two_times_the_first_counts_and_one_that_is_no_time_is_none() {
        assert_eq!(parsed("max-age=1, max-age=1800").max_age, Some(1));
        for wrong in ["-1", "1.5", "'60'", "a60", "", " 60"] {
            assert_eq!(parsed(&format!("max-age={wrong}")).max_age, Some(0), "{wrong:?}");
        }
        assert_eq!(parsed("max-age").max_age, Some(0));
    }

    #[test]
    fn pragma_counts_only_where_there_is_no_cache_control() {
        let mut headers = fields(PRAGMA, &[b"no-cache"]);
        assert!(Control::of_request(&headers).no_cache);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=5"));
        assert!(!Control::of_request(&headers).no_cache);
    }

    #[test]
    fn the_targeted_field_goes_before_the_general_one_if_it_is_a_dictionary() {
        let with = |line: &str| {
            let mut headers = fields(CACHE_CONTROL, &[b"no-store"]);
            headers.insert(CDN_CACHE_CONTROL, HeaderValue::from_str(line).expect("a value"));
            Control::of_response(&headers)
        };
        assert_eq!(with("max-age=60"), (Control { max_age: Some(60), ..Control::default() }, true));
        for ignored in ["", "max-age=60, &&&&&", r#"max-age="60""#, "Max-Age=60", "max-age =60", "max-age= 60"] {
            let (control, spoke) = with(ignored);
            assert!(control.no_store && !spoke, "{ignored:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_field_says_reading_it_never_panics_and_times_are_bounded(
            lines in prop::collection::vec(prop::collection::vec(0x20_u8..0x7f, 0..80), 0..4),
        ) {
            let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            for name in [CACHE_CONTROL, CDN_CACHE_CONTROL] {
                let (control, _) = Control::of_response(&fields(name, &lines));
                prop_assert!(control.max_age.is_none_or(|age| age <= SECONDS_MAX));
                prop_assert!(control.s_maxage.is_none_or(|age| age <= SECONDS_MAX));
            }
        }

        #[test]
        fn a_number_of_seconds_is_itself_up_to_the_bound(number in "[0-9]{1,40}") {
            let expected = number.parse::<u64>().unwrap_or(SECONDS_MAX).min(SECONDS_MAX);
            prop_assert_eq!(seconds(number.as_bytes()), Some(expected));
        }

        #[test]
        fn the_first_of_several_times_counts_on_one_line_and_on_many(
            times in prop::collection::vec(0..SECONDS_MAX, 1..5),
        ) {
            let each: Vec<String> = times.iter().map(|time| format!("max-age={time}")).collect();
            let many: Vec<&[u8]> = each.iter().map(String::as_bytes).collect();
            let one = each.join(", ");
            prop_assert_eq!(Control::of_response(&fields(CACHE_CONTROL, &many)).0.max_age, Some(times[0]));
            prop_assert_eq!(parsed(&one).max_age, Some(times[0]));
        }
    }
}
