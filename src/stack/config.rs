//! What a stack is made of, and why it did not start.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use crate::client::ClientError;
use crate::settings::runtime::Settings;
use crate::settings::site::SitePlan;
use crate::store::engine::OpenError;
use crate::store::hasher::Hasher;
use crate::tls::Authority;
use crate::web::hsts::Hsts;

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
