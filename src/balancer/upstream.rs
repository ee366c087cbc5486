//! One upstream: what is known about it, and its kept connections.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::pool::Pool;
use super::{InstanceView, UpstreamConfig};
use crate::observe::clock::Tick;
use crate::policy::ewma::PeakEwma;
use crate::policy::health::{Health, State};

#[derive(Debug)]
pub struct Upstream {
    pub id: String,
    pub own: bool,
    pub health_path: Option<String>,
    pub pool: Pool,
    /// Wakes the health check: what it knew no longer holds.
    pub news: Notify,
    in_flight: AtomicU64,
    known: Mutex<Known>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Known {
    address: SocketAddr,
    health: Health,
    ewma: PeakEwma,
}

/// What a choice compares, read at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    pub state: State,
    pub in_flight: u64,
    pub ewma_us: Option<f64>,
    pub cost: f64,
}

impl Upstream {
    pub fn new(config: UpstreamConfig, changes: watch::Sender<u64>) -> Self {
        let UpstreamConfig { id, address, own, health_path } = config;
        Self {
            health_path: health_path.or_else(|| own.then(|| "/healthz".to_owned())),
            id,
            own,
            pool: Pool::default(),
            news: Notify::new(),
            in_flight: AtomicU64::new(0),
            known: Mutex::new(Known { address, health: Health::default(), ewma: PeakEwma::new(now()) }),
            changes,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.known().address
    }

    pub fn state(&self) -> State {
        self.known().health.state()
    }

    pub fn standing(&self) -> Standing {
        let (now, in_flight) = (now(), self.in_flight.load(Ordering::Relaxed));
        let known = self.known();
        Standing {
            state: known.health.state(),
            in_flight,
            ewma_us: known.ewma.measured_us(),
            cost: known.ewma.cost(in_flight, now),
        }
    }

    pub fn view(&self) -> InstanceView {
        let Standing { state, in_flight, ewma_us, .. } = self.standing();
        InstanceView { id: self.id.clone(), address: self.address(), state, in_flight, ewma_us }
    }

    /// An answer's head came after `rtt`. `good`: it was no failure of the upstream's own.
    pub fn answered(&self, rtt: Duration, good: bool) {
        let mut known = self.known();
        if good { known.ewma.observe(rtt, now()) } else { known.ewma.observe_failure(rtt, now()) }
    }

    /// It broke off, or kept us waiting for too long.
    pub fn failed(&self, took: Duration) {
        self.known().ewma.observe_failure(took, now());
    }

    /// No connection could be made: kept ones are as dead.
    pub fn connect_failed(&self, took: Duration) {
        self.failed(took);
        self.pool.clear();
        self.change("no connection could be made", Health::connect_failed);
    }

    pub fn checked(&self, passed: bool) {
        self.change("health check", |health| health.checked(passed));
    }

    pub fn set_stopped(&self, stopped: bool) {
        self.pool.clear();
        self.change("told so", |health| health.stopped(stopped));
        self.news.notify_one();
    }

    pub fn set_address(&self, address: SocketAddr) {
        {
            let mut known = self.known();
            *known = Known { address, health: Health::default(), ewma: PeakEwma::new(now()) };
        }
        self.pool.clear();
        self.news.notify_one();
        self.changes.send_modify(|count| *count += 1);
    }

    fn change(&self, why: &str, act: impl FnOnce(&mut Health) -> bool) {
        let (changed, state) = {
            let mut known = self.known();
            (act(&mut known.health), known.health.state())
        };
        if changed {
            log::info!(target: "balancer", "{} is {} ({why})", self.id, state.id());
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// A panic elsewhere never ends balancing: these are plain values.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Duration {
    Tick::now().since(Tick::default())
}

/// A request under way at an upstream, from before it is sent until its answer has ended.
#[derive(Debug)]
pub struct InFlight(Arc<Upstream>);

impl InFlight {
    pub fn new(upstream: &Arc<Upstream>) -> Self {
        upstream.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(upstream))
    }

    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
