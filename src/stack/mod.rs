//! A backend under study, as a value: built from a [`StackConfig`], started, stopped, dropped.
//!
//! The only module that knows every hop. Twenty stacks can run in one process and share nothing but
//! what is passed in: the certificate authority and the one password hasher.

pub mod backups;
mod dns_follows;
pub mod reload;
pub mod site;
mod start;
mod supply;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api::Instance;
use crate::balancer::events::Event;
use crate::balancer::{Balancer, InstanceView};
use crate::client::{Client, ClientError};
use crate::dns::DnsServer;
use crate::domain::permission::Role;
use crate::domain::session::{SessionSecret, Staff};
use crate::edge::Edge;
use crate::edge::cache::SharedCache;
use crate::observe::recorder::Recorder;
use crate::service::supply::Figures as Buyer;
use crate::settings::runtime::Settings;
use crate::settings::site::SitePlan;
use crate::store::StoreError;
use crate::store::bistro::{Bistro, Counts};
use crate::store::cache::{self, MenuCache};
use crate::store::engine::{OpenError, Slow};
use crate::store::hasher::Hasher;
use crate::tls::Authority;
use crate::web::hsts::Hsts;
use dns_follows::DnsFollows;
use site::{Ground, Pools};
use supply::Supplies;

/// The app's name in the embedded DNS.
pub const APP_NAME: &str = "bistro.roundtrip.test";
/// The app's name that browsers resolve without any DNS.
pub const APP_LOCAL_NAME: &str = "bistro.localhost";

/// How long a new configuration waits for the first look at its upstreams.
const FIRST_LOOK_WITHIN: Duration = Duration::from_secs(5);

/// What a stack is made of.
#[derive(Debug)]
pub struct StackConfig {
    /// The folder of its database file.
    pub data_dir: PathBuf,
    /// Copies of the application behind the balancer.
    pub instances: usize,
    /// Threads of the edge.
    pub workers: usize,
    /// The edge's socket, bound already.
    pub app: TcpListener,
    /// Another socket of the edge, for plain HTTP.
    pub app_http: Option<TcpListener>,
    /// What the edge serves.
    pub site: SitePlan,
    /// Further names and addresses under which the edge answers (LAN addresses).
    pub app_names: Vec<String>,
    /// For which of them browsers are told to insist on HTTPS.
    pub hsts: Hsts,
    /// Where the DNS server listens, UDP and TCP; port 0 chooses one.
    pub dns: SocketAddr,
    /// What the edge's name resolves to.
    pub app_addresses: Vec<IpAddr>,
    /// The edge's side of TLS.
    pub tls: Arc<rustls::ServerConfig>,
    /// Signs the certificates that are wrong on purpose.
    pub authority: Authority,
    /// What its client trusts, and the file where people find it.
    pub ca_pem: Vec<u8>,
    pub ca_path: PathBuf,
    /// The secret that signs probes.
    pub control_key: [u8; 32],
    pub hasher: Hasher,
    pub settings: Settings,
}

/// Why a stack did not start.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Dns(#[from] crate::dns::DnsError),
    #[error("the edge did not start: {0}")]
    Edge(#[from] crate::edge::EdgeError),
    /// What was written can't be served.
    #[error("{0}")]
    Site(String),
    #[error("the supplier did not start: {0}")]
    Supplier(std::io::Error),
    #[error("instance {id} did not start: {reason}")]
    Instance { id: String, reason: std::io::Error },
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    NoRandomness(#[from] crate::web::secret::NoRandomness),
}

/// A running backend.
#[derive(Debug)]
pub struct Stack {
    /// None once it was stopped.
    servers: Mutex<Option<Servers>>,
    /// What pools and routes are made with, at the start and when the configuration is loaded again.
    ground: Ground,
    pools: Mutex<Pools>,
    loads: AtomicU64,
    /// None: the edge stands before somebody's own service.
    bistro: Option<Bistro>,
    backups: backups::Backups,
    /// What each instance remembers of the menu.
    caches: Caches,
    client: Client,
    recorder: Recorder,
    settings: Settings,
    app: SocketAddr,
    app_http: Option<SocketAddr>,
    dns: SocketAddr,
}

/// Each instance's cache of the menu, by the instance's id.
type Caches = Vec<(String, MenuCache)>;

/// A pool of upstreams as the console shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PoolView {
    pub name: String,
    pub policy: &'static str,
    /// Requests that wait for a place.
    pub waiting: u64,
    #[serde(skip)]
    pub upstreams: Vec<InstanceView>,
}

