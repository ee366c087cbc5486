//! A circuit breaker: after too many failed or slow calls nobody calls for a while; then a few try.
//!
//! States, names and rates are resilience4j's, with a window that counts calls.

use std::time::Duration;

/// Whether the breaker decides for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    On,
    /// Every call is permitted and none is counted.
    Off,
    /// No call is permitted.
    ForcedOpen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub mode: Mode,
    /// Calls that are remembered; at most [`WINDOW_MAX`].
    pub window: u64,
    /// With fewer remembered, nothing is concluded.
    pub minimum: u64,
    /// Percent of failed calls from which it opens.
    pub failure_rate: u64,
    /// Percent of slow calls from which it opens.
    pub slow_rate: u64,
    /// A call that takes longer is slow.
    pub slow_after: Duration,
    /// How long it stays open.
    pub open_for: Duration,
    /// Calls that then try.
    pub half_open_calls: u64,
}

/// One bit a call.
pub const WINDOW_MAX: u64 = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Closed,
    Open,
    HalfOpen,
    ForcedOpen,
    Disabled,
}

impl State {
    /// The word of the API and the screens.
    pub const fn id(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half_open",
            State::ForcedOpen => "forced_open",
            State::Disabled => "disabled",
        }
    }
}

/// How a permitted call went.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub failed: bool,
    pub took: Duration,
    /// What [`Breaker::claim`] said when it began.
    pub trial: bool,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Breaker {
    circuit: Circuit,
    counted: Counted,
}

#[derive(Debug, Clone, Copy, Default)]
enum Circuit {
    #[default]
    Closed,
    Open {
        until: Duration,
    },
    HalfOpen {
        begun: u64,
    },
}

/// The last calls, the youngest in the lowest bit.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    calls: u64,
    failed: u128,
    slow: u128,
}

impl Counted {
    fn push(&mut self, failed: bool, slow: bool, window: u64) {
        let window = window.clamp(1, WINDOW_MAX);
        let mask = u128::MAX >> (WINDOW_MAX - window);
        self.failed = (self.failed << 1 | u128::from(failed)) & mask;
        self.slow = (self.slow << 1 | u128::from(slow)) & mask;
        self.calls = (self.calls + 1).min(window);
    }

    fn is_bad(&self, rules: &Rules) -> bool {
        let reaches = |count: u32, percent: u64| u64::from(count) * 100 >= percent.max(1) * self.calls;
        reaches(self.failed.count_ones(), rules.failure_rate) || reaches(self.slow.count_ones(), rules.slow_rate)
    }
}

impl Breaker {
    pub const fn state(&self, mode: Mode) -> State {
        match (mode, self.circuit) {
            (Mode::Off, _) => State::Disabled,
            (Mode::ForcedOpen, _) => State::ForcedOpen,
            (Mode::On, Circuit::Closed) => State::Closed,
            (Mode::On, Circuit::Open { .. }) => State::Open,
            (Mode::On, Circuit::HalfOpen { .. }) => State::HalfOpen,
        }
    }

    /// Whether a call may begin now.
    pub fn permits(&self, rules: &Rules) -> bool {
        match (rules.mode, self.circuit) {
            (Mode::Off, _) => true,
            (Mode::ForcedOpen, _) | (Mode::On, Circuit::Open { .. }) => false,
            (Mode::On, Circuit::Closed) => true,
            (Mode::On, Circuit::HalfOpen { begun }) => begun < rules.half_open_calls.max(1),
        }
    }

    /// Until it lets somebody try; None while it is not open.
    pub const fn open_until(&self) -> Option<Duration> {
        match self.circuit {
            Circuit::Open { until } => Some(until),
            Circuit::Closed | Circuit::HalfOpen { .. } => None,
        }
    }

    /// Time passes. True when the state changed.
    pub fn advance(&mut self, now: Duration) -> bool {
        let due = self.open_until().is_some_and(|until| now >= until);
        if due {
            *self = Self { circuit: Circuit::HalfOpen { begun: 0 }, counted: Counted::default() };
        }
        due
    }

    /// A permitted call begins; whether it is one of the few that try.
    pub const fn claim(&mut self) -> bool {
        if let Circuit::HalfOpen { begun } = &mut self.circuit {
            *begun += 1;
            return true;
        }
        false
    }

    /// A trial ended without telling anything: another may try instead.
    pub const fn release(&mut self) {
        if let Circuit::HalfOpen { begun } = &mut self.circuit {
            *begun = begun.saturating_sub(1);
        }
    }

