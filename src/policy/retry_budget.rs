//! A budget for retries: a share of the requests, and a few in any case. Without one, retries double the load
//! on those that fail under it (Finagle's and tower's retry budget).

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Percent of the requests that may be retried.
    pub ratio: u64,
    /// Retries a second that are allowed however few requests there are.
    pub floor: u64,
    /// What is counted lies within this; whole seconds.
    pub window: Duration,
}

/// Slots of one window.
const SLOTS: usize = 10;

/// What happened in a tenth of the window.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Number of the tenth since the beginning of time.
    at: u64,
    requests: u64,
    retries: u64,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct RetryBudget([Slot; SLOTS]);

impl RetryBudget {
    /// A request came.
    pub fn deposit(&mut self, rules: &Rules, now: Duration) {
        self.slot(rules, now).requests += 1;
    }

    /// Whether there may be one more retry; if so, it is counted.
    pub fn withdraw(&mut self, rules: &Rules, now: Duration) -> bool {
        let tenth = tenth(rules, now);
        let live = self.0.iter().filter(|slot| slot.at <= tenth && tenth - slot.at < SLOTS as u64);
        let (requests, retries) =
            live.fold((0, 0), |(requests, retries), slot| (requests + slot.requests, retries + slot.retries));
        let allowed = requests * rules.ratio + rules.floor * rules.window.as_secs().max(1) * 100;
        if (retries + 1) * 100 > allowed {
            return false;
        }
        self.slot(rules, now).retries += 1;
        true
    }

    fn slot(&mut self, rules: &Rules, now: Duration) -> &mut Slot {
        let at = tenth(rules, now);
        let slot = &mut self.0[(at % SLOTS as u64) as usize];
        if slot.at != at {
            *slot = Slot { at, ..Slot::default() };
        }
        slot
    }
}

fn tenth(rules: &Rules, now: Duration) -> u64 {
    let length = (rules.window / SLOTS as u32).as_millis().max(1);
    (now.as_millis() / length) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules { ratio: 20, floor: 10, window: Duration::from_secs(10) };

    fn at(ms: u64) -> Duration {
        Duration::from_secs(1_000) + Duration::from_millis(ms)
    }

    #[test]
    fn without_requests_only_the_floor_is_there_and_it_comes_back() {
        let mut budget = RetryBudget::default();
        let granted = (0..200).filter(|_| budget.withdraw(&RULES, at(0))).count();
        assert_eq!(granted, 100, "10 a second over 10 s");
        assert!(!budget.withdraw(&RULES, at(8_900)) && budget.withdraw(&RULES, at(11_000)));
    }

    proptest! {
        #[test]
        fn retries_never_exceed_the_share_and_the_floor(
            steps in prop::collection::vec((0_u64..400, any::<bool>()), 0..400),
        ) {
            let rules = Rules { floor: 1, ..RULES };
            let (mut budget, mut now) = (RetryBudget::default(), 0);
            let (mut requests, mut retries) = (Vec::new(), Vec::new());
            for (step, is_request) in steps {
                now += step;
                if is_request {
                    budget.deposit(&rules, at(now));
                    requests.push(now);
                } else if budget.withdraw(&rules, at(now)) {
                    retries.push(now);
                    let lately = |all: &[u64], ms: u64| all.iter().filter(|at| now - **at < ms).count() as u64;
                    prop_assert!(lately(&retries, 9_000) * 100 <= lately(&requests, 10_000) * 20 + 1_000);
                }
            }
        }
    }
}
