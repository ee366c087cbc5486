//! When the requests of an open-loop load are due, whatever becomes of those before them.

use std::time::Duration;

use super::random::{STEP, split_mix, unit};

/// A stretch of time in which the rate goes evenly from one to another, in requests a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    pub from: f64,
    pub to: f64,
    pub lasts: Duration,
}

impl Stage {
    /// The same rate all the time.
    pub const fn steady(rate: f64, lasts: Duration) -> Self {
        Self { from: rate, to: rate, lasts }
    }

    /// Requests that come due in it, on average.
    pub fn expected(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.lasts.as_secs_f64()
    }

    /// Seconds until `count` requests have come due: `from·t + slope·t²/2 = count`, solved for t without
    /// subtracting what is nearly alike.
    fn seconds_until(&self, count: f64) -> f64 {
        let slope = (self.to - self.from) / self.lasts.as_secs_f64();
        let under = 2.0f64.mul_add(slope * count, self.from * self.from).max(0.0);
        let divisor = self.from + under.sqrt();
        if count <= 0.0 || divisor <= 0.0 { 0.0 } else { (2.0 * count / divisor).min(self.lasts.as_secs_f64()) }
    }
}

/// What lies between two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Always the same, at a given rate.
    Constant,
    /// As if very many people came independently of each other: the gaps are exponentially distributed.
    Poisson,
}

/// The moments at which requests are due, from the first stage's beginning on. The same seed gives the same.
///
/// Both spacings are made by inverting the expected count: request k of a constant load is due when k are
/// expected, and that of a Poisson process after k unit exponentials (Çınlar 1975, Introduction to
/// Stochastic Processes, chapter 4, section 7).
#[derive(Debug, Clone)]
pub struct Arrivals {
    stages: std::vec::IntoIter<Stage>,
    stage: Option<Stage>,
    /// Where the current stage begins: in time, and in expected requests.
    began_s: f64,
    before: f64,
    spacing: Spacing,
    random: u64,
    count: u64,
    level: f64,
}

impl Arrivals {
    pub fn new(stages: Vec<Stage>, spacing: Spacing, seed: u64) -> Self {
        let mut stages = stages.into_iter();
        let stage = stages.next();
        Self { stages, stage, began_s: 0.0, before: 0.0, spacing, random: split_mix(seed), count: 0, level: 0.0 }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.level = match self.spacing {
            // Counted, not added up: nothing drifts.
            Spacing::Constant => self.count as f64,
            Spacing::Poisson => {
                self.random = self.random.wrapping_add(STEP);
                self.level - unit(split_mix(self.random)).ln()
            }
        };
        self.count += 1;
        loop {
            let stage = self.stage?;
            let within = self.level - self.before;
            if within < stage.expected() {
                return Some(Duration::from_secs_f64(self.began_s + stage.seconds_until(within)));
            }
            self.before += stage.expected();
            self.began_s += stage.lasts.as_secs_f64();
            self.stage = self.stages.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stages() -> impl Strategy<Value = Vec<Stage>> {
        let stage = (0_u32..500, 0_u32..500, 100_u64..5_000).prop_map(|(from, to, ms)| Stage {
            from: f64::from(from),
            to: f64::from(to),
            lasts: Duration::from_millis(ms),
        });
        prop::collection::vec(stage, 1..5)
    }

    fn expected(stages: &[Stage]) -> f64 {
        stages.iter().map(Stage::expected).sum()
    }

    proptest! {
        #[test]
        fn each_is_due_no_earlier_than_the_one_before_and_within_the_stages(
            stages in stages(), poisson: bool, seed: u64
        ) {
            let spacing = if poisson { Spacing::Poisson } else { Spacing::Constant };
            let end: Duration = stages.iter().map(|stage| stage.lasts).sum();
            let mut last = Duration::ZERO;
            for due in Arrivals::new(stages, spacing, seed) {
                prop_assert!(due >= last && due <= end + Duration::from_nanos(1), "{last:?} {due:?} {end:?}");
                last = due;
            }
        }

        #[test]
        fn a_constant_load_has_as_many_as_its_rates_come_to(stages in stages()) {
            let count = Arrivals::new(stages.clone(), Spacing::Constant, 0).count() as f64;
            prop_assert!((count - expected(&stages)).abs() <= 1.0 + 1e-6, "{count} of {}", expected(&stages));
        }

        #[test]
        fn the_gaps_of_a_steady_constant_load_are_alike(rate in 1_u32..5_000) {
            let gap = 1.0 / f64::from(rate);
            let stage = Stage::steady(rate.into(), Duration::from_secs(2));
            let due: Vec<f64> = Arrivals::new(vec![stage], Spacing::Constant, 0).map(|due| due.as_secs_f64()).collect();
            prop_assert_eq!(due.len(), 2 * rate as usize);
            for (number, due) in due.iter().enumerate() {
                prop_assert!((due - number as f64 * gap).abs() < 1e-8, "{number} at {due}");
            }
        }

        #[test]
        fn the_same_seed_gives_the_same_and_another_seed_another(seed: u64) {
            let stages = vec![Stage::steady(100.0, Duration::from_secs(2))];
            let due = |seed| Arrivals::new(stages.clone(), Spacing::Poisson, seed).collect::<Vec<_>>();
            prop_assert_eq!(due(seed), due(seed));
            prop_assert_ne!(due(seed), due(seed ^ 1));
        }

        #[test]
        fn a_poisson_load_has_the_mean_and_the_variance_of_one(seed: u64) {
            let stage = Stage::steady(10_000.0, Duration::from_secs(10));
            let due: Vec<f64> = Arrivals::new(vec![stage], Spacing::Poisson, seed).map(|due| due.as_secs_f64()).collect();
            // 100,000 expected: six standard deviations are 1,900.
            prop_assert!((due.len() as f64 - 100_000.0).abs() < 1_900.0, "{}", due.len());
            let gaps: Vec<f64> = due.windows(2).map(|pair| (pair[1] - pair[0]) * 10_000.0).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            prop_assert!((mean - 1.0).abs() < 0.02 && (variance - 1.0).abs() < 0.06, "{mean} {variance}");
        }
    }

    #[test]
    fn in_a_ramp_half_of_the_time_sees_a_quarter_of_the_requests() {
        let ramp = Stage { from: 0.0, to: 200.0, lasts: Duration::from_secs(10) };
        let due: Vec<Duration> = Arrivals::new(vec![ramp], Spacing::Constant, 0).collect();
        assert_eq!(due.len(), 1_000);
        assert_eq!(due.iter().filter(|due| **due < Duration::from_secs(5)).count(), 250);
    }

    #[test]
    fn a_stage_without_requests_is_a_pause() {
        let second = Duration::from_secs(1);
        let stages = vec![Stage::steady(2.0, second), Stage::steady(0.0, second), Stage::steady(2.0, second)];
        let due: Vec<u128> = Arrivals::new(stages, Spacing::Constant, 0).map(|due| due.as_millis()).collect();
        assert_eq!(due, [0, 500, 2_000, 2_500]);
    }
}
