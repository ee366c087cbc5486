//! What is known about one upstream, and what a choice compares of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::target::Target;
use crate::observe::clock::Tick;
use crate::policy::breaker::{self, Breaker};
use crate::policy::ewma::PeakEwma;
use crate::policy::health::{Health, State};
use crate::policy::outlier::{Outlier, Standing};
use crate::policy::slow_start;
use crate::policy::tally::Tally;
use crate::settings::balancer::BalancerSettings;

#[derive(Debug)]
pub struct Known {
    pub target: Arc<Target>,
    pub addresses: Arc<[SocketAddr]>,
    pub weight: u32,
    pub configured_weight: u32,
    pub draining: bool,
    pub health: Health,
    pub outlier: Outlier,
    pub breaker: Breaker,
    pub tally: Tally,
    pub ewma: PeakEwma,
    /// It has been healthy before: the next time, it comes back.
    pub was_healthy: bool,
    pub back_since: Option<Duration>,
    /// Why it is in its state.
    pub reason: Option<String>,
}

impl Known {
    pub fn new(target: Target, weight: u32) -> Self {
        Self {
            addresses: target.address().into_iter().collect(),
            target: Arc::new(target),
            weight,
            configured_weight: weight,
            draining: false,
            health: Health::default(),
            outlier: Outlier::default(),
            breaker: Breaker::default(),
            tally: Tally::default(),
            ewma: PeakEwma::new(now()),
            was_healthy: false,
            back_since: None,
            reason: None,
        }
    }

    pub fn state(&self) -> State {
        match (self.health.state(), self.outlier.standing()) {
            (State::Stopped, _) => State::Stopped,
            _ if self.draining => State::Draining,
            (State::Healthy, Standing::Ejected { .. }) => State::Ejected,
            (State::Healthy, Standing::Probing { .. }) => State::Probing,
            (state, _) => state,
        }
    }

    /// Of one that has so many requests under way; its serial and hash are its upstream's to add.
    pub fn look(&self, in_flight: u64, rules: &BalancerSettings, now: Duration) -> Look {
        let back_for = self.back_since.map_or(Duration::MAX, |back| now.saturating_sub(back));
        Look {
            serial: 0,
            hash: 0,
            state: self.state(),
            trial_taken: self.outlier.standing() == Standing::Probing { under_way: true },
            breaker: self.breaker.state(rules.breaker.mode),
            permitted: self.breaker.permits(&rules.breaker),
            open_for: self.breaker.open_until().map(|until| until.saturating_sub(now)),
            full: in_flight >= rules.concurrency,
            in_flight,
            set_weight: self.weight,
            weight: f64::from(self.weight) * slow_start::share(back_for, rules.slow_start),
            ewma: self.ewma,
            at: now,
        }
    }

    /// Whether time alone changes something: an ejection or an open breaker whose time is over.
    pub fn is_due(&self, now: Duration) -> bool {
        let ejected = matches!(self.outlier.standing(), Standing::Ejected { until } if now >= until);
        ejected || self.breaker.open_until().is_some_and(|until| now >= until)
    }

    /// It is back: it starts slowly, and what was measured before says little about now.
    pub fn comes_back(&mut self, now: Duration) {
        (self.back_since, self.ewma) = (Some(now), PeakEwma::new(now));
    }
}

/// What a choice compares, read at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub serial: u64,
    pub hash: u64,
    pub state: State,
    /// Back on trial, and the one request that may try is under way.
    pub trial_taken: bool,
    pub breaker: breaker::State,
    pub permitted: bool,
    /// How long until the breaker lets somebody try.
    pub open_for: Option<Duration>,
    pub full: bool,
    pub in_flight: u64,
    /// As it was set.
    pub set_weight: u32,
    /// What slow start leaves of it.
    pub weight: f64,
    pub ewma: PeakEwma,
    pub at: Duration,
}

/// Time on the axis that the rules count by.
pub fn now() -> Duration {
    Tick::now().since(Tick::default())
}
