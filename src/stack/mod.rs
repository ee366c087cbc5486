//! A backend under study, as a value: built from a [`StackConfig`], started, stopped, dropped.
//!
//! The only module that knows every hop. Twenty stacks can run in one process and share nothing but
//! what is passed in: the certificate authority and the one password hasher.

mod start;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api::Instance;
use crate::balancer::{Balancer, InstanceView};
use crate::client::{Client, ClientError};
use crate::dns::DnsServer;
use crate::domain::permission::Role;
use crate::domain::session::{SessionSecret, Staff};
use crate::edge::Edge;
use crate::observe::recorder::Recorder;
use crate::settings::runtime::Settings;
use crate::store::StoreError;
use crate::store::bistro::{Bistro, Counts};
use crate::store::engine::OpenError;
use crate::store::hasher::Hasher;

/// The app's name in the embedded DNS.
pub const APP_NAME: &str = "bistro.roundtrip.test";
/// The app's name that browsers resolve without any DNS.
pub const APP_LOCAL_NAME: &str = "bistro.localhost";

/// What a stack is made of.
#[derive(Debug)]
pub struct StackConfig {
    /// The folder of its database file.
    pub data_dir: PathBuf,
    /// Copies of the application behind the balancer.
    pub instances: usize,
    /// The edge's socket, bound already.
    pub app: TcpListener,
    /// Further names and addresses under which the edge answers (LAN addresses).
    pub app_names: Vec<String>,
    /// Where the DNS server listens, UDP and TCP; port 0 chooses one.
    pub dns: SocketAddr,
    /// What the edge's name resolves to.
    pub app_addresses: Vec<IpAddr>,
    /// The edge's side of TLS.
    pub tls: Arc<rustls::ServerConfig>,
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
    balancer: Balancer,
    bistro: Bistro,
    client: Client,
    recorder: Recorder,
    settings: Settings,
    app: SocketAddr,
    dns: SocketAddr,
}

/// What answers, and is to be stopped.
#[derive(Debug)]
struct Servers {
    edge: Edge,
    instances: Vec<Instance>,
    dns: DnsServer,
}

impl Stack {
    pub async fn start(config: StackConfig) -> Result<Stack, StackError> {
        start::start(config).await
    }

    /// The edge's address.
    pub fn app(&self) -> SocketAddr {
        self.app
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

    pub fn instances(&self) -> Vec<InstanceView> {
        self.balancer.view()
    }

    /// Waits until a first look at every instance has been taken.
    pub async fn ready(&self) {
        self.balancer.ready().await;
    }

    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.bistro.counts().await
    }

    pub async fn staff(&self) -> Result<Vec<Staff>, StoreError> {
        self.bistro.staff().await
    }

    /// Sets the password hash of a member of staff; false when there is nobody of that name.
    pub async fn set_staff_password(&self, name: &str, phc: &str) -> Result<bool, StoreError> {
        self.bistro.set_staff_password(name, phc).await
    }

    /// A real session of five minutes for the staff of `role`; None for a guest, who needs none.
    pub async fn mint_session(&self, role: Role) -> Result<Option<SessionSecret>, StoreError> {
        if role == Role::Guest {
            return Ok(None);
        }
        self.bistro.mint_session(role).await.map(Some)
    }

    /// Stops an instance at once, as when its process dies: what is under way in it is cut. False when
    /// there is none of that id.
    pub async fn kill_instance(&self, id: &str) -> bool {
        let killed = {
            let mut servers = self.servers();
            servers.as_mut().and_then(|servers| {
                let index = servers.instances.iter().position(|instance| instance.id() == id);
                index.map(|index| servers.instances.remove(index))
            })
        };
        match killed {
            Some(instance) => {
                instance.kill().await;
                // Not before: what was under way in it is to be seen breaking off.
                self.balancer.set_stopped(id, true);
                true
            }
            None => false,
        }
    }

    /// Orderly: no new connections, what is under way ends (at most `drain`), then commit and checkpoint.
    /// Once is enough; a second call finds nothing to do.
    pub async fn stop(&self, drain: Duration) -> Result<(), StoreError> {
        let servers = self.servers().take();
        if let Some(Servers { edge, instances, dns }) = servers {
            edge.stop(drain).await;
            for instance in instances {
                instance.stop().await;
            }
            dns.stop().await;
        }
        self.bistro.close().await
    }

    fn servers(&self) -> MutexGuard<'_, Option<Servers>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
