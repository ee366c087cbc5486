//! Many requests at little cost: no record, no headers kept, one task a connection. For the load generator.
//!
//! The name is looked up and the certificate checked as [`super::Client`] does; a connection then speaks
//! HTTP/1.1, one request at a time, and of an answer only its status and its length are wanted.

mod answer;
mod chunked;
mod jar;
mod line;
mod request;

use std::net::IpAddr;
use std::sync::Arc;

use super::{Client, Url};

pub use answer::Answered;
pub use jar::Jar;
pub use line::Line;
pub use request::{BadRequest, Shape, field_name, is_field_value, is_target};

/// How far requests may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This machine: refused before a packet is sent to any other.
    Loopback,
    /// Wherever the name leads.
    Anywhere,
}

/// Why a request had no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The name has no address.
    Dns,
    /// The name leads where requests may not go.
    NotAllowed,
    /// No TCP connection.
    Connect,
    /// No handshake, or a certificate that does not hold.
    Tls,
    /// The connection was closed without a byte of an answer.
    Reset,
    /// The answer broke off.
    Truncated,
    /// What came is no HTTP/1.1.
    BadAnswer,
    /// Nothing, or not all, in time.
    Timeout,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::Dns,
        Kind::NotAllowed,
        Kind::Connect,
        Kind::Tls,
        Kind::Reset,
        Kind::Truncated,
        Kind::BadAnswer,
        Kind::Timeout,
    ];

    pub fn id(self) -> &'static str {
        match self {
            Kind::Dns => "dns",
            Kind::NotAllowed => "not_allowed",
            Kind::Connect => "connect",
            Kind::Tls => "tls",
            Kind::Reset => "reset",
            Kind::Truncated => "truncated",
            Kind::BadAnswer => "bad_answer",
            Kind::Timeout => "timeout",
        }
    }
}

/// A request without a whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Broken {
    pub kind: Kind,
    pub why: String,
}

impl Broken {
    fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }
}

/// Where requests go: a scheme, a host and a port, whom to ask for its address and whom to believe.
#[derive(Debug, Clone)]
pub struct Origin {
    url: Url,
    reach: Reach,
    client: Client,
    tls: Arc<rustls::ClientConfig>,
}

impl Origin {
    /// With `client`'s resolver and its roots. `resume`: new connections resume the TLS session of an earlier one.
    pub fn new(client: &Client, url: Url, reach: Reach, resume: bool) -> Self {
        let tls = if resume { &client.0.tls.resuming } else { &client.0.tls.anew };
        Self { url, reach, client: client.clone(), tls: Arc::clone(tls) }
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its addresses, if requests may go to all of them. Asks nobody but DNS.
    pub async fn addresses(&self) -> Result<Vec<IpAddr>, Broken> {
        let host = &self.url.host;
        let found = self.client.0.resolver.resolve(host).await;
        let addresses = found.map_err(|not_found| Broken::new(Kind::Dns, not_found.to_string()))?;
        let elsewhere = addresses.iter().find(|address| !address.to_canonical().is_loopback());
        if let (Reach::Loopback, Some(address)) = (self.reach, elsewhere) {
            let why = format!(
                "{host} is {address}, which is not this machine. Load goes to this machine and your own server alone; \
                 who may allow more writes load-hosts = [\"{host}\"] into roundtrip.toml."
            );
            return Err(Broken::new(Kind::NotAllowed, why));
        }
        Ok(addresses)
    }
}
