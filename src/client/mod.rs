//! The hop `client`: resolves, dials, shakes hands, sends, reads, and times each.
//!
//! The probe, the load generator and the supplier's caller stand on it. It speaks HTTP/1.1, so that the
//! bytes on screen are the bytes that were sent, and undoes no compression, for the same reason.

mod cache;
mod connect;
mod exchange;
mod faults;
mod head;
pub mod lean;
mod pool;
mod query;
mod resolver;
mod url;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::observe::hop::Hop;
use crate::observe::part::ClientPart;
use crate::observe::span::Context;
use crate::settings::runtime::Settings;
use crate::web::probe::ProbeKey;

pub use resolver::{NotFound, Resolver};
pub use url::{BadUrl, Url};

/// The product's name in `User-Agent`.
pub const USER_AGENT: &str = concat!("roundtrip/", env!("CARGO_PKG_VERSION"));

/// Longest body that is read.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Whom the client believes.
#[derive(Debug, Clone)]
pub enum Roots {
    /// The authorities that this system trusts.
    System,
    /// These alone, as PEM.
    Pem(Vec<u8>),
}

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    pub resolver: Resolver,
    pub roots: Roots,
    /// Signs `roundtrip-probe`, so that the server records the request in full.
    pub probe_key: Option<ProbeKey>,
    /// Where the authority of [`Roots::Pem`] lies, for the curl command shown.
    pub ca_path: Option<PathBuf>,
    /// Record attributes without a probe key too, for servers that are not ours.
    pub detail: bool,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("this system's trusted authorities can't be read: {0}")]
    SystemRoots(String),
    #[error("the authority's file holds no certificate")]
    NoRoots,
    #[error("TLS could not be set up: {0}")]
    Tls(String),
}

/// Which connection a request goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connection {
    /// A new one.
    Fresh,
    /// One that an earlier request left open; a new one if there is none.
    #[default]
    Kept,
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub method: String,
    /// `http://` or `https://`.
    pub url: String,
    /// What is named here replaces what the client would send; lengths are counted, never taken from here.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub connection: Connection,
    /// Resume an earlier TLS session on a new connection, if there is one.
    pub resume: bool,
    /// Ask the source, not a cache: the resolver's own, and the server's if this is a signed probe.
    pub bypass_caches: bool,
    /// Have the server record it in full (with [`ClientConfig::probe_key`]); then its part is to be finished
    /// with the recorder.
    pub probe: bool,
    /// The role it is sent as, for the record.
    pub sent_as: Option<String>,
    /// For the whole of it.
    pub timeout: Duration,
    /// The trace of whoever sends it, which it is part of; None: one of its own.
    pub within: Option<Context>,
}

impl Outgoing {
    /// A GET on a kept connection, with ten seconds of patience.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: "GET".to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            connection: Connection::Kept,
            resume: false,
            bypass_caches: false,
            probe: true,
            sent_as: None,
            timeout: Duration::from_secs(10),
            within: None,
        }
    }
}

/// What came back, and how it went.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub part: ClientPart,
}

impl Answer {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// No answer came.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Where it ended: the hop of the span that is marked.
    pub hop: Hop,
    /// What happened, and what to do.
    pub message: String,
    /// What was recorded up to there.
    pub part: Box<ClientPart>,
}

/// Why a step failed, before it is known as a [`Failure`].
#[derive(Debug, Clone)]
struct Trouble {
    hop: Hop,
    message: String,
}

impl Trouble {
    fn new(hop: Hop, message: impl Into<String>) -> Self {
        Self { hop, message: message.into() }
    }
}

/// Sends requests. Cheap to clone; clones share kept connections, sessions and remembered names.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    resolver: Resolver,
    tls: verify::TlsConfigs,
    pool: pool::Pool,
    probe_key: Option<ProbeKey>,
    ca_path: Option<PathBuf>,
    detail: bool,
    /// A stack's, whose faults strike this client.
    settings: Option<Settings>,
}

impl Client {
    /// One that no fault strikes.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        Self::with(config, None)
    }

    /// A stack's own: its faults strike it, and it stands as far away as its settings say.
    pub fn of_stack(config: ClientConfig, settings: Settings) -> Result<Self, ClientError> {
        Self::with(config, Some(settings))
    }

    fn with(config: ClientConfig, settings: Option<Settings>) -> Result<Self, ClientError> {
        Ok(Self(Arc::new(Inner {
            resolver: config.resolver,
            tls: verify::TlsConfigs::new(&config.roots)?,
            pool: pool::Pool::default(),
            detail: config.detail || config.probe_key.is_some(),
            probe_key: config.probe_key,
            ca_path: config.ca_path,
            settings,
        })))
    }

    /// Opens a connection to the server of `url`, for the next request over a kept one; the error says why not.
    pub async fn open(&self, url: &str) -> Result<(), String> {
        exchange::open(&self.0, url).await
    }

    /// Sends one request and reads the whole answer.
    pub async fn send(&self, outgoing: Outgoing) -> Result<Answer, Failure> {
        exchange::send(&self.0, outgoing).await
    }
}
