//! A histogram as Prometheus reads it: few buckets with bounds that people know, each with the trace of one request
//! that fell into it (an exemplar).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::observe::ids::TraceId;

/// Upper bounds in microseconds: from what one hop takes to what nobody waits for.
const BOUNDS_US: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];
/// With the one that has no bound.
const BUCKETS: usize = BOUNDS_US.len() + 1;

fn place(duration: Duration) -> usize {
    let nanos = duration.as_nanos();
    BOUNDS_US.partition_point(|bound| u128::from(*bound) * 1_000 < nanos)
}

/// Counted by many threads at once, without a lock.
#[derive(Debug, Default)]
pub struct Classic {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
    exemplars: Mutex<[Option<Exemplar>; BUCKETS]>,
}

/// One request of a bucket, whose trace is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar {
    pub trace_id: TraceId,
    pub took: Duration,
    /// Seconds since 1970.
    pub at_unix_s: f64,
}

/// A look at one.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    buckets: [u64; BUCKETS],
    pub sum: Duration,
    exemplars: [Option<Exemplar>; BUCKETS],
}

impl Classic {
    pub fn record(&self, duration: Duration) {
        self.buckets[place(duration)].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Only for what is kept, which is little: it takes a lock.
    pub fn exemplify(&self, exemplar: Exemplar) {
        self.exemplars.lock().unwrap_or_else(PoisonError::into_inner)[place(exemplar.took)] = Some(exemplar);
    }

    pub fn counts(&self) -> Counts {
        Counts {
            buckets: std::array::from_fn(|place| self.buckets[place].load(Relaxed)),
            sum: Duration::from_nanos(self.sum_ns.load(Relaxed)),
            exemplars: *self.exemplars.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// One bucket, with all that are below it.
#[derive(Debug, Clone, Copy)]
pub struct Bucket<'a> {
    /// Seconds; infinite for the last.
    pub bound: f64,
    pub cumulative: u64,
    pub exemplar: Option<&'a Exemplar>,
}

impl Counts {
    pub fn total(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub fn buckets(&self) -> impl Iterator<Item = Bucket<'_>> {
        let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        let mut cumulative = 0;
        bounds.zip(&self.buckets).zip(&self.exemplars).map(move |((bound, count), exemplar)| {
            cumulative += count;
            Bucket { bound, cumulative, exemplar: exemplar.as_ref() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_at_a_bound_is_not_above_it() {
        let classic = Classic::default();
        for us in [100, 101, 20_000_000] {
            classic.record(Duration::from_micros(us));
        }
        let counts = classic.counts();
        let cumulative: Vec<u64> = counts.buckets().map(|bucket| bucket.cumulative).collect();
        assert_eq!((cumulative[0], cumulative[1], cumulative[15], cumulative[16]), (1, 2, 2, 3));
        assert_eq!((counts.total(), counts.sum), (3, Duration::from_micros(20_000_201)));
    }
}
