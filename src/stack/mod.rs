//! A backend under study, as a value: built from a [`StackConfig`], started, stopped, dropped.
//!
//! The only module that knows every hop. Twenty stacks can run in one process and share nothing but
//! what is passed in: the certificate authority and the one password hasher.

pub mod autoscaler;
pub mod backups;
mod config;
mod dns_follows;
mod exposition;
pub mod faults;
pub mod instances;
mod keepers;
mod kills;
pub mod live;
mod maker;
pub mod otlp;
pub mod people;
mod pools;
mod reading;
pub mod ready;
pub mod reload;
mod saturation;
pub mod site;
mod start;
mod supply;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::balancer::InstanceView;
use crate::client::Client;
use crate::dns::DnsServer;
use crate::edge::Edge;
use crate::edge::cache::SharedCache;
use crate::observe::happening::Happenings;
use crate::observe::recorder::Recorder;
use crate::service::supply::Figures as Buyer;
use crate::settings::runtime::Settings;
use crate::settings::site::SitePlan;
use crate::store::StoreError;
use crate::store::bistro::Bistro;
use crate::store::cache;
use crate::store::engine::Slow;
pub use config::{StackConfig, StackError};
use dns_follows::DnsFollows;
use faults::{Expiry, Restores};
use instances::{Instances, InstancesError};
use keepers::Keepers;
use maker::{InstanceMaker, Running};
pub use pools::PoolView;
use site::{Ground, Pools};
use supply::Supplies;

/// The app's name in the embedded DNS.
pub const APP_NAME: &str = "bistro.roundtrip.test";
/// The app's name that browsers resolve without any DNS.
pub const APP_LOCAL_NAME: &str = "bistro.localhost";

/// How long a new configuration waits for the first look at its upstreams.
const FIRST_LOOK_WITHIN: Duration = Duration::from_secs(5);

/// A running backend.
#[derive(Debug)]
pub struct Stack {
    /// None once it was stopped.
    servers: Arc<Mutex<Option<Servers>>>,
    /// Those who act when a fault begins and ends; None without the restaurant, and once it was stopped.
    keepers: Mutex<Option<Keepers>>,
    /// What its instances are made of; None without the restaurant.
    maker: Option<InstanceMaker>,
    /// Changes them; None without the restaurant.
    instances: Option<Instances>,
    /// What pools and routes are made with, at the start and when the configuration is loaded again.
    ground: Ground,
    pools: Mutex<Pools>,
    loads: AtomicU64,
    /// None: the edge stands before somebody's own service.
    bistro: Option<Bistro>,
    backups: backups::Backups,
    client: Client,
    recorder: Recorder,
    happenings: Happenings,
    /// What became of the traces that were exported; zeros while none are.
    exports: Arc<otlp::Figures>,
    settings: Settings,
    restores: Restores,
    /// Ends with the stack.
    _expiry: Expiry,
    app: SocketAddr,
    app_http: Option<SocketAddr>,
    dns: SocketAddr,
    data_dir: PathBuf,
    started: Instant,
}

/// What answers, and is to be stopped.
#[derive(Debug)]
struct Servers {
    edge: Edge,
    instances: Vec<Running>,
    /// With the restaurant.
    supplies: Option<Supplies>,
    dns: DnsServer,
    /// Only the restaurant's instances have names.
    dns_follows: Option<DnsFollows>,
}

impl Stack {
    pub async fn start(config: StackConfig) -> Result<Stack, StackError> {
        start::start(config).await
    }

    /// The edge's address.
    pub fn app(&self) -> SocketAddr {
        self.app
    }

    /// The edge's address for plain HTTP, where there is one.
    pub fn app_http(&self) -> Option<SocketAddr> {
        self.app_http
    }

    /// The app's address as the stack's own client asks for it: by the name that only its DNS knows.
    pub fn app_url(&self) -> String {
        format!("https://{APP_NAME}:{}", self.app.port())
    }

    /// The app's address for browsers: by name on this machine alone, else by the address that is bound.
    pub fn browser_url(&self) -> String {
        if self.app.ip().is_loopback() {
            format!("https://{APP_LOCAL_NAME}:{}", self.app.port())
        } else {
            format!("https://{}", self.app)
        }
    }

    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// A client that resolves through the stack's DNS, trusts its authority, and whose requests are probes.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// To read and to listen; who changes them says who it is ([`Self::change_settings`]).
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What happened to it lately.
    pub fn happenings(&self) -> &Happenings {
        &self.happenings
    }

    /// The upstreams of all pools.
    pub fn instances(&self) -> Vec<InstanceView> {
        self.pools().iter().flat_map(|(_, balancer)| balancer.view()).collect()
    }

    /// The edge's own cache; None once the stack was stopped.
    pub fn cache(&self) -> Option<SharedCache> {
        self.servers().as_ref().map(|servers| servers.edge.cache().clone())
    }

    /// What the edge serves; None once the stack was stopped.
    pub fn site(&self) -> Option<impl serde::Serialize + use<>> {
        self.servers().as_ref().map(|servers| servers.edge.site())
    }

