//! The server's certificate: thirty days, remade when it is due, swapped while connections are served.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use super::authority::{Authority, BACKDATED, parse, serial};
use super::{TlsError, files};

const CERTIFICATE: &str = "leaf.pem";
const KEY: &str = "leaf.key";
pub(super) const LIFE: Duration = Duration::days(30);
/// Remade when this share of its life is left.
const LEFT_SHARE: i32 = 3;
/// How often [`keep_renewed`] looks.
const RENEWAL_CHECK_EVERY: std::time::Duration = std::time::Duration::from_secs(3_600);

/// The certificate in use.
#[derive(Debug)]
struct Leaf {
    key: Arc<CertifiedKey>,
    /// Sorted.
    names: Vec<String>,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
}

impl Leaf {
    fn due(&self, now: OffsetDateTime) -> bool {
        now < self.not_before || now >= self.not_after - (self.not_after - self.not_before) / LEFT_SHARE
    }
}

/// Gives each handshake the certificate in use. All names stand in one certificate, so that a client that
/// dials an address, and so sends no name (RFC 6066, section 3), gets the same.
#[derive(Debug)]
pub struct LeafResolver {
    authority: Authority,
    leaf: ArcSwap<Leaf>,
    /// One remaking at a time.
    remaking: Mutex<()>,
}

impl LeafResolver {
    /// The certificate kept beside the authority, if it is for these names (DNS names and addresses) and not
    /// due; else a new one. Names that the authority may not vouch for are left out, and a warning is logged.
    pub fn new(authority: Authority, names: &[String], now: OffsetDateTime) -> Result<Self, TlsError> {
        let names = permitted(&authority, names)?;
        let kept = load(&authority)?.filter(|leaf| leaf.names == names && !leaf.due(now));
        let leaf = match kept {
            Some(leaf) => leaf,
            None => issue(&authority, names, now)?,
        };
        Ok(Self { authority, leaf: ArcSwap::from_pointee(leaf), remaking: Mutex::new(()) })
    }

    /// Remakes the certificate if a third of its life is left. True when it did. Connections that stand
    /// are not touched; the next handshake gets the new one.
    pub fn renew_if_due(&self, now: OffsetDateTime) -> Result<bool, TlsError> {
        let _one = self.remaking.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.leaf.load();
        if !current.due(now) {
            return Ok(false);
        }
        self.leaf.store(Arc::new(issue(&self.authority, current.names.clone(), now)?));
        Ok(true)
    }

    /// Until when the certificate in use is valid.
    pub fn not_after(&self) -> OffsetDateTime {
        self.leaf.load().not_after
    }

    /// The names and addresses it is for, sorted.
    pub fn names(&self) -> Vec<String> {
        self.leaf.load().names.clone()
    }

    pub(super) fn is_for(&self, name: &str) -> bool {
        self.leaf.load().names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    pub(super) fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.leaf.load().key)
    }
}

