//! How long to wait before another attempt: at random below a bound that doubles, so that those who failed
//! together do not come back together ("full jitter"; the numbers are Envoy's).

use std::time::Duration;

use super::random;

const STEP: Duration = Duration::from_millis(25);
const MAX: Duration = Duration::from_millis(250);

/// The wait before retry number `retry` (from 1): in `[0, (2^retry - 1) · 25 ms)`, at most 250 ms.
pub fn wait(retry: u32, random: u64) -> Duration {
    let bound = STEP.saturating_mul(2_u32.saturating_pow(retry) - 1).min(MAX);
    Duration::from_micros(random::below(random, bound.as_micros() as usize) as u64)
}

/// How often a piece of durable work is tried, and how long it rests between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    pub max: u32,
    /// The longest wait after the first attempt; it doubles with each.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Attempts {
    /// The wait after attempt number `attempt` (from 1) has failed; None when it was the last. At random in the
    /// upper half below the bound ("equal jitter"): nobody waits for the outcome, so resting counts for more.
    pub fn wait_after(&self, attempt: u32, random: u64) -> Option<Duration> {
        if attempt >= self.max {
            return None;
        }
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
        let half = doubled.min(self.longest) / 2;
        Some(half + half.mul_f64(random::unit(random)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_lies_below_its_bound_and_never_above_the_greatest(retry in 1_u32..100, random: u64) {
            let wait = wait(retry, random);
            prop_assert!(wait < MAX);
            prop_assert!(retry > 3 || wait < STEP * (2_u32.pow(retry) - 1));
        }
    }

    proptest! {
        #[test]
        fn durable_work_rests_longer_each_time_up_to_a_bound_and_is_given_up_in_the_end(
            attempt in 1_u32..100, max in 1_u32..100, random: u64,
        ) {
            let rule = Attempts { max, first: Duration::from_millis(200), longest: Duration::from_secs(30) };
            match rule.wait_after(attempt, random) {
                None => prop_assert!(attempt >= max),
                Some(wait) => {
                    let bound = (rule.first * 2_u32.saturating_pow(attempt - 1).min(1_000)).min(rule.longest);
                    prop_assert!(attempt < max && wait >= bound / 2 && wait <= bound, "{wait:?} of {bound:?}");
                }
            }
        }
    }

    #[test]
    fn the_whole_range_is_used() {
        let waits: Vec<Duration> = (0..1_000).map(|state| wait(1, random::split_mix(state))).collect();
        assert!(waits.iter().any(|wait| *wait < STEP / 10) && waits.iter().any(|wait| *wait > STEP * 9 / 10));
    }
}
