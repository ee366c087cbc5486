//! How our servers speak TLS.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::ResolvesServerCert;
use rustls::version::{TLS12, TLS13};

use super::TlsError;

/// A server's configuration: TLS 1.3 and 1.2, AEAD suites alone (rustls has no others), sessions resumed by
/// tickets. `alpn`: the protocols offered, the preferred first, such as `b"h2"` and `b"http/1.1"`.
pub fn server_config(
    resolver: Arc<dyn ResolvesServerCert>,
    alpn: &[&[u8]],
) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    // Passed, never installed: a provider for the whole process would be shared state between stacks.
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    // Keys of tickets live in memory and change every six hours: they don't weaken forward secrecy for long.
    config.ticketer = ring::Ticketer::new()?;
    Ok(Arc::new(config))
}
