//! How old a response is, how long it is fresh, and what may be done with it after that (RFC 9111,
//! section 4.2; RFC 5861). Pure: the time is passed in.

use std::time::{Duration, SystemTime};

use hyper::header::{AGE, DATE, EXPIRES, HeaderValue, LAST_MODIFIED};
use hyper::{HeaderMap, StatusCode};

use super::control::{Control, seconds};
use crate::observe::clock::Tick;
use crate::web::list::members;

/// Statuses whose responses may be kept without being told so (RFC 9110, section 15.1). 206 is not kept here.
const HEURISTIC: [u16; 11] = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501];
/// No guess is longer (RFC 9111, section 4.2.2, leaves it to us). A file that is edited, behind a server that says
/// nothing about freshness, is to be seen within a minute.
const GUESS_MAX: Duration = Duration::from_secs(60);

/// A moment: on the clock that measures and on the one that `Date` is told by.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub tick: Tick,
    pub date: SystemTime,
}

impl Moment {
    pub fn now() -> Self {
        Self { tick: Tick::now(), date: SystemTime::now() }
    }
}

/// What a response says about its own freshness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    /// `corrected_initial_age` (section 4.2.3).
    initial_age: Duration,
    /// When the response came.
    received: Tick,
    pub lifetime: Duration,
    /// `no-cache`: never without asking.
    pub always_validate: bool,
    /// Beyond the lifetime, while somebody asks for a new one.
    while_revalidate: Duration,
    /// Beyond the lifetime, when nobody can be asked. None: what the configuration says.
    if_error: Option<Duration>,
    /// Beyond the lifetime, never: `must-revalidate` and `proxy-revalidate`.
    strict: bool,
    /// `s-maxage` means `proxy-revalidate`, too (section 5.2.2.10); but what is written out goes before that.
    shared_only: bool,
}

impl Freshness {
    /// `asked`: when the request for it was sent. `guess`: how long it is fresh when it does not say.
    pub fn new(
        headers: &HeaderMap,
        control: &Control,
        targeted: bool,
        guess: Duration,
        asked: Tick,
        now: Moment,
    ) -> Self {
        let date = date(headers.get(DATE)).unwrap_or(now.date);
        let apparent = now.date.duration_since(date).unwrap_or_default();
        let corrected = age(headers) + now.tick.since(asked);
        let window = |seconds: Option<u64>| seconds.map(Duration::from_secs);
        Self {
            initial_age: apparent.max(corrected),
            received: now.tick,
            lifetime: explicit_lifetime(headers, control, targeted, date).unwrap_or(guess),
            always_validate: control.no_cache,
            while_revalidate: window(control.stale_while_revalidate).unwrap_or_default(),
            if_error: window(control.stale_if_error),
            strict: control.must_revalidate || control.proxy_revalidate,
            shared_only: control.s_maxage.is_some(),
        }
    }

    pub fn age(&self, now: Tick) -> Duration {
        self.initial_age + now.since(self.received)
    }

    /// What is left of its life; in whole seconds, below zero once it is stale.
    pub fn ttl(&self, now: Tick) -> i64 {
        let signed = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        signed(self.lifetime) - signed(self.age(now))
    }

    pub fn is_fresh(&self, now: Tick) -> bool {
        !self.always_validate && self.lifetime > self.age(now)
    }

    fn staleness(&self, now: Tick) -> Duration {
        self.age(now).saturating_sub(self.lifetime)
    }

    /// Whether it will do for a request that says `control`, without asking (section 5.2.1).
    pub fn suits(&self, control: &Control, now: Tick) -> bool {
        let age = self.age(now);
        let seconds = |time: Option<u64>| time.map(Duration::from_secs);
        if control.no_cache || self.always_validate || seconds(control.max_age).is_some_and(|max| age > max) {
            return false;
        }
        let needed = age + seconds(control.min_fresh).unwrap_or_default();
        // The origin's word goes before the client's patience.
        let stale = if self.strict || self.shared_only { None } else { seconds(control.max_stale) };
        self.lifetime > needed || stale.is_some_and(|stale| self.staleness(now) <= stale && !self.is_fresh(now))
    }