    /// How often another configuration was served since the start.
    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    /// The restaurant's instances, to be changed.
    pub fn own_instances(&self) -> Result<&Instances, InstancesError> {
        self.instances.as_ref().ok_or(InstancesError::NoRestaurant)
    }

    /// Waits until a first look at every upstream of every pool has been taken.
    pub async fn ready(&self) {
        let balancers: Vec<_> = self.pools().iter().map(|(_, balancer)| balancer.clone()).collect();
        for balancer in balancers {
            balancer.ready().await;
        }
    }

    /// Serves `plan` from the next request on. Nothing is changed when it can't be; no connection is closed
    /// either way, and pools that stay keep what they know.
    pub async fn replace_site(&self, plan: &SitePlan) -> Result<(), StackError> {
        if plan.has_restaurant() && self.bistro.is_none() {
            let why = "the restaurant is not running; to add it, start again";
            return Err(StackError::Site(why.to_owned()));
        }
        let running = self.pools().clone();
        let pools = self.ground.pools(plan, &running).await?;
        let site = self.ground.site(plan, &pools)?;
        // Nobody is sent to an upstream that was not looked at: its name may not be resolved yet.
        let looked_at = async {
            for (_, balancer) in &pools {
                balancer.ready().await;
            }
        };
        if tokio::time::timeout(FIRST_LOOK_WITHIN, looked_at).await.is_err() {
            log::warn!("some upstreams of the new configuration have not answered their first check yet");
        }
        if let Some(servers) = &*self.servers() {
            servers.edge.replace(site);
            // What was kept may be another service's from now on.
            servers.edge.cache().clear();
        }
        *self.pools() = pools;
        self.loads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// What each instance's cache of the menu has done, by the instance's id.
    pub fn menu_caches(&self) -> Vec<(String, cache::Figures)> {
        let figures = |running: &Running| (running.instance.id().to_owned(), running.menu.figures());
        self.servers().as_ref().map(|servers| servers.instances.iter().map(figures).collect()).unwrap_or_default()
    }

    /// How each instance's buyer stands with the supplier, by the instance's id.
    pub fn buyers(&self) -> Vec<(String, Buyer)> {
        self.servers().as_ref().and_then(|servers| servers.supplies.as_ref()).map(Supplies::figures).unwrap_or_default()
    }

    /// Deliveries that the supplier has made since the start.
    pub fn deliveries(&self) -> u64 {
        self.servers().as_ref().and_then(|servers| servers.supplies.as_ref()).map_or(0, Supplies::deliveries)
    }

    /// Whether the restaurant runs, or the edge stands before somebody's own service alone.
    pub fn has_restaurant(&self) -> bool {
        self.maker.is_some()
    }

    /// The latest steps of its database that were slow, the newest last; none without the restaurant.
    pub fn slow(&self) -> Vec<Slow> {
        self.bistro.as_ref().map(Bistro::slow).unwrap_or_default()
    }

    /// Stops an instance at once, as when its process dies: what is under way in it is cut. False when
    /// there is none of that id.
    pub async fn kill_instance(&self, id: &str) -> bool {
        let killed = {
            let mut servers = self.servers();
            servers.as_mut().and_then(|servers| {
                servers.supplies.as_mut().into_iter().for_each(|supplies| supplies.dismiss(id));
                let index = servers.instances.iter().position(|running| running.instance.id() == id);
                index.map(|index| servers.instances.remove(index))
            })
        };
        match killed {
            Some(running) => {
                running.instance.kill().await;
                // Not before: what was under way in it is to be seen breaking off.
                for (_, balancer) in self.pools().iter() {
                    balancer.set_stopped(id, true);
                }
                true
            }
            None => false,
        }
    }

    /// Orderly: no new connections, what is under way ends (at most `drain`), then commit and checkpoint.
    /// Once is enough; a second call finds nothing to do.
    pub async fn stop(&self, drain: Duration) -> Result<(), StoreError> {
        // Whom a fault has killed nobody starts again.
        drop(self.keepers.lock().unwrap_or_else(PoisonError::into_inner).take());
        // What a fault holds up would be waited for.
        self.end_faults("the stop");
        if let Some(bistro) = &self.bistro {
            bistro.let_go().await;
        }
        if let Some(instances) = &self.instances {
            instances.close().await;
        }
        let servers = self.servers().take();
        if let Some(Servers { edge, instances, supplies, dns, dns_follows }) = servers {
            drop(dns_follows);
            // Before the edge, which waits for all that is under way.
            for running in &instances {
                running.instance.retire().await;
            }
            edge.stop(drain).await;
            for running in instances {
                running.instance.stop().await;
            }
            if let Some(supplies) = supplies {
                supplies.stop().await;
            }
            dns.stop().await;
        }
        // Reads the database that is closed next.
        self.backups.stop().await;
        match &self.bistro {
            Some(bistro) => bistro.close().await,
            None => Ok(()),
        }
    }

    fn pools(&self) -> MutexGuard<'_, Pools> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn servers(&self) -> MutexGuard<'_, Option<Servers>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(instances) = &self.instances {
            instances.tell_to_close();
        }
    }
}
