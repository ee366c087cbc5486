//! One upstream: what is known about it, and its kept connections.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::figures::Counted;
use super::in_flight::{InFlight, Trial};
use super::known::{Known, Look, now};
use super::pool::Pool;
use super::roster::Roster;
use super::target::Target;
use super::{InstanceView, UpstreamConfig};
use crate::policy::breaker::{self, Breaker};
use crate::policy::health::State;
use crate::policy::outlier::{Outlier, Standing};
use crate::policy::rendezvous;
use crate::policy::tally::Tally;
use crate::settings::balancer::BalancerSettings;

#[derive(Debug)]
pub struct Upstream {
    /// What it is called, which a new configuration may change: places in a list have names, and those move.
    id: ArcSwap<String>,
    /// Its own number in this balancer, never used again: positions change, this doesn't.
    pub serial: u64,
    pub own: bool,
    pub version: Option<String>,
    pub health_path: Option<String>,
    /// What a sticky cookie says.
    pub token: String,
    /// Its name ([`UpstreamConfig::lasting_name`]), hashed.
    pub hash: u64,
    pub pool: Pool,
    pub counted: Counted,
    /// Wakes the health check: what it knew no longer holds.
    pub news: Notify,
    pub(super) in_flight: AtomicU64,
    /// Told when nothing is under way any more.
    pub(super) idle: Notify,
    pub(super) roster: Weak<Roster>,
    known: Mutex<Known>,
}

/// What a request says about its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Good,
    /// It answered, with a status of 500 or above.
    Status(u16),
    Broken,
    TooSlow,
}

impl Outcome {
    fn words(self) -> String {
        match self {
            Outcome::Good => "it answered well".to_owned(),
            Outcome::Status(status) => format!("it answered {status}"),
            Outcome::Broken => "it broke off".to_owned(),
            Outcome::TooSlow => "it took too long".to_owned(),
        }
    }
}

impl Upstream {
    pub fn new(config: UpstreamConfig, serial: u64, token: String, roster: Weak<Roster>) -> Self {
        Self {
            health_path: config.checked_path().map(str::to_owned),
            hash: rendezvous::hash(config.lasting_name().as_bytes()),
            id: ArcSwap::new(Arc::new(config.id)),
            serial,
            own: config.own,
            version: config.version,
            token,
            pool: Pool::default(),
            counted: Counted::default(),
            news: Notify::new(),
            in_flight: AtomicU64::new(0),
            idle: Notify::new(),
            roster,
            known: Mutex::new(Known::new(config.target, config.weight)),
        }
    }

    pub fn id(&self) -> String {
        self.id.load().as_ref().clone()
    }

    /// Where it is: the target and, if that is a name, what it was last resolved to.
    pub fn place(&self) -> (Arc<Target>, Arc<[SocketAddr]>) {
        let known = self.known();
        (Arc::clone(&known.target), Arc::clone(&known.addresses))
    }

    /// How its requests went since it came.
    pub fn tally(&self) -> Tally {
        self.known().tally.clone()
    }

    /// Waits until nothing is under way.
    pub async fn emptied(&self) {
        loop {
            let mut idle = pin!(self.idle.notified());
            // Before the look: what ends from here on is heard of.
            idle.as_mut().enable();
            if self.in_flight.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }

    pub fn state(&self) -> State {
        self.known().state()
    }

    /// What holds in its pool; None once the balancer is gone.
    pub fn rules(&self) -> Option<Arc<BalancerSettings>> {
        self.roster.upgrade().map(|roster| roster.rules())
    }

    pub fn look(&self, rules: &BalancerSettings, now: Duration) -> Look {
        let in_flight = self.in_flight.load(Ordering::SeqCst);
        let known = self.advance(rules, now);
        Look { serial: self.serial, hash: self.hash, ..known.look(in_flight, rules, now) }
    }

    /// What is known, with what time alone has changed.
    fn advance(&self, rules: &BalancerSettings, now: Duration) -> MutexGuard<'_, Known> {
        let known = self.known();
        if !known.is_due(now) {
            return known;
        }
        drop(known);
        let why = || "its time is over; it is on trial".to_owned();
        self.update(rules, why, |known| {
            if known.outlier.advance(now) | known.breaker.advance(now) {
                known.comes_back(now);
            }
        });
        self.known()
    }

