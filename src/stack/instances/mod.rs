//! The restaurant's instances, as they come and go while requests are under way.
//!
//! One change at a time, and a whole [`rollout`] is one. What is begun is carried to its end on the stack's own
//! runtime, though nobody waits for it: whoever asked may be gone, or run on threads that end sooner.

mod change;
mod comparison;
mod replace;
pub mod rollout;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{OwnedMutexGuard, watch};

use super::autoscaler;
use super::maker::{FIRST_VERSION, InstanceMaker};
use super::{Servers, StackError};
use crate::balancer::{Balancer, InstanceView};
use crate::observe::happening::{Happenings, Kind, Note};
use crate::observe::hop::Hop;
use crate::policy::health::State;
use crate::settings::runtime::Settings;
use crate::settings::startup::INSTANCES_MAX;
use rollout::Rollout;

/// How long one that leaves may take for what it has under way; then it is cut.
const EMPTY_WITHIN: Duration = Duration::from_secs(30);
/// How long one that starts may take until its first health check passes.
const HEALTHY_WITHIN: Duration = Duration::from_secs(10);

/// Why instances were left as they are.
#[derive(Debug, thiserror::Error)]
pub enum InstancesError {
    #[error("the restaurant does not run here, so there are no instances to start or stop")]
    NoRestaurant,
    #[error("no instance is called '{0}'")]
    Unknown(String),
    #[error("{0} is the last instance that takes requests")]
    Last(String),
    #[error("there are {INSTANCES_MAX} instances already, and no more are possible")]
    Full,
    #[error("a {0} is under way")]
    Busy(&'static str),
    #[error("all instances run {0} already")]
    Already(String),
    #[error("no instance runs")]
    NobodyRuns,
    #[error("nothing is being rolled out")]
    NoRollout,
    #[error(transparent)]
    NotStarted(#[from] StackError),
    #[error("{0}")]
    NotHealthy(String),
    /// A new version proved worse, or somebody called it back.
    #[error("{0}")]
    CalledBack(String),
    #[error("the stack is being stopped")]
    Stopped,
}

/// An instance as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct InstanceShown {
    pub id: String,
    pub version: Option<String>,
    pub address: Option<std::net::SocketAddr>,
    pub state: State,
    /// Of the kitchen.
    pub workers: u64,
    pub in_flight: u64,
    pub draining: bool,
    /// Its share of the requests; 0 gets none.
    pub weight: u32,
    /// Dead for now, by a fault.
    pub killed: bool,
}

/// Cheap to clone; does not keep the stack alive.
#[derive(Debug, Clone)]
pub struct Instances(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    servers: Weak<Mutex<Option<Servers>>>,
    maker: InstanceMaker,
    balancer: Balancer,
    settings: Settings,
    happenings: Happenings,
    runtime: tokio::runtime::Handle,
    /// Held across awaits on purpose, which the async mutex is for.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// What a new instance runs.
    version: Mutex<String>,
    rollout: Mutex<Option<Rollout>>,
    /// The one that is under way is to go back.
    called_back: watch::Sender<bool>,
    closing: watch::Sender<bool>,
    autoscaler: autoscaler::Log,
}

impl InstanceShown {
    /// Whether requests go there without doubt.
    fn serves(&self) -> bool {
        self.state == State::Healthy && self.weight > 0
    }
}

impl Instances {
    /// Within the stack's runtime.
    pub(super) fn new(
        servers: &Arc<Mutex<Option<Servers>>>,
        maker: InstanceMaker,
        balancer: Balancer,
        happenings: Happenings,
    ) -> Self {
        let instances = Self(Arc::new(Inner {
            servers: Arc::downgrade(servers),
            settings: maker.settings.clone(),
            maker,
            balancer,
            happenings,
            runtime: tokio::runtime::Handle::current(),
            turn: Arc::default(),
            version: Mutex::new(FIRST_VERSION.to_owned()),
            rollout: Mutex::default(),
            called_back: watch::Sender::new(false),
            closing: watch::Sender::new(false),
            autoscaler: autoscaler::Log::default(),
        }));
        tokio::spawn(autoscaler::run(instances.clone()));
        instances
    }

