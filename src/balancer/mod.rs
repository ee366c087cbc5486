//! Sends each request to one of several upstreams: pools, policies, health, retries, forwarding.
//!
//! Knows addresses only. Whether an upstream is an instance of ours changes two headers and nothing else.
//!
//! On the way of a request: [`forward`] (attempts, one after another), [`choice`] (and [`queue`]),
//! [`attempt`], [`connection`], [`answer`]. [`roster`] holds the [`upstream`]s, [`health`] looks after them.

pub mod answer;
mod attempt;
mod choice;
mod connection;
mod distance;
pub mod events;
mod expect;
mod explain;
pub mod failure;
mod faults;
pub mod figures;
mod forward;
mod framing;
mod head_limit;
mod health;
mod in_flight;
mod known;
mod pool;
mod queue;
mod roster;
pub mod target;
mod turns;
pub mod upgrade;
pub mod upload;
mod upstream;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::watch;

use crate::observe::happening::Happenings;
use crate::policy::breaker;
use crate::policy::health::State;
use crate::policy::tally::Tally;
use crate::settings::balancer::BalancerPolicy;
use crate::settings::runtime::Settings;
use events::Event;
pub use roster::PoolRules;
use roster::Roster;
use target::Target;
use upstream::Upstream;

/// Something to send requests to.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// What screens and traces call it: `i1`. No two of one balancer have the same.
    pub id: String,
    pub target: Target,
    /// An instance of ours: it gets the `roundtrip-hop` header and writes a part of the trace.
    pub own: bool,
    /// Path of the health check. None: `/healthz` for an instance of ours, else whether it accepts connections.
    pub health_path: Option<String>,
    /// The version of what it runs, where that is known: figures of versions are compared.
    pub version: Option<String>,
    /// Its share beside the others; 0 gets no request.
    pub weight: u32,
}

impl UpstreamConfig {
    /// A foreign one of weight 1 that is healthy when it accepts connections.
    pub fn new(id: impl Into<String>, target: impl Into<Target>) -> Self {
        Self { id: id.into(), target: target.into(), own: false, health_path: None, version: None, weight: 1 }
    }

    /// The path that its health check asks, if it asks one.
    fn checked_path(&self) -> Option<&str> {
        self.health_path.as_deref().or(self.own.then_some("/healthz"))
    }

    /// What it is known by for longer than one configuration: where it is, since ids are places in a list. An
    /// instance of ours is elsewhere after each start, and its id its own.
    fn lasting_name(&self) -> String {
        if self.own { self.id.clone() } else { format!("{}:{}", self.target.host, self.target.port) }
    }
}

/// Who asks, as far as the choice depends on it.
#[derive(Debug, Clone)]
pub struct Caller {
    pub address: IpAddr,
    /// What its sticky cookie says.
    pub sticky: Option<String>,
    /// The route heeds `Idempotency-Key`: a POST with one may be sent twice.
    pub idempotency_key_counts: bool,
}

impl Caller {
    pub const fn at(address: IpAddr) -> Self {
        Self { address, sticky: None, idempotency_key_counts: false }
    }
}

/// An upstream as the balancer sees it now.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct InstanceView {
    pub id: String,
    /// The version of what it runs, where that is known.
    pub version: Option<String>,
    /// An instance of ours.
    pub own: bool,
    /// Host and port, as they were configured.
    pub target: String,
    /// Where that is; None while its name leads nowhere.
    pub address: Option<SocketAddr>,
    pub state: State,
    /// Why it is in its state; None before the first change.
    pub reason: Option<String>,
    pub breaker: breaker::State,
    pub weight: u32,
    pub draining: bool,
    pub in_flight: u64,
    /// Peak-EWMA of its response time; None before its first answer.
    pub ewma_us: Option<f64>,
    /// How long it is still left out.
    pub ejected_for_ms: Option<u64>,
}

/// Cheap to clone; all clones are the same balancer. The health checks end with the last of them.
#[derive(Debug, Clone)]
pub struct Balancer(Arc<Roster>);

impl Balancer {
    /// Starts the health checks on the current tokio runtime (and panics outside of one).
    pub fn new(upstreams: Vec<UpstreamConfig>, settings: Settings, hop_secret: String) -> Self {
        Self(Roster::new(upstreams, settings, hop_secret))
    }