impl ResolvesServerCert for LeafResolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// Looks every hour whether the certificate is due, for ever.
pub async fn keep_renewed(resolver: Arc<LeafResolver>) {
    let mut ticks = tokio::time::interval(RENEWAL_CHECK_EVERY);
    loop {
        ticks.tick().await;
        let resolver = Arc::clone(&resolver);
        // Signing and two fsyncs: not on a thread that serves requests.
        let renewed = tokio::task::spawn_blocking(move || resolver.renew_if_due(OffsetDateTime::now_utc())).await;
        match renewed {
            Ok(Ok(true)) => log::info!("the server's certificate was renewed"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => log::error!("the server's certificate was not renewed: {error}"),
            Err(error) => log::error!("the renewal of the server's certificate failed: {error}"),
        }
    }
}

/// Lower case, sorted, each once, and only what the authority may vouch for.
fn permitted(authority: &Authority, names: &[String]) -> Result<Vec<String>, TlsError> {
    let canonical = |name: &String| match name.parse::<IpAddr>() {
        Ok(ip) => ip.to_string(),
        Err(_) => name.to_ascii_lowercase(),
    };
    let mut wanted: Vec<String> = names.iter().map(canonical).collect();
    wanted.sort();
    wanted.dedup();
    let (good, bad): (Vec<String>, Vec<String>) = wanted.into_iter().partition(|name| authority.permits(name));
    if !bad.is_empty() {
        log::warn!("left out of the certificate, since the authority may not vouch for them: {}", bad.join(", "));
    }
    if good.is_empty() { Err(TlsError::NothingPermitted(bad.join(", "))) } else { Ok(good) }
}

fn paths(authority: &Authority) -> (PathBuf, PathBuf) {
    (authority.directory().join(CERTIFICATE), authority.directory().join(KEY))
}

/// The certificate on disk; None if it is of no use, since it can be made anew.
fn load(authority: &Authority) -> Result<Option<Leaf>, TlsError> {
    let (certificate, key) = paths(authority);
    let (Ok(Some(pem)), Ok(Some(key_pem))) = (files::read(&certificate), files::read(&key)) else { return Ok(None) };
    if files::check_private(&key).is_err() {
        return Ok(None);
    }
    let (Ok(der), Ok(key_pair)) = (CertificateDer::from_pem_slice(pem.as_bytes()), KeyPair::from_pem(&key_pem)) else {
        return Ok(None);
    };
    let ours = parse(&der).is_some_and(|certificate| {
        certificate.public_key().raw == key_pair.subject_public_key_info() && authority.signed(&certificate)
    });
    if ours { leaf_of(der, &key_pair).map(Some) } else { Ok(None) }
}

/// Makes, keeps and returns a new certificate, with a new key.
fn issue(authority: &Authority, names: Vec<String>, now: OffsetDateTime) -> Result<Leaf, TlsError> {
    let key_pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let validity = (now - BACKDATED, (now + LIFE).min(authority.not_after()));
    let parameters = parameters(&names, validity)?;
    let certificate = parameters.signed_by(&key_pair, authority.issuer())?;
    let (certificate_path, key_path) = paths(authority);
    // Between the two the pair does not match; then the next start makes another.
    files::write(&key_path, &key_pair.serialize_pem(), 0o600)?;
    files::write(&certificate_path, &certificate.pem(), 0o600)?;
    leaf_of(certificate.der().clone(), &key_pair)
}

/// A server's certificate, from and until when.
pub(super) fn parameters(
    names: &[String],
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
) -> Result<CertificateParams, TlsError> {
    let alternative = |name: &String| match name.parse::<IpAddr>() {
        Ok(ip) => Ok(SanType::IpAddress(ip)),
        Err(_) => name.as_str().try_into().map(SanType::DnsName).map_err(|_| TlsError::BadName(name.clone())),
    };
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "Roundtrip");
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = subject;
    parameters.serial_number = Some(serial()?);
    parameters.subject_alt_names = names.iter().map(alternative).collect::<Result<_, _>>()?;
    parameters.not_before = not_before;
    parameters.not_after = not_after;
    parameters.is_ca = IsCa::ExplicitNoCa;
    // Firefox refuses a server's certificate without these.
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    Ok(parameters)
}

fn leaf_of(der: CertificateDer<'static>, key_pair: &KeyPair) -> Result<Leaf, TlsError> {
    let key =
        PrivateKeyDer::try_from(key_pair.serialize_der()).map_err(|why| rustls::Error::General(why.to_owned()))?;
    let signing_key = rustls::crypto::ring::sign::any_supported_type(&key)?;
    let unreadable = || TlsError::Certificate(rcgen::Error::CouldNotParseCertificate);
    let (names, not_before, not_after) = {
        let certificate = parse(&der).ok_or_else(unreadable)?;
        let validity = certificate.validity();
        (names_of(&certificate), validity.not_before.to_datetime(), validity.not_after.to_datetime())
    };
    Ok(Leaf { key: Arc::new(CertifiedKey::new(vec![der], signing_key)), names, not_before, not_after })
}

/// Its subjectAltName, sorted.
pub(super) fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return Vec::new() };
    let shown = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
        },
        _ => None,
    };
    let mut names: Vec<String> = alternative.value.general_names.iter().filter_map(shown).collect();
    names.sort();
    names
}
