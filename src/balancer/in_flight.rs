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
    /// None: it is told how the request went.
    trial: Option<Trial>,
    /// How long its answer's head took.
    took: Duration,
}

impl InFlight {
    pub(super) const fn new(upstream: Arc<Upstream>, trial: Trial) -> Self {
        Self { upstream, trial: Some(trial), took: Duration::ZERO }
    }

    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// How the request went. Told once: the first word holds.
    pub fn ended(&mut self, outcome: Outcome, took: Duration, rules: &BalancerSettings) {
        if let Some(trial) = self.trial.take() {
            self.upstream.ended(outcome, took, trial, rules);
        }
    }

    /// No connection could be made for it.
    pub fn connect_failed(&mut self, took: Duration, reason: &str, rules: &BalancerSettings) {
        if let Some(trial) = self.trial.take() {
            self.upstream.connect_failed(took, reason, trial, rules);
        }
    }

    /// The head of a good answer came. Whether the request went well is known only when its body has ended.
    /// `rtt`: the time that it took, if that says how fast the upstream is.
    pub fn answered(&mut self, rtt: Option<Duration>) {
        if let Some(rtt) = rtt {
            self.took = rtt;
            self.upstream.answered(rtt);
        }
    }

    /// The answer came to its end.
    pub fn finished(&mut self) {
        self.tell(Outcome::Good, self.took);
    }

    /// The answer broke off in the middle, or fell silent for `silent`.
    pub fn cut(&mut self, silent: Option<Duration>) {
        let outcome = if silent.is_some() { Outcome::TooSlow } else { Outcome::Broken };
        self.tell(outcome, silent.unwrap_or_default());
    }

    fn tell(&mut self, outcome: Outcome, took: Duration) {
        if self.trial.is_some()
            && let Some(rules) = self.upstream.rules()
        {
            self.ended(outcome, took, &rules);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(trial) = self.trial.take() {
            self.upstream.give_back(trial);
        }
        if self.upstream.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.upstream.idle.notify_waiters();
        }
        if let Some(roster) = self.upstream.roster.upgrade() {
            roster.places.notify_one();
        }
    }
}
