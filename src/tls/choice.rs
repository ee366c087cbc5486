//! Which certificate a handshake gets, where there are two.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{Given, LeafResolver};

/// Names beneath it are known to the embedded DNS alone: commands and journeys of this machine ask for them,
/// and trust the local authority.
const LOCAL_ZONE: &str = ".roundtrip.test";

/// The operator's certificate for the names it is for and for those that nobody knows; the local one for the
/// names of this machine, so that its own clients still find whom they trust.
#[derive(Debug)]
pub struct Certificates {
    pub given: Arc<Given>,
    pub local: Arc<LeafResolver>,
    /// Where the server listens: what a client means that dials an address.
    pub bound: IpAddr,
}

impl Certificates {
    fn gives(&self, server_name: Option<&str>) -> bool {
        match server_name {
            Some(name) if name.to_ascii_lowercase().ends_with(LOCAL_ZONE) => false,
            Some(name) => self.given.is_for(name) || !self.local.is_for(name),
            // RFC 6066, section 3: an address is never sent as a name.
            None => self.given.is_for(&self.bound.to_string()),
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(if self.gives(hello.server_name()) { self.given.current() } else { self.local.current() })
    }
}
