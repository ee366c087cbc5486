//! Sends each request to one of several upstreams: pools, policies, health, retries, forwarding.
//!
//! Knows addresses only. Whether an upstream is an instance of ours changes two headers and nothing else.

pub mod answer;
mod choice;
mod connection;
mod expect;
pub mod failure;
mod forward;
mod framing;
mod health;
mod pool;
pub mod timeouts;
pub mod upgrade;
pub mod upload;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::policy::health::State;
use crate::policy::random;
use crate::settings::runtime::Settings;
use timeouts::Timeouts;
use upstream::Upstream;

/// Something to send requests to.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// What screens and traces call it: `i1`.
    pub id: String,
    pub address: SocketAddr,
    /// An instance of ours: it gets the `roundtrip-hop` header and writes a part of the trace.
    pub own: bool,
    /// Path of the health check. None: `/healthz` for an instance of ours, else whether it accepts connections.
    pub health_path: Option<String>,
}

/// An upstream as the balancer sees it now.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct InstanceView {
    pub id: String,
    pub address: SocketAddr,
    pub state: State,
    pub in_flight: u64,
    /// Peak-EWMA of its response time; None before its first answer.
    pub ewma_us: Option<f64>,
}

/// Cheap to clone; all clones are the same balancer. The health checks end with the last of them.
#[derive(Debug, Clone)]
pub struct Balancer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    upstreams: Vec<Arc<Upstream>>,
    settings: Settings,
    hop_secret: String,
    timeouts: Timeouts,
    /// Position of the upstream whose turn it was; `usize::MAX` before the first.
    last_turn: AtomicUsize,
    random_state: AtomicU64,
    changes: watch::Sender<u64>,
    checks: Vec<AbortHandle>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        for check in &self.checks {
            check.abort();
        }
    }
}

impl Balancer {
    /// Starts the health checks on the current tokio runtime (and panics outside of one).
    pub fn new(upstreams: Vec<UpstreamConfig>, settings: Settings, hop_secret: String) -> Self {
        Self::with_timeouts(upstreams, settings, hop_secret, Timeouts::default())
    }

    /// As [`Self::new`], with another patience.
    pub fn with_timeouts(
        upstreams: Vec<UpstreamConfig>,
        settings: Settings,
        hop_secret: String,
        timeouts: Timeouts,
    ) -> Self {
        let changes = watch::Sender::new(0);
        let upstreams: Vec<Arc<Upstream>> =
            upstreams.into_iter().map(|config| Arc::new(Upstream::new(config, changes.clone()))).collect();
        let checks = upstreams
            .iter()
            .map(|upstream| {
                tokio::spawn(health::check_forever(Arc::clone(upstream), settings.clone(), hop_secret.clone()))
                    .abort_handle()
            })
            .collect();
        Self(Arc::new(Inner {
            upstreams,
            settings,
            hop_secret,
            timeouts,
            last_turn: AtomicUsize::new(usize::MAX),
            random_state: AtomicU64::new(seed()),
            changes,
            checks,
        }))
    }

    /// All upstreams, in the order of the configuration.
    pub fn view(&self) -> Vec<InstanceView> {
        self.0.upstreams.iter().map(|upstream| upstream.view()).collect()
    }

    /// Counts changes of state and address, for those who show them.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Whether a first look at every upstream has been taken and one of them at least is healthy.
    pub fn is_ready(&self) -> bool {
        let is = |wanted| move |upstream: &Arc<Upstream>| upstream.state() == wanted;
        self.0.upstreams.iter().any(is(State::Healthy)) && !self.0.upstreams.iter().any(is(State::Starting))
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

    /// Takes an upstream out (it is neither chosen nor checked; what is under way ends) or brings it back.
    /// False when there is no such upstream.
    pub fn set_stopped(&self, id: &str, stopped: bool) -> bool {
        let found = self.0.upstreams.iter().find(|upstream| upstream.id == id);
        found.inspect(|upstream| upstream.set_stopped(stopped)).is_some()
    }

    /// An instance that was started again listens elsewhere. It has to prove its health anew.
    /// False when there is no such upstream.
    pub fn set_address(&self, id: &str, address: SocketAddr) -> bool {
        let found = self.0.upstreams.iter().find(|upstream| upstream.id == id);
        found.inspect(|upstream| upstream.set_address(address)).is_some()
    }

    fn random(&self) -> u64 {
        random::split_mix(self.0.random_state.fetch_add(random::STEP, Ordering::Relaxed))
    }
}

fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // RandomState takes its keys from the system's random source.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
