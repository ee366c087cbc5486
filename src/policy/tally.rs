//! How requests went, counted: so many well, so many not, and how long they took, in a histogram of fixed size that
//! can be added to another and have an earlier one taken away.

use std::time::Duration;

/// Each power of two of microseconds has so many buckets of its own: a figure is at most an eighth too high.
const PARTS: u32 = 8;
const PART_BITS: u32 = PARTS.ilog2();
/// Up to two minutes; what takes longer counts as that.
const MICROS_MAX: u64 = (1 << 27) - 1;
const BUCKETS: usize = bucket_of(MICROS_MAX) + 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    pub good: u64,
    pub failed: u64,
    /// How long the good ones took.
    took: [u32; BUCKETS],
}

impl Default for Tally {
    fn default() -> Self {
        Self { good: 0, failed: 0, took: [0; BUCKETS] }
    }
}

impl Tally {
    pub fn count(&mut self, failed: bool, took: Duration) {
        if failed {
            self.failed += 1;
            return;
        }
        self.good += 1;
        let bucket = &mut self.took[bucket_of(took.as_micros().min(u128::from(MICROS_MAX)) as u64)];
        *bucket = bucket.saturating_add(1);
    }

    pub const fn all(&self) -> u64 {
        self.good + self.failed
    }

    pub fn add(&mut self, other: &Tally) {
        self.good += other.good;
        self.failed += other.failed;
        self.took.iter_mut().zip(other.took).for_each(|(mine, other)| *mine = mine.saturating_add(other));
    }

    /// What came since `earlier`, a tally of the same.
    pub fn since(&self, earlier: &Tally) -> Tally {
        let mut since = self.clone();
        since.good = since.good.saturating_sub(earlier.good);
        since.failed = since.failed.saturating_sub(earlier.failed);
        since.took.iter_mut().zip(earlier.took).for_each(|(mine, earlier)| *mine = mine.saturating_sub(earlier));
        since
    }

    /// How long the quickest `share` of the good ones took at most; None when there are none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (self.good as f64 * share.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut below = 0;
        let bucket = self.took.iter().position(|count| {
            below += u64::from(*count);
            below >= rank
        })?;
        Some(Duration::from_micros(upper_bound(bucket)))
    }

    /// How many of the good ones took longer, to the exactness of a bucket.
    pub fn longer_than(&self, limit: Duration) -> u64 {
        let bucket = bucket_of(limit.as_micros().min(u128::from(MICROS_MAX)) as u64);
        self.took[bucket + 1..].iter().map(|count| u64::from(*count)).sum()
    }
}

const fn bucket_of(micros: u64) -> usize {
    if micros < PARTS as u64 {
        return micros as usize;
    }
    let octave = micros.ilog2();
    let part = (micros >> (octave - PART_BITS)) - PARTS as u64;
    ((octave - PART_BITS + 1) * PARTS) as usize + part as usize
}

/// The longest time of a bucket.
const fn upper_bound(bucket: usize) -> u64 {
    let (octave, part) = (bucket as u64 / PARTS as u64, bucket as u64 % PARTS as u64);
    if octave == 0 { part } else { ((PARTS as u64 + part + 1) << (octave - 1)) - 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(times: &[u64]) -> Tally {
        let mut tally = Tally::default();
        times.iter().for_each(|micros| tally.count(false, Duration::from_micros(*micros)));
        tally
    }

    #[test]
    fn nothing_has_no_quantile_and_what_takes_for_ever_counts_as_two_minutes() {
        assert_eq!(Tally::default().quantile(0.99), None);
        assert_eq!(of(&[u64::MAX]).quantile(0.5), Some(Duration::from_micros(MICROS_MAX)));
    }

    #[test]
    fn each_bucket_ends_where_the_next_begins() {
        for bucket in 0..BUCKETS {
            assert_eq!((bucket_of(upper_bound(bucket)), bucket_of(upper_bound(bucket) + 1)), (bucket, bucket + 1));
        }
    }

    proptest! {
        #[test]
        fn a_quantile_is_that_of_the_sorted_times_and_at_most_an_eighth_more(
            times in prop::collection::vec(0_u64..10_000_000, 1..200), share in 0.0_f64..=1.0,
        ) {
            let found = of(&times).quantile(share).expect("there are some").as_micros() as u64;
            let mut sorted = times.clone();
            sorted.sort_unstable();
            let rank = (times.len() as f64 * share).ceil().max(1.0) as usize;
            let exact = sorted[rank - 1];
            prop_assert!((exact..=exact + exact / 8 + 1).contains(&found), "{exact} {found}");
        }

        #[test]
        fn what_came_since_is_what_was_counted_since(
            before in prop::collection::vec((any::<bool>(), 0_u64..1_000_000), 0..50),
            after in prop::collection::vec((any::<bool>(), 0_u64..1_000_000), 0..50),
        ) {
            let count = |tally: &mut Tally, calls: &[(bool, u64)]| {
                calls.iter().for_each(|(failed, micros)| tally.count(*failed, Duration::from_micros(*micros)));
            };
            let (mut all, mut late) = (Tally::default(), Tally::default());
            count(&mut all, &before);
            let early = all.clone();
            count(&mut all, &after);
            count(&mut late, &after);
            prop_assert_eq!(&all.since(&early), &late);
            let mut sum = early;
            sum.add(&late);
            prop_assert_eq!(sum, all);
        }
    }
}