    /// Begins a request, if it still may: between the look and now, others may have come. `panic`: whether
    /// even a sick one is used.
    pub fn admit(self: &Arc<Self>, rules: &BalancerSettings, panic: bool) -> Option<InFlight> {
        let trial = {
            let mut known = self.known();
            let leaves = matches!(known.state(), State::Stopped | State::Draining);
            let tried = !panic && known.outlier.standing() == Standing::Probing { under_way: true };
            if leaves || tried || !known.breaker.permits(&rules.breaker) {
                return None;
            }
            let one_more = |count: u64| (count < rules.concurrency).then_some(count + 1);
            self.in_flight.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
            Trial { of_breaker: known.breaker.claim(), of_ejected: known.outlier.claim() }
        };
        Some(InFlight::new(Arc::clone(self), trial))
    }

    /// A trial ended without telling anything.
    pub(super) fn give_back(&self, trial: Trial) {
        let mut known = self.known();
        if trial.of_breaker {
            known.breaker.release();
        }
        if trial.of_ejected {
            known.outlier.release();
        }
    }

    /// The head of a good answer took so long.
    pub(super) fn answered(&self, rtt: Duration) {
        self.known().ewma.observe(rtt, now());
    }

    /// A request to it ended; its answer's head took so long, or its failure.
    pub(super) fn ended(&self, outcome: Outcome, took: Duration, trial: Trial, rules: &BalancerSettings) {
        let failed = outcome != Outcome::Good;
        // One at a time, or two would eject each other for the sake of the other.
        let roster = if failed { self.roster.upgrade() } else { None };
        let _one = roster.as_ref().map(|roster| roster.ejecting.lock().unwrap_or_else(PoisonError::into_inner));
        let may_leave =
            roster.as_ref().is_some_and(|roster| !roster.is_blind() && roster.has_another_to_ask(self.serial, rules));
        self.update(
            rules,
            || outcome.words(),
            |known| {
                let now = now();
                known.tally.count(failed, took);
                if failed {
                    known.ewma.observe_failure(took, now);
                }
                known.breaker.record(breaker::Call { failed, took, trial: trial.of_breaker }, &rules.breaker, now);
                if !failed {
                    if known.outlier.succeeded(trial.of_ejected, now) {
                        known.comes_back(now);
                    }
                } else if known.outlier.failed(trial.of_ejected, &rules.ejection, may_leave, now).is_some() {
                    self.pool.clear();
                }
            },
        );
        if let Some(roster) = &roster {
            roster.turns().failed(self.serial, rules.ejection.failures);
        }
    }

    /// Whether a fault keeps what is known of it as it is.
    pub fn is_unwatched(&self) -> bool {
        self.roster.upgrade().is_some_and(|roster| roster.is_blind())
    }

    /// No connection could be made: kept ones are as dead.
    pub(super) fn connect_failed(&self, took: Duration, reason: &str, trial: Trial, rules: &BalancerSettings) {
        self.pool.clear();
        self.ended(Outcome::Broken, took, trial, rules);
        if self.is_unwatched() {
            return;
        }
        self.update(
            rules,
            || format!("no connection could be made: {reason}"),
            |known| {
                known.health.connect_failed();
            },
        );
    }

    /// The outcome of a health check, unless it is of a place where it is no more.
    pub fn checked(&self, place: &Arc<Target>, verdict: Result<(), String>, rules: &BalancerSettings) {
        let passed = verdict.is_ok();
        let why = || match verdict {
            Ok(()) => "its health check passed".to_owned(),
            Err(reason) => format!("its health check failed: {reason}"),
        };
        self.update(rules, why, |known| {
            if Arc::ptr_eq(&known.target, place)
                && known.health.checked(passed, &rules.health)
                && known.health.state() == State::Healthy
                && std::mem::replace(&mut known.was_healthy, true)
            {
                // Whatever its requests met before, it is well now.
                (known.outlier, known.breaker) = (Outlier::default(), Breaker::default());
                known.comes_back(now());
            }
        });
    }

