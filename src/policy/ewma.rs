//! Peak-EWMA: the response time an upstream is expected to have now.
//!
//! A plain average hides a stall until it is over; this one jumps to a slow answer at once and comes down
//! slowly (Finagle's peak-EWMA; linkerd2-proxy, `linkerd/ewma`).

use std::time::Duration;

/// After this long without a slow answer, about a third of its weight is left (linkerd's value).
pub const DECAY: Duration = Duration::from_secs(10);
/// Assumed of a newcomer that has its first request under way: enough not to flood it (linkerd's value).
pub const INITIAL: Duration = Duration::from_millis(30);
/// What a failure counts as, at least: an upstream that fails fast must not look fast.
pub const FAILURE: Duration = Duration::from_secs(1);

/// `now` is time since any fixed moment, the same for all calls.
#[derive(Debug, Clone, Copy)]
pub struct PeakEwma {
    us: f64,
    at: Duration,
    answered: bool,
}

impl PeakEwma {
    pub fn new(now: Duration) -> Self {
        Self { us: micros(INITIAL), at: now, answered: false }
    }

    /// An answer took `rtt`.
    pub fn observe(&mut self, rtt: Duration, now: Duration) {
        let rtt = micros(rtt);
        let kept = self.kept(now);
        let mixed = self.us * kept + rtt * (1.0 - kept);
        // The first answer replaces the assumption: it is no peak to be remembered.
        self.us = if rtt > self.us || !self.answered { rtt } else { mixed };
        self.at = self.at.max(now);
        self.answered = true;
    }

    /// An attempt failed after `took`.
    pub fn observe_failure(&mut self, took: Duration, now: Duration) {
        self.observe(took.max(FAILURE), now);
    }

    /// The estimate in microseconds; it fades while nothing is heard, so that a punished one is tried again.
    pub fn us(&self, now: Duration) -> f64 {
        self.us * self.kept(now)
    }

    /// The estimate as of the last answer, unfaded, for people to read; None before the first.
    pub fn measured_us(&self) -> Option<f64> {
        self.answered.then_some(self.us)
    }

    /// What policies compare: the estimate times the load, which counts this request too
    /// ([`super::least_request::score`]: the requests under way by weight, and 1).
    ///
    /// A newcomer with nothing under way costs nothing, so that it is tried (as in Finagle): beside others
    /// that answer in a millisecond, the assumption alone would keep it out for most of a minute.
    pub fn cost(&self, load: f64, now: Duration) -> f64 {
        if !self.answered && load <= 1.0 {
            return 0.0;
        }
        self.us(now) * load
    }

    /// e^(-Δt/τ): the weight that the past still has.
    fn kept(&self, now: Duration) -> f64 {
        (-now.saturating_sub(self.at).as_secs_f64() / DECAY.as_secs_f64()).exp()
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_slow_answer_counts_at_once_and_fades() {
        let mut ewma = PeakEwma::new(Duration::ZERO);
        assert_eq!(ewma.measured_us(), None);
        ewma.observe(MS, MS);
        assert_eq!(ewma.us(MS), 1_000.0);
        ewma.observe(MS * 50, MS);
        assert_eq!(ewma.us(MS), 50_000.0);
        ewma.observe(MS, MS + DECAY);
        let after = 50_000.0 / std::f64::consts::E + 1_000.0 * (1.0 - 1.0 / std::f64::consts::E);
        assert!((ewma.us(MS + DECAY) - after).abs() < 1.0);
    }

    #[test]
    fn a_newcomer_is_tried_once_before_it_is_known() {
        let (mut known, newcomer) = (PeakEwma::new(Duration::ZERO), PeakEwma::new(Duration::ZERO));
        known.observe(MS, MS);
        assert!(newcomer.cost(1.0, MS) < known.cost(1.0, MS));
        assert!(newcomer.cost(2.0, MS) > known.cost(10.0, MS));
    }

    #[test]
    fn a_fast_failure_costs_more_than_a_slow_answer() {
        let (mut failing, mut slow) = (PeakEwma::new(Duration::ZERO), PeakEwma::new(Duration::ZERO));
        failing.observe_failure(MS, MS);
        slow.observe(MS * 200, MS);
        assert!(failing.cost(1.0, MS) > slow.cost(4.0, MS));
    }

    proptest! {
        #[test]
        fn the_estimate_stays_between_zero_and_the_worst_seen(
            answers in prop::collection::vec((0_u64..10_000_000, 0_u64..5_000), 1..50),
        ) {
            let mut ewma = PeakEwma::new(Duration::ZERO);
            let (mut now, mut worst) = (Duration::ZERO, 0.0_f64);
            for (rtt_us, wait_ms) in answers {
                now += MS * wait_ms as u32;
                ewma.observe(Duration::from_micros(rtt_us), now);
                worst = worst.max(rtt_us as f64);
                prop_assert!((0.0..=worst + 1e-6).contains(&ewma.us(now)));
            }
        }

        #[test]
        fn more_under_way_never_costs_less(rtt_us in 1_u64..1_000_000, a in 1_u8..100, b in 1_u8..100) {
            let mut ewma = PeakEwma::new(Duration::ZERO);
            ewma.observe(Duration::from_micros(rtt_us), MS);
            prop_assert_eq!(a <= b, ewma.cost(a.into(), MS) <= ewma.cost(b.into(), MS));
        }
    }
}