    /// All upstreams, in the order of the configuration.
    pub fn view(&self) -> Vec<InstanceView> {
        let rules = self.0.rules();
        self.0.members.load().iter().map(|member| member.upstream.view(&rules)).collect()
    }

    /// Every upstream with what it was asked, in the same order.
    pub fn figures(&self) -> Vec<figures::Figures> {
        let rules = self.0.rules();
        let of = |upstream: &Upstream| upstream.counted.figures(upstream.view(&rules), upstream.own);
        self.0.members.load().iter().map(|member| of(&member.upstream)).collect()
    }

    /// Requests that may wait for a place at once, and those that one upstream may have under way.
    pub fn bounds(&self) -> (u64, u64) {
        let rules = self.0.rules();
        (rules.queue_length.saturating_mul(self.0.members.load().len() as u64), rules.concurrency)
    }

    /// What happened to the upstreams, the newest last; bounded.
    pub fn events(&self) -> Vec<Event> {
        self.0.events.list()
    }

    /// From now on each of them is recorded there, too.
    pub fn report_to(&self, happenings: &Happenings) {
        self.0.events.report_to(happenings);
    }

    /// Counts changes of state, list and weight, for those who show them.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.events.subscribe()
    }

    /// Requests that wait for a place.
    pub fn waiting(&self) -> u64 {
        self.0.queue.len()
    }

    /// Whether a first look at every upstream has been taken, whatever it found.
    pub fn is_ready(&self) -> bool {
        self.0.members.load().iter().all(|member| member.upstream.state() != State::Starting)
    }

    /// Waits until [`Self::is_ready`].
    pub async fn ready(&self) {
        let mut changes = self.changes();
        while !self.is_ready() {
            // The sender lives in self, so this never fails.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Replaces the upstreams while requests are under way. Those with the target, health path and kind of a
    /// present one stay as they are, but for their id, a changed weight and whom they trust; new ones start
    /// being checked; others get no new requests, and what they have under way ends.
    pub fn set_upstreams(&self, upstreams: Vec<UpstreamConfig>) {
        self.0.replace(upstreams);
    }

    /// Has another one beside those there are, or in the place of the one of its id, which leaves: it gets no new
    /// requests, and what it has under way ends.
    pub fn put_upstream(&self, upstream: UpstreamConfig) {
        self.0.put(upstream);
    }

    /// Has one leave; what it has under way ends. False when there is no such upstream.
    pub fn remove_upstream(&self, id: &str) -> bool {
        self.0.remove(id)
    }

    /// Waits until an upstream has no request under way; at once when there is no such upstream.
    pub async fn emptied(&self, id: &str) {
        if let Some(upstream) = self.0.find(id) {
            upstream.emptied().await;
        }
    }

    /// How its requests went since it came; None when there is no such upstream.
    pub fn tally(&self, id: &str) -> Option<Tally> {
        self.0.find(id).map(|upstream| upstream.tally())
    }

    /// From now on these hold for this pool, whatever the settings say.
    pub fn set_own_rules(&self, own: PoolRules) {
        self.0.set_own_rules(own);
    }

    /// How it chooses now.
    pub fn policy(&self) -> BalancerPolicy {
        self.0.rules().policy
    }

    /// Takes an upstream out (it is neither chosen nor checked; what is under way ends) or brings it back.
    /// False when there is no such upstream.
    pub fn set_stopped(&self, id: &str, stopped: bool) -> bool {
        let rules = self.0.rules();
        self.with(id, |upstream| upstream.set_stopped(stopped, &rules))
    }

    /// Empties an upstream (it gets no new requests, not even from those whose cookie names it; it is checked
    /// as before; what is under way ends) or lets it take requests again. False when there is no such upstream.
    pub fn set_draining(&self, id: &str, draining: bool) -> bool {
        let rules = self.0.rules();
        self.with(id, |upstream| upstream.set_draining(draining, &rules))
    }

    /// Changes an upstream's share; 0 gets no request. False when there is no such upstream.
    pub fn set_weight(&self, id: &str, weight: u32) -> bool {
        self.with(id, |upstream| upstream.set_weight(weight))
    }

    fn with(&self, id: &str, act: impl FnOnce(&Upstream)) -> bool {
        self.0.find(id).inspect(|upstream| act(upstream)).is_some()
    }
}
