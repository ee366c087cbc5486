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

    #[test]
    fn the_whole_range_is_used() {
        let waits: Vec<Duration> = (0..1_000).map(|state| wait(1, random::split_mix(state))).collect();
        assert!(waits.iter().any(|wait| *wait < STEP / 10) && waits.iter().any(|wait| *wait > STEP * 9 / 10));
    }
}
