//! How the client speaks TLS, and when it checked the certificate.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{ClientError, Roots};
use crate::observe::clock::Tick;

/// Sessions remembered for resumption.
const SESSIONS_MAX: usize = 64;

/// From the first look at a certificate to the last signature checked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Checked {
    pub start: Option<Tick>,
    pub end: Option<Tick>,
    /// It did not pass: nothing comes after.
    pub refused: bool,
}

tokio::task_local! {
    /// The handshake under way. The verifier is shared by all of them (rustls resumes a session only under
    /// the very verifier that made it), and is called by the task that shakes hands.
    pub(super) static CHECKED: Arc<Mutex<Checked>>;
}

/// WebPKI's verifier, timed.
#[derive(Debug)]
struct Timed(Arc<WebPkiServerVerifier>);

fn timed<T>(check: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let start = Tick::now();
    let result = check();
    // Without a handshake that wants to know, nothing is kept.
    let _ = CHECKED.try_with(|checked| {
        let mut checked = checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.start.get_or_insert(start);
        checked.end = Some(Tick::now());
        checked.refused |= result.is_err();
    });
    result
}

impl ServerCertVerifier for Timed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        timed(|| self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        timed(|| self.0.verify_tls12_signature(message, cert, dss))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        timed(|| self.0.verify_tls13_signature(message, cert, dss))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// One configuration that remembers sessions and one that does not.
#[derive(Debug)]
pub(super) struct TlsConfigs {
    pub resuming: Arc<ClientConfig>,
    pub anew: Arc<ClientConfig>,
}

impl TlsConfigs {
    pub fn new(roots: &Roots) -> Result<Self, ClientError> {
        let tls = |error: &dyn std::fmt::Display| ClientError::Tls(error.to_string());
        let provider = Arc::new(ring::default_provider());
        let store = Arc::new(store(roots)?);
        let webpki = WebPkiServerVerifier::builder_with_provider(store, Arc::clone(&provider));
        let verifier = Arc::new(Timed(webpki.build().map_err(|error| tls(&error))?));
        let mut anew = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| tls(&error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        // A connection carries one request at a time, in plain sight: h2 would hide the heads in HPACK.
        anew.alpn_protocols = vec![b"http/1.1".to_vec()];
        anew.resumption = Resumption::disabled();
        let mut resuming = anew.clone();
        resuming.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        Ok(Self { resuming: Arc::new(resuming), anew: Arc::new(anew) })
    }
}

fn store(roots: &Roots) -> Result<RootCertStore, ClientError> {
    let mut store = RootCertStore::empty();
    let certificates: Vec<CertificateDer<'static>> = match roots {
        Roots::Pem(pem) => CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect(),
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            if found.certs.is_empty() {
                let why = found.errors.first().map_or("there are none".to_owned(), ToString::to_string);
                return Err(ClientError::SystemRoots(why));
            }
            found.certs
        }
    };
    // Systems carry certificates that rustls can't read; the others are as good without them.
    let (added, _) = store.add_parsable_certificates(certificates);
    if added == 0 { Err(ClientError::NoRoots) } else { Ok(store) }
}
