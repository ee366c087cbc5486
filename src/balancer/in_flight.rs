//! A request under way at an upstream.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::upstream::{Outcome, Upstream};
use crate::settings::balancer::BalancerSettings;

/// What a request is there to find out, if anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trial {
    /// One of the few that a half-open breaker lets through.
    pub of_breaker: bool,
    /// The one that may show that an ejected one is well.
    pub of_ejected: bool,
}

/// From before it is sent until its answer has ended. Its place is free again when this is dropped.
#[derive(Debug)]
pub struct InFlight {
    upstream: Arc<Upstream>,
    /// Not told yet.
    trial: Option<Trial>,
}

impl InFlight {
    pub(super) const fn new(upstream: Arc<Upstream>, trial: Trial) -> Self {
        Self { upstream, trial: Some(trial) }
    }

    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// How the request went.
    pub fn ended(&mut self, outcome: Outcome, took: Duration, rtt: Option<Duration>, rules: &BalancerSettings) {
        let trial = self.trial.take().unwrap_or_default();
        self.upstream.ended(outcome, took, rtt, trial, rules);
    }

    /// No connection could be made for it.
    pub fn connect_failed(&mut self, took: Duration, reason: &str, rules: &BalancerSettings) {
        let trial = self.trial.take().unwrap_or_default();
        self.upstream.connect_failed(took, reason, trial, rules);
    }

    /// The answer broke off in the middle, or fell silent for `silent`.
    pub fn cut(&mut self, silent: Option<Duration>) {
        let Some(roster) = self.upstream.roster.upgrade() else { return };
        let rules = roster.settings.snapshot().balancer;
        let outcome = if silent.is_some() { Outcome::TooSlow } else { Outcome::Broken };
        self.ended(outcome, silent.unwrap_or_default(), None, &rules);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(trial) = self.trial.take() {
            self.upstream.give_back(trial);
        }
        self.upstream.in_flight.fetch_sub(1, Ordering::SeqCst);
        if let Some(roster) = self.upstream.roster.upgrade() {
            roster.places.notify_one();
        }
    }
}
