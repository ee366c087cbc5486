//! Where an upstream is: a name or an address, a port, and whether TLS is spoken there.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

#[derive(Debug, Clone)]
pub struct Target {
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
    /// None: plain HTTP.
    pub tls: Option<TargetTls>,
}

#[derive(Debug, Clone)]
pub struct TargetTls {
    /// What is trusted there; the caller's.
    pub config: Arc<ClientConfig>,
    /// What its certificate has to be for.
    pub name: ServerName<'static>,
}

/// A host that can be no server's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a name nor an address")]
pub struct BadName(String);

impl Target {
    pub fn plain(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, tls: None }
    }

    /// TLS, by the name `host`.
    pub fn tls(host: impl Into<String>, port: u16, config: Arc<ClientConfig>) -> Result<Self, BadName> {
        let host = host.into();
        let name = ServerName::try_from(host.clone()).map_err(|_| BadName(host.clone()))?;
        Ok(Self { host, port, tls: Some(TargetTls { config, name }) })
    }

    /// What `Host` says to it: the port only where it isn't the scheme's own.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.tls.is_some() { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// Its address, where no name has to be resolved.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }

    /// Whether it is the same place, spoken to in the same way. What is trusted there may differ: that
    /// changes for new connections only.
    pub(super) fn is_same_place(&self, other: &Target) -> bool {
        let name = |target: &Target| target.tls.as_ref().map(|tls| tls.name.clone());
        self.host == other.host && self.port == other.port && name(self) == name(other)
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::plain(address.ip().to_string(), address.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_has_brackets_and_a_port_where_they_are_needed() {
        for (target, authority) in [
            (Target::plain("a.test", 80), "a.test"),
            (Target::plain("a.test", 8080), "a.test:8080"),
            (Target::from(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 443))), "[::1]:443"),
        ] {
            assert_eq!(target.authority(), authority);
        }
    }
}
