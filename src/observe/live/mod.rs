//! The last hour of a stack, second by second, in bounded memory.
//!
//! A second is its counts and its histogram of durations, packed: about 300 bytes under load, 48 when nothing came. Nothing
//! is sampled: what is told of a longer step is the merged histogram of all its requests.

mod window;

use std::collections::VecDeque;
use std::time::Duration;

use super::metrics::histogram::{Counts, Packed};
pub use window::{HEAT_BOUNDS_MS, Point, Window, step_for};

/// Seconds that are kept.
pub const SECONDS_MAX: usize = 3_600;
/// What they may take; seconds go earlier rather than to take more.
pub const BYTES_MAX: usize = 4 * 1024 * 1024;

/// What happened since the last look, a second ago or so.
#[derive(Debug, Clone, Default)]
pub struct Second {
    /// When it ended (milliseconds since 1970).
    pub at_ms: u64,
    pub took: Duration,
    pub durations: Counts,
    /// Requests that failed.
    pub errors: u64,
    /// Looks into caches, and those that found something.
    pub looks: u64,
    pub hits: u64,
    /// Upstreams that take requests.
    pub serving: u64,
}

#[derive(Debug)]
struct Kept {
    at_ms: u64,
    took: Duration,
    errors: u32,
    looks: u32,
    hits: u32,
    serving: u32,
    durations: Packed,
}

/// The last of them.
#[derive(Debug, Default)]
pub struct Series {
    kept: VecDeque<Kept>,
    bytes: usize,
}

impl Series {
    pub fn push(&mut self, second: &Second) {
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let kept = Kept {
            at_ms: second.at_ms,
            took: second.took,
            errors: small(second.errors),
            looks: small(second.looks),
            hits: small(second.hits),
            serving: small(second.serving),
            durations: second.durations.pack(),
        };
        self.bytes += kept.bytes();
        self.kept.push_back(kept);
        while self.kept.len() > SECONDS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }

    /// Seconds that are kept, and the bytes that they take.
    pub fn size(&self) -> (usize, usize) {
        (self.kept.len(), self.bytes)
    }
}

impl Kept {
    const fn bytes(&self) -> usize {
        size_of::<Kept>() + self.durations.bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::observe::metrics::histogram::{BUCKETS, Histogram};

    /// A second whose requests took as many different times as can be told apart.
    fn crowded(at_ms: u64) -> Second {
        let histogram = Histogram::default();
        let mut ms = 0.001;
        for _ in 0..BUCKETS {
            histogram.record(Duration::from_secs_f64(ms / 1e3));
            ms *= 1.045;
        }
        Second { at_ms, took: Duration::from_secs(1), durations: histogram.counts(), ..Second::default() }
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let mut series = Series::default();
        for second in 0..SECONDS_MAX as u64 + 500 {
            series.push(&Second { at_ms: second * 1_000, took: Duration::from_secs(1), ..Second::default() });
        }
        let (seconds, bytes) = series.size();
        assert_eq!(seconds, SECONDS_MAX);
        assert!(bytes < 512 * 1024, "{bytes}");
    }

    #[test]
    fn the_worst_hour_there_can_be_is_within_the_bound() {
        let mut series = Series::default();
        for second in 0..2 * SECONDS_MAX as u64 {
            series.push(&crowded(second * 1_000));
        }
        let (seconds, bytes) = series.size();
        assert!(bytes <= BYTES_MAX && seconds > 600, "{seconds} seconds in {bytes} bytes");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_window_loses_a_request(per_second in prop::collection::vec(0_u64..50, 1..200), seconds in prop::sample::select(vec![60_u64, 300, 900, 3_600])) {
            let mut series = Series::default();
            for (second, count) in per_second.iter().enumerate() {
                let histogram = Histogram::default();
                (0..*count).for_each(|number| histogram.record(Duration::from_millis(number)));
                let at_ms = 1_000_000_000 + second as u64 * 1_000;
                series.push(&Second { at_ms, took: Duration::from_secs(1), durations: histogram.counts(), ..Second::default() });
            }
            let now_ms = 1_000_000_000 + (per_second.len() as u64 - 1) * 1_000;
            let window = series.window(now_ms, seconds);
            // A window begins where a step does.
            let inside = per_second.iter().rev().take(seconds as usize).sum::<u64>();
            let step = window.step_s as usize;
            let at_most = per_second.iter().rev().take(seconds as usize + step).sum::<u64>();
            let told: u64 = window.points.iter().map(|point| point.heat.iter().sum::<u64>()).sum();
            prop_assert!((inside..=at_most).contains(&told), "{told}, not {inside} to {at_most}");
            prop_assert!(window.points.len() as u64 <= seconds / window.step_s + 1);
        }
    }
}