    /// Whether it may go out once more while a new one is fetched (RFC 5861, section 3).
    pub fn serves_while_revalidating(&self, now: Tick) -> bool {
        !self.strict && !self.always_validate && self.staleness(now) < self.while_revalidate
    }

    /// Whether it may stand in for an origin that fails (RFC 5861, section 4; RFC 9111, section 4.2.4).
    pub fn serves_on_error(&self, control: &Control, grace: Duration, now: Tick) -> bool {
        let grace = if self.shared_only { Duration::ZERO } else { grace };
        let asked = control.stale_if_error.map(Duration::from_secs);
        let window = self.if_error.or(asked.filter(|_| !self.shared_only)).unwrap_or(grace);
        !self.strict && !self.always_validate && self.staleness(now) < window
    }
}

/// `Age` (section 5.1): of several the first; what is no number counts for nothing.
fn age(headers: &HeaderMap) -> Duration {
    let first = headers.get(AGE).and_then(|value| members(value.as_bytes()).next().and_then(seconds));
    Duration::from_secs(first.unwrap_or(0))
}

/// A date in any of the three formats (RFC 9110, section 5.6.7).
pub fn date(value: Option<&HeaderValue>) -> Option<SystemTime> {
    httpdate::parse_http_date(value?.to_str().ok()?.trim()).ok()
}

/// Section 4.2.1. `Expires` that is no date is in the past (section 5.3).
fn explicit_lifetime(headers: &HeaderMap, control: &Control, targeted: bool, sent: SystemTime) -> Option<Duration> {
    if let Some(seconds) = control.s_maxage.or(control.max_age) {
        return Some(Duration::from_secs(seconds));
    }
    let expires = headers.get(EXPIRES).filter(|_| !targeted)?;
    let at = date(Some(expires)).unwrap_or(SystemTime::UNIX_EPOCH);
    Some(at.duration_since(sent).unwrap_or_default())
}

/// Whether the response says how long it is fresh.
pub fn is_explicit(headers: &HeaderMap, control: &Control, targeted: bool) -> bool {
    control.s_maxage.is_some() || control.max_age.is_some() || (!targeted && headers.contains_key(EXPIRES))
}

