//! Whether an upstream is taken for healthy: counts of checks in a row, so that one lost packet neither
//! condemns nor acquits.

/// What is known about an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not known yet; the first success suffices.
    Starting,
    Healthy,
    Unhealthy,
    /// Left out for a while, since it failed in answering ([`super::outlier`]).
    Ejected,
    /// Back from that on trial: one request may go to it.
    Probing,
    /// Gets no new requests; what is under way ends.
    Draining,
    /// Taken out on purpose: neither checked nor chosen.
    Stopped,
}

impl State {
    /// The word of the API and the screens.
    pub const fn id(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Healthy => "healthy",
            State::Unhealthy => "unhealthy",
            State::Ejected => "ejected",
            State::Probing => "probing",
            State::Draining => "draining",
            State::Stopped => "stopped",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row that make a healthy one unhealthy.
    pub fall: u64,
    /// Successes in a row that make an unhealthy one healthy.
    pub rise: u64,
}

/// What the checks have found, and how many in a row speak against it.
#[derive(Debug, Clone, Copy)]
pub struct Health {
    state: State,
    against: u64,
}

impl Default for Health {
    fn default() -> Self {
        Self { state: State::Starting, against: 0 }
    }
}

impl Health {
    /// Starting, healthy, unhealthy or stopped: the other states are no matter of checks.
    pub const fn state(self) -> State {
        self.state
    }

    /// Takes the outcome of an active check. True when the state changed.
    pub fn checked(&mut self, passed: bool, rules: &Rules) -> bool {
        let (agrees, needed, other) = match self.state {
            State::Starting if passed => return self.turn(State::Healthy),
            State::Starting => (false, rules.fall, State::Unhealthy),
            State::Healthy => (passed, rules.fall, State::Unhealthy),
            State::Unhealthy => (!passed, rules.rise, State::Healthy),
            _ => return false,
        };
        if agrees {
            self.against = 0;
            return false;
        }
        self.against += 1;
        self.against >= needed && self.turn(other)
    }

    /// No connection could be made for a request: one is enough, since the next request would fail too.
    /// Only active checks bring it back. True when the state changed.
    pub fn connect_failed(&mut self) -> bool {
        self.against = 0;
        self.state == State::Healthy && self.turn(State::Unhealthy)
    }

    /// Taken out (`true`) or brought back (`false`). True when the state changed.
    pub fn stopped(&mut self, stopped: bool) -> bool {
        match (self.state, stopped) {
            (State::Stopped, false) => self.turn(State::Starting),
            (State::Stopped, true) | (_, false) => false,
            (_, true) => self.turn(State::Stopped),
        }
    }

    fn turn(&mut self, state: State) -> bool {
        *self = Self { state, against: 0 };
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules { fall: 3, rise: 2 };

    #[test]
    fn the_first_success_suffices_then_three_failures_fell_and_two_successes_raise() {
        let mut health = Health::default();
        assert!(health.checked(true, &RULES) && health.state() == State::Healthy);
        assert!(!health.checked(false, &RULES) && !health.checked(false, &RULES) && !health.checked(true, &RULES));
        assert!(!health.checked(false, &RULES) && !health.checked(false, &RULES) && health.checked(false, &RULES));
        assert!(!health.checked(true, &RULES) && health.checked(true, &RULES) && health.state() == State::Healthy);
        assert!(health.connect_failed() && health.state() == State::Unhealthy);
    }

    proptest! {
        #[test]
        fn a_stopped_one_stays_stopped_whatever_is_checked(checks in prop::collection::vec(any::<bool>(), 0..20)) {
            let mut health = Health::default();
            health.stopped(true);
            for passed in checks {
                prop_assert!(!health.checked(passed, &RULES) && !health.connect_failed());
            }
            prop_assert_eq!(health.state(), State::Stopped);
            health.stopped(false);
            prop_assert_eq!(health.state(), State::Starting);
        }

        #[test]
        fn it_turns_only_after_a_full_row(checks in prop::collection::vec(any::<bool>(), 0..60)) {
            let mut health = Health::default();
            health.checked(true, &RULES);
            let (mut row, mut last) = (0, true);
            for passed in checks {
                row = if passed == last { row + 1 } else { 1 };
                last = passed;
                if health.checked(passed, &RULES) {
                    let needed = if passed { RULES.rise } else { RULES.fall };
                    prop_assert!(row >= needed);
                }
            }
        }
    }
}
