//! Ejection of an outlier: one that fails time after time in answering requests is left out for a while,
//! each time for longer (Envoy's outlier detection). It comes back by one request that goes well.

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row that eject; 0 ejects nobody.
    pub failures: u64,
    /// How long the first time; the n-th time, n times as long.
    pub base: Duration,
    /// At most this long.
    pub max: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    In,
    Ejected {
        until: Duration,
    },
    /// Its time is over: one request may show whether it is well.
    Probing {
        under_way: bool,
    },
}

#[derive(Debug, Clone, Copy)]
pub struct Outlier {
    standing: Standing,
    in_a_row: u64,
    ejections: u32,
    /// When it last came back.
    back_since: Duration,
}

impl Default for Outlier {
    fn default() -> Self {
        Self { standing: Standing::In, in_a_row: 0, ejections: 0, back_since: Duration::ZERO }
    }
}

impl Outlier {
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// A request failed. `probe`: what [`Self::claim`] said when it began. `may_leave`: somebody else is there
    /// to take its place. Returns for how long it is ejected, if it is.
    pub fn failed(&mut self, probe: bool, rules: &Rules, may_leave: bool, now: Duration) -> Option<Duration> {
        let enough = match self.standing {
            Standing::Ejected { .. } => return None,
            // Another began before the ejection, and says nothing about how it is now.
            Standing::Probing { .. } if !probe => return None,
            Standing::Probing { .. } => true,
            Standing::In => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                rules.failures > 0 && self.in_a_row >= rules.failures
            }
        };
        if !enough {
            return None;
        }
        if !may_leave {
            self.standing = Standing::In;
            return None;
        }
        self.forgive(rules, now);
        self.ejections = self.ejections.saturating_add(1);
        let time = rules.base.saturating_mul(self.ejections).min(rules.max);
        (self.standing, self.in_a_row) = (Standing::Ejected { until: now + time }, 0);
        Some(time)
    }

    /// A request went well. True when it is back by that: only its probe brings it back.
    pub fn succeeded(&mut self, probe: bool, now: Duration) -> bool {
        self.in_a_row = 0;
        let back = probe && matches!(self.standing, Standing::Probing { .. });
        if back {
            (self.standing, self.back_since) = (Standing::In, now);
        }
        back
    }

    /// Time passes. True when the ejection is over.
    pub fn advance(&mut self, now: Duration) -> bool {
        let over = matches!(self.standing, Standing::Ejected { until } if now >= until);
        if over {
            self.standing = Standing::Probing { under_way: false };
        }
        over
    }

    /// A request begins; whether it is the probe.
    pub fn claim(&mut self) -> bool {
        let probe = self.standing == Standing::Probing { under_way: false };
        if probe {
            self.standing = Standing::Probing { under_way: true };
        }
        probe
    }

    /// The probe ended without telling anything: another may be it.
    pub fn release(&mut self) {
        if let Standing::Probing { under_way } = &mut self.standing {
            *under_way = false;
        }
    }

    /// One ejection is forgotten for each two base times in good standing.
    fn forgive(&mut self, rules: &Rules, now: Duration) {
        let step = rules.base.as_millis().max(1) * 2;
        let steps = now.saturating_sub(self.back_since).as_millis() / step;
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        if self.standing == Standing::In {
            self.ejections = self.ejections.saturating_sub(steps);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);
    const RULES: Rules = Rules { failures: 5, base: Duration::from_secs(5), max: Duration::from_secs(60) };

    fn fail(outlier: &mut Outlier, times: usize, now: Duration) -> Option<Duration> {
        (0..times).fold(None, |_, _| {
            let probe = outlier.claim();
            outlier.failed(probe, &RULES, true, now)
        })
    }

    #[test]
    fn five_in_a_row_eject_and_a_good_one_between_starts_the_count_anew() {
        let mut outlier = Outlier::default();
        assert_eq!(fail(&mut outlier, 4, S), None);
        outlier.succeeded(false, S);
        assert_eq!(fail(&mut outlier, 4, S), None);
        assert_eq!(fail(&mut outlier, 1, S), Some(S * 5));
    }

    #[test]
    fn a_failed_probe_ejects_for_longer_and_a_good_one_brings_it_back() {
        let mut outlier = Outlier::default();
        fail(&mut outlier, 5, S);
        assert!(!outlier.advance(S * 5) && outlier.advance(S * 6));
        assert!(outlier.claim() && !outlier.claim(), "one probe alone");
        assert_eq!(outlier.failed(true, &RULES, true, S * 6), Some(S * 10));
        outlier.advance(S * 16);
        outlier.claim();
        outlier.release();
        assert!(outlier.claim() && outlier.succeeded(true, S * 16) && outlier.standing() == Standing::In);
    }

    #[test]
    fn good_times_are_remembered_too() {
        let mut outlier = Outlier::default();
        for _ in 0..3 {
            fail(&mut outlier, 5, S);
            outlier.advance(S * 100);
            outlier.claim();
            outlier.succeeded(true, S);
        }
        assert_eq!(fail(&mut outlier, 5, S * 21), Some(S * 10), "two of three forgotten");
    }

    proptest! {
        #[test]
        fn the_last_one_is_never_ejected(count in 0_usize..50) {
            let mut outlier = Outlier::default();
            for _ in 0..count {
                prop_assert_eq!(outlier.failed(false, &RULES, false, S), None);
            }
            prop_assert_eq!(outlier.standing(), Standing::In);
        }

        #[test]
        fn while_it_is_on_trial_only_the_probe_decides(others in prop::collection::vec(any::<bool>(), 0..20), well: bool) {
            let mut outlier = Outlier::default();
            fail(&mut outlier, 5, S);
            outlier.advance(S * 6);
            prop_assert!(outlier.claim());
            for other in others {
                let back = if other { outlier.succeeded(false, S * 6) } else { outlier.failed(false, &RULES, true, S * 6).is_some() };
                prop_assert!(!back);
                prop_assert_eq!(outlier.standing(), Standing::Probing { under_way: true });
            }
            let decided = if well { outlier.succeeded(true, S * 6) } else { outlier.failed(true, &RULES, true, S * 6).is_some() };
            prop_assert!(decided);
        }

        #[test]
        fn nobody_is_ejected_for_longer_than_the_greatest_time(rounds in 1_usize..40) {
            let (mut outlier, mut now, mut last) = (Outlier::default(), S, Duration::ZERO);
            for _ in 0..rounds {
                let time = fail(&mut outlier, 1, now).or_else(|| fail(&mut outlier, 4, now));
                prop_assert!(time.is_some_and(|time| time <= RULES.max && time >= last));
                last = time.unwrap_or_default();
                now += last;
                outlier.advance(now);
            }
        }
    }
}