/// Section 4.2.2: a tenth of the time that it had not changed for.
pub fn guess(status: StatusCode, headers: &HeaderMap, control: &Control, now: SystemTime) -> Option<Duration> {
    if !HEURISTIC.contains(&status.as_u16()) && !control.public {
        return None;
    }
    let changed = date(headers.get(LAST_MODIFIED))?;
    let sent = date(headers.get(DATE)).unwrap_or(now);
    Some((sent.duration_since(changed).ok()? / 10).min(GUESS_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::edge::cache::control::SECONDS_MAX;

    const SENT: u64 = 1_700_000_000;

    fn at(seconds: u64) -> Moment {
        Moment {
            tick: Tick::from_nanos(seconds * 1_000_000_000),
            date: SystemTime::UNIX_EPOCH + Duration::from_secs(SENT + seconds),
        }
    }

    fn tick(seconds: u64) -> Tick {
        at(seconds).tick
    }

    /// A response that came at second 0.
    fn response(fields: &[(&'static str, String)]) -> Freshness {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        let (control, targeted) = Control::of_response(&headers);
        Freshness::new(&headers, &control, targeted, Duration::ZERO, tick(0), at(0))
    }

    fn http_date(offset: i64) -> String {
        httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(SENT.saturating_add_signed(offset)))
    }

    fn with(control: &str) -> Freshness {
        response(&[("cache-control", control.to_owned()), ("date", http_date(0))])
    }

    #[test]
    fn the_shared_lifetime_goes_before_the_general_one_and_that_before_expires() {
        let expires = ("expires", http_date(100));
        let lifetime = |control: &str| {
            response(&[("cache-control", control.to_owned()), ("date", http_date(0)), expires.clone()]).lifetime
        };
        assert_eq!(lifetime("max-age=5, s-maxage=7"), Duration::from_secs(7));
        assert_eq!(lifetime("max-age=5"), Duration::from_secs(5));
        assert_eq!(lifetime("public"), Duration::from_secs(100));
        let wrong = response(&[("expires", "0".to_owned()), ("date", http_date(0))]);
        assert_eq!(wrong.lifetime, Duration::ZERO);
    }

    #[test]
    fn the_age_counts_from_date_or_from_age_whichever_makes_it_older() {
        let old = response(&[("date", http_date(-50)), ("age", "20".to_owned())]);
        assert_eq!(old.age(tick(1)), Duration::from_secs(51));
        let older = response(&[("date", http_date(-50)), ("age", "70, 1".to_owned())]);
        assert_eq!(older.age(tick(1)), Duration::from_secs(71));
        let nonsense = response(&[("date", http_date(50)), ("age", "-7".to_owned())]);
        assert_eq!(nonsense.age(tick(1)), Duration::from_secs(1));
    }

    #[test]
    fn a_request_may_ask_for_more_freshness_or_less() {
        let ten = with("max-age=10");
        let says = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("cache-control", HeaderValue::from_str(text).expect("a value"));
            Control::of_request(&headers)
        };
        assert!(ten.suits(&says("x"), tick(9)) && !ten.suits(&says("x"), tick(10)));
        assert!(!ten.suits(&says("max-age=3"), tick(4)) && !ten.suits(&says("min-fresh=3"), tick(8)));
        assert!(ten.suits(&says("max-stale=5"), tick(15)) && !ten.suits(&says("max-stale=5"), tick(16)));
        assert!(ten.suits(&says("max-stale"), tick(100_000)) && !ten.suits(&says("no-cache"), tick(0)));
        assert!(!with("max-age=10, must-revalidate").suits(&says("max-stale"), tick(11)));
    }

    #[test]
    fn stale_stands_in_only_as_long_as_the_origin_or_the_configuration_allows() {
        let none = Control::default();
        let grace = Duration::from_secs(10);
        assert!(with("max-age=1").serves_on_error(&none, grace, tick(10)));
        assert!(!with("max-age=1").serves_on_error(&none, grace, tick(11)));
        assert!(with("max-age=1, stale-if-error=60").serves_on_error(&none, grace, tick(60)));
        for strict in ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=1"] {
            assert!(!with(&format!("max-age=1, {strict}")).serves_on_error(&none, grace, tick(2)), "{strict}");
        }
        assert!(with("s-maxage=1, stale-while-revalidate=5").serves_while_revalidating(tick(5)));
        assert!(!with("s-maxage=1, stale-while-revalidate=5").serves_while_revalidating(tick(6)));
    }

    proptest! {
        #[test]
        fn it_only_ever_gets_older_and_never_fresh_again(
            max_age in 0..=SECONDS_MAX, age in 0..=SECONDS_MAX, offset in -100_000_i64..100_000,
            (first, more) in (0_u64..1_000_000, 0_u64..1_000_000),
        ) {
            let freshness = response(&[
                ("cache-control", format!("max-age={max_age}")),
                ("age", age.to_string()),
                ("date", http_date(offset)),
            ]);
            let (early, late) = (tick(first), tick(first + more));
            prop_assert_eq!(freshness.age(late), freshness.age(early) + Duration::from_secs(more));
            prop_assert!(freshness.is_fresh(early) || !freshness.is_fresh(late));
            prop_assert_eq!(freshness.is_fresh(early), freshness.ttl(early) > 0);
            prop_assert!(freshness.age(early) >= Duration::from_secs(age.max(offset.min(0).unsigned_abs())));
        }

        #[test]
        fn a_guess_is_a_tenth_of_the_time_without_a_change_and_at_most_a_minute(ago in 0_u64..1_000_000_000) {
            let mut headers = HeaderMap::new();
            let changed = i64::try_from(ago).expect("it fits");
            headers.insert(LAST_MODIFIED, http_date(-changed).parse().expect("a value"));
            let guessed = guess(StatusCode::OK, &headers, &Control::default(), at(0).date);
            prop_assert_eq!(guessed, Some((Duration::from_secs(ago) / 10).min(Duration::from_secs(60))));
        }

        #[test]
        fn no_field_of_any_shape_makes_it_panic(age in "[ -~]{0,30}", expires in "[ -~]{0,40}", date in "[ -~]{0,40}") {
            let freshness = response(&[("age", age), ("expires", expires), ("date", date)]);
            freshness.ttl(tick(1));
        }
    }
}