    /// A call ended.
    pub fn record(&mut self, call: Call, rules: &Rules, now: Duration) {
        let slow = call.took > rules.slow_after;
        match self.circuit {
            _ if rules.mode == Mode::Off => *self = Self::default(),
            // It began before the circuit opened, and says nothing about how it is now.
            Circuit::Open { .. } => {}
            Circuit::HalfOpen { .. } if !call.trial => {}
            Circuit::HalfOpen { .. } => {
                let trials = rules.half_open_calls.clamp(1, WINDOW_MAX);
                self.counted.push(call.failed, slow, trials);
                if self.counted.calls >= trials {
                    if self.counted.is_bad(rules) { self.open(rules, now) } else { *self = Self::default() }
                }
            }
            Circuit::Closed => {
                self.counted.push(call.failed, slow, rules.window);
                // A minimum above the window would never be reached.
                let enough = self.counted.calls >= rules.minimum.min(rules.window.min(WINDOW_MAX));
                if enough && self.counted.is_bad(rules) {
                    self.open(rules, now);
                }
            }
        }
    }

    fn open(&mut self, rules: &Rules, now: Duration) {
        *self = Self { circuit: Circuit::Open { until: now + rules.open_for }, counted: Counted::default() };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    const RULES: Rules = Rules {
        mode: Mode::On,
        window: 20,
        minimum: 10,
        failure_rate: 50,
        slow_rate: 100,
        slow_after: S,
        open_for: Duration::from_secs(5),
        half_open_calls: 3,
    };

    fn call(breaker: &mut Breaker, failed: bool, took: Duration, now: Duration) {
        let trial = breaker.claim();
        breaker.record(Call { failed, took, trial }, &RULES, now);
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        (0..10).for_each(|_| call(&mut breaker, true, S, S));
        breaker
    }

    #[test]
    fn half_of_ten_failures_open_it_and_nine_calls_say_nothing() {
        let mut breaker = Breaker::default();
        for number in 0..9 {
            call(&mut breaker, number % 2 == 0, S, S);
        }
        assert_eq!(breaker.state(Mode::On), State::Closed);
        call(&mut breaker, false, S, S);
        assert!(breaker.state(Mode::On) == State::Open && !breaker.permits(&RULES));
    }

    #[test]
    fn slow_calls_alone_open_it() {
        let mut breaker = Breaker::default();
        (0..10).for_each(|_| call(&mut breaker, false, S * 2, S));
        assert_eq!(breaker.state(Mode::On), State::Open);
    }

    #[test]
    fn after_its_time_three_try_and_a_fourth_may_not_until_one_of_them_gives_up() {
        let mut breaker = opened();
        assert!(!breaker.advance(S * 5) && breaker.advance(S * 6));
        for _ in 0..3 {
            assert!(breaker.permits(&RULES) && breaker.claim());
        }
        assert!(!breaker.permits(&RULES));
        breaker.release();
        assert!(breaker.permits(&RULES));
    }

    #[test]
    fn good_trials_close_it_and_bad_ones_open_it_again() {
        for (failed, state) in [(false, State::Closed), (true, State::Open)] {
            let mut breaker = opened();
            breaker.advance(S * 6);
            (0..3).for_each(|_| call(&mut breaker, failed, S, S * 6));
            assert_eq!(breaker.state(Mode::On), state);
        }
    }

    #[test]
    fn a_call_from_before_it_opened_decides_nothing() {
        let mut breaker = opened();
        breaker.advance(S * 6);
        for _ in 0..3 {
            breaker.record(Call { failed: false, took: S, trial: false }, &RULES, S * 6);
        }
        assert_eq!(breaker.state(Mode::On), State::HalfOpen);
    }

    #[test]
    fn off_permits_all_and_forced_open_none() {
        let breaker = opened();
        assert!(breaker.permits(&Rules { mode: Mode::Off, ..RULES }));
        assert!(!Breaker::default().permits(&Rules { mode: Mode::ForcedOpen, ..RULES }));
    }

    proptest! {
        #[test]
        fn it_opens_only_when_the_last_calls_reach_the_rate(calls in prop::collection::vec(any::<bool>(), 0..100)) {
            let mut breaker = Breaker::default();
            for (index, failed) in calls.iter().enumerate() {
                call(&mut breaker, *failed, Duration::ZERO, S);
                let seen = &calls[..=index];
                let last = &seen[seen.len().saturating_sub(20)..];
                let failed = last.iter().filter(|failed| **failed).count();
                let bad = last.len() >= 10 && failed * 2 >= last.len();
                prop_assert_eq!(breaker.state(Mode::On) == State::Open, bad);
                if bad {
                    break;
                }
            }
        }
    }
}
