//! Certificates that are wrong on purpose. They live in memory alone, and are made when somebody is to see them.
//!
//! Whoever holds [`Flaws`] asks it at each handshake: so the listener of the console, which holds none, never shows
//! one.

use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use time::{Duration, OffsetDateTime};

use super::authority::{Authority, BACKDATED, serial};
use super::leaf::LIFE;
use super::{TlsError, leaf};
use crate::faults::{self, Place};
use crate::settings::fault::Fault;
use crate::settings::runtime::Settings;

const FAULTS: [Fault; 3] = [Fault::TlsExpired, Fault::TlsWrongName, Fault::TlsUnknownSigner];
/// A sound name that the authority may vouch for, and that nobody here has.
const SOMEBODY_ELSE: &str = "somebody-else.roundtrip.test";
/// How long ago an expired one expired: more than any clock is wrong.
const EXPIRED_SINCE: Duration = Duration::days(2);

/// A server's handshakes while a certificate is wrong on purpose.
#[derive(Debug)]
pub struct Flaws {
    authority: Authority,
    /// What a sound certificate would be for.
    names: Vec<String>,
    /// What is shown now.
    made: Mutex<Option<(Fault, Arc<ServerConfig>)>>,
}

impl Flaws {
    pub fn new(authority: Authority, names: &[String]) -> Self {
        let names = names.iter().filter(|name| authority.permits(name)).cloned().collect();
        Self { authority, names, made: Mutex::default() }
    }

    /// The configuration for the next handshake in place of `usual`, while one of the faults is on. It neither resumes
    /// a session nor lets one be resumed: a resumed session shows no certificate (RFC 8446, section 2.2).
    pub fn instead_of(&self, usual: &ServerConfig, settings: &Settings) -> Result<Option<Arc<ServerConfig>>, TlsError> {
        let struck = FAULTS.into_iter().find(|fault| faults::is_on(settings, *fault, Place::ANYWHERE).is_some());
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(fault) = struck else {
            // Its key is not needed any more.
            *made = None;
            return Ok(None);
        };
        if let Some((shown, config)) = &*made
            && *shown == fault
        {
            return Ok(Some(Arc::clone(config)));
        }
        let config = Arc::new(self.config(fault, &usual.alpn_protocols)?);
        *made = Some((fault, Arc::clone(&config)));
        Ok(Some(config))
    }

    fn config(&self, fault: Fault, protocols: &[Vec<u8>]) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(self.certificate(fault)?)));
        config.alpn_protocols = protocols.to_vec();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    fn certificate(&self, fault: Fault) -> Result<CertifiedKey, TlsError> {
        let now = OffsetDateTime::now_utc();
        let key_pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let sound = (now - BACKDATED, now + LIFE);
        let certificate = match fault {
            Fault::TlsExpired => {
                let over = (now - EXPIRED_SINCE - LIFE, now - EXPIRED_SINCE);
                leaf::parameters(&self.names, over)?.signed_by(&key_pair, self.authority.issuer())?
            }
            Fault::TlsWrongName => {
                leaf::parameters(&[SOMEBODY_ELSE.to_owned()], sound)?.signed_by(&key_pair, self.authority.issuer())?
            }
            _ => leaf::parameters(&self.names, sound)?.signed_by(&key_pair, &stranger(sound)?)?,
        };
        let key =
            PrivateKeyDer::try_from(key_pair.serialize_der()).map_err(|why| rustls::Error::General(why.to_owned()))?;
        let signing_key = ring::sign::any_supported_type(&key)?;
        Ok(CertifiedKey::new(vec![certificate.der().clone()], signing_key))
    }
}

/// An authority that nobody has heard of.
fn stranger((not_before, not_after): (OffsetDateTime, OffsetDateTime)) -> Result<Issuer<'static, KeyPair>, TlsError> {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "An authority that nobody knows");
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = subject;
    parameters.serial_number = Some(serial()?);
    parameters.not_before = not_before;
    parameters.not_after = not_after;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(Issuer::new(parameters, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
}
