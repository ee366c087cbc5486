//! A histogram of durations that can be merged: log-linear buckets, as HDR histograms have them.
//!
//! Sixteen buckets to each power of two: who reads a bucket's middle is wrong by at most a 32nd (3.1 %), from 1 µs
//! to 134 s. What is faster counts in sixteenths of a microsecond, what is slower in the last bucket.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Buckets of a power of two, as bits.
const SUB_BITS: u32 = 4;
const SUBS: u64 = 1 << SUB_BITS;
/// Powers of two of the unit that have buckets of their own.
const POWERS: usize = 27;
pub const BUCKETS: usize = (POWERS + 1) << SUB_BITS;

/// Where `duration` is counted.
fn place(duration: Duration) -> usize {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let units = nanos.saturating_mul(SUBS) / 1_000;
    if units < SUBS {
        return units as usize;
    }
    let power = units.ilog2() - SUB_BITS;
    let place = (u64::from(power) + 1) * SUBS + (units >> power) - SUBS;
    (place as usize).min(BUCKETS - 1)
}

/// The lower bound of a bucket, in units.
const fn lower(place: usize) -> u64 {
    let (power, sub) = (place as u64 >> SUB_BITS, place as u64 & (SUBS - 1));
    if power == 0 { sub } else { (SUBS + sub) << (power - 1) }
}

/// What stands for all of a bucket: its middle, in milliseconds.
fn middle_ms(place: usize) -> f64 {
    (lower(place) + lower(place + 1)) as f64 / 2.0 / SUBS as f64 / 1_000.0
}

/// Counted by many threads at once, without a lock.
#[derive(Debug)]
pub struct Histogram([AtomicU64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl Histogram {
    pub fn record(&self, duration: Duration) {
        self.0[place(duration)].fetch_add(1, Relaxed);
    }

    /// All that was counted since the start.
    pub fn counts(&self) -> Counts {
        Counts(self.0.iter().map(|bucket| bucket.load(Relaxed)).collect())
    }
}

/// How many durations fell into each bucket. Those of two times or places can be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts(Box<[u64]>);

impl Default for Counts {
    fn default() -> Self {
        Self(vec![0; BUCKETS].into())
    }
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        self.0.iter_mut().zip(&other.0).for_each(|(count, more)| *count += more);
    }

    /// What came since `earlier`, a look at the same histogram.
    pub fn since(&self, earlier: &Counts) -> Counts {
        Counts(self.0.iter().zip(&earlier.0).map(|(now, before)| now.saturating_sub(*before)).collect())
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The duration, in milliseconds, that a share of `quantile` does not exceed; None when nothing was counted.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let rank = ((quantile * total as f64).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        let place = self.0.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        place.map(middle_ms)
    }

    /// Counts of wider buckets, which end at `bounds_ms` (ascending); what is above the last counts in the last. A
    /// bucket of ours that a bound cuts counts where its middle lies.
    pub fn coarse(&self, bounds_ms: &[f64]) -> Vec<u64> {
        let mut coarse = vec![0; bounds_ms.len()];
        for (place, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            let middle = middle_ms(place);
            let wide = bounds_ms.partition_point(|bound| *bound < middle).min(bounds_ms.len().saturating_sub(1));
            if let Some(sum) = coarse.get_mut(wide) {
                *sum += count;
            }
        }
        coarse
    }

    /// Few bytes for few buckets: of each that is not empty, how far it is from the one before, and its count, both
    /// in groups of seven bits (LEB128).
    pub fn pack(&self) -> Packed {
        let mut bytes = Vec::new();
        let mut next = 0;
        for (place, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            put(&mut bytes, (place - next) as u64);
            put(&mut bytes, *count);
            next = place + 1;
        }
        Packed(bytes.into())
    }

    /// Adds what was packed.
    pub fn add_packed(&mut self, packed: &Packed) {
        let mut bytes = packed.0.iter().copied();
        let mut next = 0;
        while let (Some(gap), Some(count)) = (take(&mut bytes), take(&mut bytes)) {
            next += gap as usize;
            if let Some(sum) = self.0.get_mut(next) {
                *sum += count;
            }
            next += 1;
        }
    }
}

/// A histogram that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed(Box<[u8]>);

impl Packed {
    /// What it takes in memory, beside itself.
    pub const fn bytes(&self) -> usize {
        self.0.len()
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(nanos: &[u64]) -> Counts {
        let histogram = Histogram::default();
        nanos.iter().for_each(|nanos| histogram.record(Duration::from_nanos(*nanos)));
        histogram.counts()
    }

    /// As even over the powers of ten as over the numbers.
    fn nanos() -> impl Strategy<Value = u64> {
        (0_u32..=8, 1_000_u64..10_000)
            .prop_map(|(power, number)| number * 10_u64.pow(power))
            .prop_filter("at most 100 s", |nanos| *nanos <= 100_000_000_000)
    }

    #[test]
    fn nothing_counted_has_no_percentile() {
        assert_eq!(Counts::default().quantile_ms(0.5), None);
        assert_eq!(Counts::default().pack().bytes(), 0);
    }

    #[test]
    fn what_is_too_fast_or_too_slow_is_counted_all_the_same() {
        let counts = counted(&[0, 1, u64::MAX]);
        assert_eq!(counts.total(), 3);
        assert!(counts.quantile_ms(1.0).is_some_and(|ms| ms > 100_000.0));
    }

    proptest! {
        #[test]
        fn a_percentile_is_wrong_by_at_most_a_twentieth(mut all in prop::collection::vec(nanos(), 1..300), percent in 1_u32..=100) {
            let quantile = f64::from(percent) / 100.0;
            let told = counted(&all).quantile_ms(quantile).expect("something was counted");
            all.sort_unstable();
            let rank = ((quantile * all.len() as f64).ceil() as usize).clamp(1, all.len());
            let truth = all[rank - 1] as f64 / 1e6;
            prop_assert!((told - truth).abs() <= 0.05 * truth, "{told} for {truth}");
        }

        #[test]
        fn the_histogram_of_two_places_is_that_of_all_their_durations(a in prop::collection::vec(nanos(), 0..200), b in prop::collection::vec(nanos(), 0..200)) {
            let mut merged = counted(&a);
            merged.add(&counted(&b));
            let all: Vec<u64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(&merged, &counted(&all));
            prop_assert_eq!(merged.since(&counted(&a)), counted(&b));
        }

        #[test]
        fn what_was_packed_is_what_is_unpacked(all in prop::collection::vec(nanos(), 0..300)) {
            let counts = counted(&all);
            let mut unpacked = Counts::default();
            unpacked.add_packed(&counts.pack());
            prop_assert_eq!(unpacked, counts);
        }

        #[test]
        fn wider_buckets_lose_nobody(all in prop::collection::vec(nanos(), 0..300)) {
            prop_assert_eq!(counted(&all).coarse(&[0.1, 1.0, 10.0]).iter().sum::<u64>(), all.len() as u64);
        }
    }
}
