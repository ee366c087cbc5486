//! Whom we trust when an upstream speaks TLS.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

use super::TlsError;

/// Authorities of files that are remembered.
const REMEMBERED_MAX: usize = 64;

/// One configuration for each set of authorities: a configuration that is loaded again and names the same
/// ones gets the very same, and connections that stand stay.
#[derive(Debug, Clone, Default)]
pub struct UpstreamTrust(Arc<Mutex<Vec<Remembered>>>);

/// The contents of a file of authorities, and what trusts them.
type Remembered = (Vec<u8>, Arc<ClientConfig>);

impl UpstreamTrust {
    /// Trusts the system's roots, and the certificates in the file `ca` if there is one. Reads files.
    pub fn config(&self, ca: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
        let read = |path: &Path| std::fs::read(path).map_err(|error| TlsError::io("read", path, error));
        let pem = ca.map_or(Ok(Vec::new()), read)?;
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = remembered.iter().find(|(other, _)| *other == pem) {
            return Ok(Arc::clone(config));
        }
        let config = config(ca, &pem)?;
        if remembered.len() >= REMEMBERED_MAX {
            remembered.remove(0);
        }
        remembered.push((pem, Arc::clone(&config)));
        Ok(config)
    }
}

fn config(ca: Option<&Path>, pem: &[u8]) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    // A system without roots is one where only the file's certificates count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        let own: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let own = own.map_err(|error| TlsError::unusable(path, error))?;
        if roots.add_parsable_certificates(own).0 == 0 {
            return Err(TlsError::unusable(path, "it holds no certificate"));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