    /// What its name leads to now.
    pub fn resolved(&self, place: &Arc<Target>, addresses: &[SocketAddr]) {
        let mut known = self.known();
        if Arc::ptr_eq(&known.target, place) && *known.addresses != *addresses {
            known.addresses = addresses.into();
        }
    }

    pub fn set_stopped(&self, stopped: bool, rules: &BalancerSettings) {
        self.pool.clear();
        let why = if stopped { "it was taken out" } else { "it was brought back" };
        self.update(
            rules,
            || why.to_owned(),
            |known| {
                if known.health.stopped(stopped) {
                    (known.outlier, known.breaker) = (Outlier::default(), Breaker::default());
                }
            },
        );
        self.news.notify_one();
    }

    pub fn set_draining(&self, draining: bool, rules: &BalancerSettings) {
        let why = if draining { "it is being emptied" } else { "it takes requests again" };
        self.update(
            rules,
            || why.to_owned(),
            |known| {
                if std::mem::replace(&mut known.draining, draining) && !draining {
                    known.comes_back(now());
                }
            },
        );
    }

    pub fn set_weight(&self, weight: u32) {
        self.known().weight = weight;
        self.changed();
    }

    /// Before it is in the list: a weight that was set by hand is that of the id.
    pub fn inherit(&self, before: &Upstream) {
        let weight = before.known().weight;
        self.known().weight = weight;
    }

    /// What a new configuration says of it. A weight that was set by hand holds until another is configured.
    pub fn configure(&self, config: UpstreamConfig) {
        self.id.store(Arc::new(config.id));
        {
            let mut known = self.known();
            if std::mem::replace(&mut known.configured_weight, config.weight) != config.weight {
                known.weight = config.weight;
            }
        }
        self.trust(config.target);
    }

    /// The same place, but what is trusted there may be new.
    fn trust(&self, target: Target) {
        let mut known = self.known();
        if let (Some(now), Some(new)) = (&known.target.tls, &target.tls)
            && !Arc::ptr_eq(&now.config, &new.config)
        {
            known.target = Arc::new(target);
            drop(known);
            self.pool.clear();
            self.news.notify_one();
        }
    }

    pub fn view(&self, rules: &BalancerSettings) -> InstanceView {
        let look = self.look(rules, now());
        let known = self.known();
        let ejected_for = match known.outlier.standing() {
            Standing::Ejected { until } => Some(until.saturating_sub(look.at)),
            _ => None,
        };
        InstanceView {
            id: self.id(),
            version: self.version.clone(),
            own: self.own,
            target: known.target.authority(),
            address: known.addresses.first().copied(),
            state: look.state,
            reason: known.reason.clone(),
            breaker: look.breaker,
            weight: known.weight,
            draining: known.draining,
            in_flight: look.in_flight,
            ewma_us: known.ewma.measured_us(),
            ejected_for_ms: ejected_for.map(|left| left.as_millis() as u64),
        }
    }

    /// Changes what is known; a changed state becomes an event.
    fn update(&self, rules: &BalancerSettings, why: impl FnOnce() -> String, act: impl FnOnce(&mut Known)) {
        let mode = rules.breaker.mode;
        let (before, after, reason) = {
            let mut known = self.known();
            let before = (known.state(), known.breaker.state(mode));
            act(&mut known);
            let after = (known.state(), known.breaker.state(mode));
            if before == after {
                return;
            }
            let reason = why();
            known.reason = Some(reason.clone());
            (before, after, reason)
        };
        let Some(roster) = self.roster.upgrade() else { return };
        if before.0 != after.0 {
            roster.events.record(&self.id(), before.0.id(), after.0.id(), &reason);
        }
        if before.1 != after.1 {
            let breaker = |state: breaker::State| format!("breaker {}", state.id());
            roster.events.record(&self.id(), breaker(before.1), breaker(after.1), &reason);
        }
        roster.places.notify_one();
    }

    fn changed(&self) {
        if let Some(roster) = self.roster.upgrade() {
            roster.events.changed();
            roster.places.notify_one();
        }
    }

    /// A panic elsewhere never ends balancing: these are plain values.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
