//! Where the outside arrives: listener, TLS, limits, the rules a proxy must keep.
//!
//! hyper, not actix: a proxy must stop work when its client leaves and bound what a connection may cost.

mod accept;
mod admission;
mod body;
mod check;
mod connection;
mod framing;
mod handshake;
mod headers;
mod hsts;
pub mod limits;
mod record;
mod serve;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::balancer::Balancer;
use crate::observe::recorder::Recorder;
use crate::web::host::HostList;
use crate::web::probe::ProbeKey;
use limits::EdgeLimits;

/// What an edge is made of.
#[derive(Debug)]
pub struct EdgeConfig {
    /// Bound already, so that its port is known before anything else starts.
    pub listener: std::net::TcpListener,
    /// None: plain HTTP/1.1.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The authorities it answers to; others get 421.
    pub hosts: HostList,
    /// Verifies `roundtrip-probe`.
    pub probe_key: ProbeKey,
    pub limits: EdgeLimits,
    /// Its name in `Via`; a request that carries it already goes in a circle.
    pub via: String,
}

/// The edge could not start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error("the listener cannot be used: {0}")]
    Listener(#[from] io::Error),
    #[error("the name for Via is no token: {0:?}")]
    Via(String),
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    tls: Option<Arc<rustls::ServerConfig>>,
    hosts: HostList,
    probe_key: ProbeKey,
    limits: EdgeLimits,
    via: String,
    balancer: Balancer,
    recorder: Recorder,
}

/// A running edge. Dropping it cuts everything; [`Edge::stop`] is the orderly way.
#[derive(Debug)]
pub struct Edge {
    address: SocketAddr,
    stop: watch::Sender<Option<Duration>>,
    task: JoinHandle<()>,
}

impl Edge {
    /// Starts to accept, on the current tokio runtime.
    pub fn start(config: EdgeConfig, balancer: Balancer, recorder: Recorder) -> Result<Self, EdgeError> {
        let EdgeConfig { listener, tls, hosts, probe_key, limits, via } = config;
        if via.is_empty() || !via.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
            return Err(EdgeError::Via(via));
        }
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { tls, hosts, probe_key, limits, via, balancer, recorder });
        let (stop, stopped) = watch::channel(None);
        let task = tokio::spawn(accept::run(listener, shared, stopped));
        Ok(Self { address, stop, task })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, tells the clients (GOAWAY, `Connection: close`), lets what is under way end for at
    /// most `drain`, and cuts the rest.
    pub async fn stop(mut self, drain: Duration) {
        self.stop.send_replace(Some(drain));
        if let Err(error) = (&mut self.task).await {
            log::error!(target: "edge", "the accepting task ended badly: {error}");
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.task.abort();
    }
}