    pub fn list(&self) -> Vec<InstanceShown> {
        let workers = self.0.settings.snapshot().service.kitchen.workers;
        let running = |servers: &mut Servers| -> Vec<String> {
            servers.instances.iter().map(|running| running.instance.id().to_owned()).collect()
        };
        let running = self.with_servers(running).unwrap_or_default();
        let shown = |view: InstanceView| InstanceShown {
            killed: !running.contains(&view.id),
            id: view.id,
            version: view.version,
            address: view.address,
            state: view.state,
            workers,
            in_flight: view.in_flight,
            draining: view.draining,
            weight: view.weight,
        };
        self.0.balancer.view().into_iter().map(shown).collect()
    }

    pub fn one(&self, id: &str) -> Result<InstanceShown, InstancesError> {
        let unknown = || InstancesError::Unknown(id.to_owned());
        self.list().into_iter().find(|instance| instance.id == id).ok_or_else(unknown)
    }

    /// What a new instance runs.
    pub fn version(&self) -> String {
        lock(&self.0.version).clone()
    }

    /// The rollout that is under way, or the last one.
    pub fn rollout(&self) -> Option<Rollout> {
        lock(&self.0.rollout).clone()
    }

    pub fn autoscaler(&self) -> autoscaler::Shown {
        self.0.autoscaler.shown(self.settings())
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(super) fn balancer(&self) -> &Balancer {
        &self.0.balancer
    }

    pub(super) fn autoscaler_log(&self) -> &autoscaler::Log {
        &self.0.autoscaler
    }

    pub(super) fn record(&self, kind: Kind, who: &str, what: String) {
        log::info!("{who}: {what}");
        self.0.happenings.record(Note { kind, hop: Some(Hop::Balancer), what, who, fault: None });
    }

    /// Ends what is under way where it stands; returns once nothing is, nor will be.
    pub(super) async fn close(&self) {
        self.tell_to_close();
        drop(self.0.turn.lock().await);
    }

    /// What is under way ends soon.
    pub(super) fn tell_to_close(&self) {
        self.0.closing.send_replace(true);
    }

    /// Returns when the stack is about to stop.
    pub(super) async fn closed(&self) {
        // The sender lives in self, so this never fails.
        let _ = self.0.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// Waits for what is under way, but not for a whole rollout.
    async fn turn(&self) -> Result<OwnedMutexGuard<()>, InstancesError> {
        self.is_free()?;
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        if *self.0.closing.borrow() { Err(InstancesError::Stopped) } else { Ok(turn) }
    }

    /// None when anything is under way.
    pub(super) fn try_turn(&self) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.0.turn).try_lock_owned().ok().filter(|_| !*self.0.closing.borrow())
    }

    fn is_free(&self) -> Result<(), InstancesError> {
        match self.rollout().filter(Rollout::is_under_way) {
            Some(rollout) => Err(InstancesError::Busy(rollout.kind.id())),
            None => Ok(()),
        }
    }

    /// On the stack's runtime, to its end.
    async fn carry_out<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, InstancesError>> + Send + 'static,
    ) -> Result<T, InstancesError> {
        self.0.runtime.spawn(work).await.unwrap_or(Err(InstancesError::Stopped))
    }

    /// Looks at what runs, or changes it; no await in it.
    fn with_servers<T>(&self, act: impl FnOnce(&mut Servers) -> T) -> Result<T, InstancesError> {
        let servers = self.0.servers.upgrade().ok_or(InstancesError::Stopped)?;
        let mut servers = lock(&servers);
        servers.as_mut().map(act).ok_or(InstancesError::Stopped)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
