//! One histogram for each method, route, status and failure that was met, found without a lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::classic::Classic;
use super::routes::RouteId;
use crate::observe::failure::Failure;

/// Series of requests at most; what comes beyond is counted together.
pub const SERIES_MAX: usize = 384;
/// Places to look for one: more than there are series, so that a look ends soon.
const SLOTS: usize = 1_024;

/// Those of RFC 9110 and RFC 5789; a client can make up others (OpenTelemetry's `_OTHER`).
const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", OTHER_METHOD];
pub const OTHER_METHOD: &str = "_OTHER";

/// What tells one series from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    method: u8,
    pub route: RouteId,
    pub status: u16,
    pub failure: Option<Failure>,
}

/// Where a method stands among those that are known.
fn place_of(method: &str) -> u8 {
    METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1) as u8
}

/// The method by its name if it is known, or `_OTHER`.
pub fn known_method(method: &str) -> &'static str {
    METHODS[usize::from(place_of(method))]
}

impl Key {
    pub fn new(method: &str, route: RouteId, status: u16, failure: Option<Failure>) -> Self {
        Self { method: place_of(method), route, status, failure }
    }

    pub fn method(self) -> &'static str {
        METHODS[usize::from(self.method)]
    }

    /// Where the look for it begins (Fibonacci hashing).
    fn slot(self) -> usize {
        let ended = u32::from(self.status) | self.failure.map_or(0, |failure| failure as u32) << 12;
        let number = u32::from(self.method) << 24 | u32::from(self.route.0) << 16 | ended;
        (number.wrapping_mul(0x9e37_79b1) >> 22) as usize % SLOTS
    }
}

#[derive(Debug)]
struct Series {
    key: Key,
    durations: Classic,
}

#[derive(Debug)]
pub struct Requests {
    slots: Box<[OnceLock<Box<Series>>]>,
    count: AtomicUsize,
    /// Of all that no series was left for.
    beyond: Classic,
}

impl Default for Requests {
    fn default() -> Self {
        let slots = std::iter::repeat_with(OnceLock::new).take(SLOTS).collect();
        Self { slots, count: AtomicUsize::new(0), beyond: Classic::default() }
    }
}

impl Requests {
    pub fn of(&self, key: Key) -> &Classic {
        let from = key.slot();
        for step in 0..SLOTS {
            let slot = &self.slots[(from + step) % SLOTS];
            let series = match slot.get() {
                Some(series) => series,
                // Two threads may both come here at the bound: it is passed by one or two.
                None if self.count.load(Relaxed) >= SERIES_MAX => return &self.beyond,
                None => slot.get_or_init(|| {
                    self.count.fetch_add(1, Relaxed);
                    Box::new(Series { key, durations: Classic::default() })
                }),
            };
            if series.key == key {
                return &series.durations;
            }
        }
        &self.beyond
    }

    /// All that were met, and after them what was counted together.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &Classic)> {
        let met = self.slots.iter().filter_map(OnceLock::get).map(|series| (series.key, &series.durations));
        met.chain([(Key::new("", RouteId(u8::MAX), 0, None), &self.beyond)])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn however_many_are_met_series_are_bounded_and_no_request_is_lost() {
        let requests = Requests::default();
        for route in 0..40 {
            for status in 0..100 {
                requests.of(Key::new("GET", RouteId(route), status, None)).record(Duration::from_millis(1));
            }
        }
        assert_eq!(requests.iter().count(), SERIES_MAX + 1);
        assert_eq!(requests.iter().map(|(_, durations)| durations.counts().total()).sum::<u64>(), 4_000);
    }

    #[test]
    fn a_series_is_found_again() {
        let requests = Requests::default();
        let keys = || (0..60_u8).map(|route| Key::new("POST", RouteId(route), 201, None));
        keys().for_each(|key| requests.of(key).record(Duration::from_millis(1)));
        keys().for_each(|key| assert_eq!(requests.of(key).counts().total(), 1, "{key:?}"));
        assert_eq!(Key::new("BREW", RouteId(0), 418, None).method(), "_OTHER");
    }
}