/// What answers, and is to be stopped.
#[derive(Debug)]
struct Servers {
    edge: Edge,
    instances: Vec<Instance>,
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

    pub fn settings(&self) -> &Settings {
        &self.settings
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

    /// Each pool as it is now.
    pub fn pool_views(&self) -> Vec<PoolView> {
        let view = |(name, balancer): &(String, Balancer)| PoolView {
            name: name.clone(),
            policy: balancer.policy().id(),
            waiting: balancer.waiting(),
            upstreams: balancer.view(),
        };
        self.pools().iter().map(view).collect()
    }

    /// What happened to upstreams, the newest last.
    pub fn upstream_events(&self) -> Vec<Event> {
        let mut events: Vec<Event> = self.pools().iter().flat_map(|(_, balancer)| balancer.events()).collect();
        events.sort_by_key(|event| event.at);
        events
    }

    /// Changes an upstream's share; 0 gets no request. None when there is no such upstream.
    pub fn set_weight(&self, id: &str, weight: u32) -> Option<InstanceView> {
        self.change_upstream(id, |balancer| balancer.set_weight(id, weight))
    }

    /// Empties an upstream, or lets it take requests again. None when there is no such upstream.
    pub fn set_draining(&self, id: &str, draining: bool) -> Option<InstanceView> {
        self.change_upstream(id, |balancer| balancer.set_draining(id, draining))
    }

    fn change_upstream(&self, id: &str, change: impl Fn(&Balancer) -> bool) -> Option<InstanceView> {
        let pools = self.pools();
        let (_, balancer) = pools.iter().find(|(_, balancer)| change(balancer))?;
        balancer.view().into_iter().find(|view| view.id == id)
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
        self.caches.iter().map(|(id, cache)| (id.clone(), cache.figures())).collect()
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
        self.bistro.is_some()
    }

    /// Whose requests can be sent: the restaurant's people, or nobody in particular.
    pub fn roles(&self) -> &'static [Role] {
        if self.bistro.is_some() { &Role::BISTRO } else { &[Role::Guest] }
    }

    /// None without the restaurant.
    pub async fn counts(&self) -> Result<Option<Counts>, StoreError> {
        match &self.bistro {
            Some(bistro) => bistro.counts().await.map(Some),
            None => Ok(None),
        }
    }

    /// The latest steps of its database that were slow, the newest last; none without the restaurant.
    pub fn slow(&self) -> Vec<Slow> {
        self.bistro.as_ref().map(Bistro::slow).unwrap_or_default()
    }

    /// Nobody without the restaurant.
    pub async fn staff(&self) -> Result<Vec<Staff>, StoreError> {
        match &self.bistro {
            Some(bistro) => bistro.staff().await,
            None => Ok(Vec::new()),
        }
    }

    /// Sets the password hash of a member of staff; false when there is nobody of that name.
    pub async fn set_staff_password(&self, name: &str, phc: &str) -> Result<bool, StoreError> {
        match &self.bistro {
            Some(bistro) => bistro.set_staff_password(name, phc).await,
            None => Ok(false),
        }
    }

    /// A real session of five minutes for the staff of `role`, one of [`Self::roles`]; None for a guest, who
    /// needs none.
    pub async fn mint_session(&self, role: Role) -> Result<Option<SessionSecret>, StoreError> {
        match (&self.bistro, role) {
            (_, Role::Guest) => Ok(None),
            (Some(bistro), role) => bistro.mint_session(role).await.map(Some),
            (None, role) => Err(StoreError::Internal(format!("nobody is a {} without the restaurant", role.id()))),
        }
    }

    /// Stops an instance at once, as when its process dies: what is under way in it is cut. False when
    /// there is none of that id.
    pub async fn kill_instance(&self, id: &str) -> bool {
        let killed = {
            let mut servers = self.servers();
            servers.as_mut().and_then(|servers| {
                servers.supplies.as_mut().into_iter().for_each(|supplies| supplies.dismiss(id));
                let index = servers.instances.iter().position(|instance| instance.id() == id);
                index.map(|index| servers.instances.remove(index))
            })
        };
        match killed {
            Some(instance) => {
                instance.kill().await;
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
        let servers = self.servers().take();
        if let Some(Servers { edge, mut instances, supplies, dns, dns_follows }) = servers {
            drop(dns_follows);
            // Before the edge, which waits for all that is under way.
            for instance in &mut instances {
                instance.retire().await;
            }
            edge.stop(drain).await;
            for instance in instances {
                instance.stop().await;
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
