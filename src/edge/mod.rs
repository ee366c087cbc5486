//! Where the outside arrives: listener, TLS, limits, the rules a proxy must keep.
//!
//! hyper, not actix: a proxy must stop work when its client leaves and bound what a connection may cost.

mod accept;
mod admission;
mod body;
pub mod cache;
mod check;
mod compress;
mod connection;
mod faults;
mod form;
mod framing;
mod gate;
mod handshake;
mod head;
mod headers;
mod hsts;
pub mod limit;
mod offer;
mod origin;
mod record;
mod refusal;
mod serve;
mod shown;
pub mod site;
mod sticky;
mod trailers;
mod tunnel;
mod verdict;
mod workers;
mod written;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::observe::recorder::Recorder;
use crate::settings::runtime::Settings;
use crate::tls::Flaws;
use crate::web::probe::ProbeKey;
use admission::Admission;
use cache::SharedCache;
use compress::Encoders;
use limit::Limiter;
use origin::Via;
use shown::SiteShown;
use site::Site;
use workers::Workers;

/// A socket that an edge accepts on.
#[derive(Debug)]
pub struct Listener {
    /// Bound already, so that its port is known before anything else starts.
    pub socket: std::net::TcpListener,
    /// None: plain HTTP/1.1 and h2c with prior knowledge (RFC 9113, section 3.3).
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// What an edge is made of.
#[derive(Debug)]
pub struct EdgeConfig {
    pub listeners: Vec<Listener>,
    /// What it serves; can be replaced while it runs.
    pub site: Site,
    pub settings: Settings,
    /// Verifies `roundtrip-probe`.
    pub probe_key: ProbeKey,
    /// Threads that serve connections; one a core is enough.
    pub workers: usize,
    /// Its name in `Via`; a request that carries it already goes in a circle.
    pub via: String,
    /// Shows what is wrong on purpose; None: nobody can break its certificates.
    pub flaws: Option<Flaws>,
}

/// The edge could not start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error("the system gives no listener or thread: {0}")]
    System(#[from] io::Error),
    #[error("the name for Via is no token: {0:?}")]
    Via(String),
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    site: ArcSwap<Site>,
    settings: Settings,
    cache: SharedCache,
    probe_key: ProbeKey,
    limiter: Limiter,
    encoders: Encoders,
    via: Via,
    flaws: Option<Flaws>,
    /// Connections that the firewall closed.
    turned_away: AtomicU64,
    recorder: Recorder,
}

/// A running edge. Dropping it cuts everything; [`Edge::stop`] is the orderly way.
#[derive(Debug)]
pub struct Edge {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    stop: watch::Sender<Option<Duration>>,
    accepting: Vec<JoinHandle<()>>,
    admission: Admission,
    workers: Arc<Workers>,
}

/// What an edge has to do.
#[derive(Debug, Clone)]
pub struct Figures {
    pub connections: u64,
    /// Since the start.
    pub connections_refused: u64,
    /// How long each of its threads has been at work since the start.
    pub busy: Vec<Duration>,
}

impl Edge {
    /// Starts to accept, on the current tokio runtime; connections are served on threads of its own.
    pub fn start(config: EdgeConfig, recorder: Recorder) -> Result<Self, EdgeError> {
        let EdgeConfig { listeners, site, settings, probe_key, workers, via, flaws } = config;
        let via = Via::new(via.clone()).ok_or(EdgeError::Via(via))?;
        let site = ArcSwap::from_pointee(site);
        let cache = SharedCache::new(settings.clone());
        let shared = Arc::new(Shared {
            site,
            settings,
            cache,
            probe_key,
            limiter: Limiter::default(),
            encoders: Encoders::default(),
            via,
            flaws,
            turned_away: AtomicU64::new(0),
            recorder,
        });
        let (stop, stopped) = watch::channel(None);
        let (admission, workers) = (Admission::default(), Arc::new(Workers::start(workers)?));
        let (mut addresses, mut accepting) = (Vec::new(), Vec::new());
        for Listener { socket, tls } in listeners {
            socket.set_nonblocking(true)?;
            let socket = tokio::net::TcpListener::from_std(socket)?;
            addresses.push(socket.local_addr()?);
            let accept =
                accept::run(socket, tls, admission.clone(), Arc::clone(&workers), Arc::clone(&shared), stopped.clone());
            accepting.push(tokio::spawn(accept));
        }
        Ok(Self { addresses, shared, stop, accepting, admission, workers })
    }

    /// Where it listens, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub fn figures(&self) -> Figures {
        let (connections, connections_refused) = self.admission.figures();
        Figures { connections, connections_refused, busy: self.workers.busy() }
    }

    /// What it keeps of its upstreams' answers.
    pub fn cache(&self) -> &SharedCache {
        &self.shared.cache
    }

    /// Connections that its firewall has closed.
    pub fn turned_away(&self) -> u64 {
        self.shared.turned_away.load(Ordering::Relaxed)
    }

    /// What it serves, as its owner reads it.
    pub fn site(&self) -> SiteShown {
        SiteShown::new(&self.shared.site.load(), &self.shared.settings.snapshot().http.bounds)
    }

    /// Serves `site` from the next request on. What is under way goes on by the rules it began with, and no
    /// connection is closed.
    pub fn replace(&self, site: Site) {
        self.shared.site.store(Arc::new(site));
    }

    /// Stops accepting, tells the clients (GOAWAY, `Connection: close`), lets what is under way end for at
    /// most `drain`, and cuts the rest.
    pub async fn stop(mut self, drain: Duration) {
        self.stop.send_replace(Some(drain));
        for task in &mut self.accepting {
            if let Err(error) = task.await {
                log::error!(target: "edge", "the accepting task ended badly: {error}");
            }
        }
        // Those who accepted are gone, so that nobody else has them.
        if let Some(workers) = Arc::get_mut(&mut self.workers) {
            workers.stop().await;
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        for task in &self.accepting {
            task.abort();
        }
    }
}
