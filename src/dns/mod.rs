//! The hop `dns`: an authoritative name server (RFC 1035) on UDP and TCP.
//!
//! hickory-server carries the messages; what is answered is decided by [`zone`], which is pure.

mod faults;
mod server;
mod zone;

pub use server::{DnsServer, Names, OnAnswer};
pub use zone::{Address, Alias, DnsConfig, Live};

/// Why the name server could not start.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    #[error("the name server can't listen on {address} ({protocol}): {source}")]
    Bind { address: std::net::SocketAddr, protocol: &'static str, source: std::io::Error },
    #[error("'{name}' is no domain name: {why}")]
    BadName { name: String, why: String },
    #[error("'{name}' is an alias, so it can carry no other record (RFC 1034, section 3.6.2)")]
    AliasAndMore { name: String },
}
