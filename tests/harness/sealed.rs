//! TLS without a client on top.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub type Sealed = TlsStream<TcpStream>;

/// To a server of ours, which all go by the name `localhost`.
pub async fn connect(to: SocketAddr, ca_pem: &[u8]) -> Sealed {
    connect_as("localhost", to, ca_pem).await
}

/// To a server that shows a certificate for `name`.
pub async fn connect_as(name: &str, to: SocketAddr, ca_pem: &[u8]) -> Sealed {
    connect_speaking(&[], name, to, ca_pem).await
}

/// The same, offering these protocols (ALPN).
pub async fn connect_speaking(protocols: &[&[u8]], name: &str, to: SocketAddr, ca_pem: &[u8]) -> Sealed {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem) {
        roots.add(certificate.expect("a certificate")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let socket = TcpStream::connect(to).await.expect("a connection");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.expect("a handshake")
}
