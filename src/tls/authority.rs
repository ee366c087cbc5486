//! The certificate authority of this machine: made once, kept, never overwritten.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::{Duration, OffsetDateTime};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::X509Certificate;

use super::constraints::Permitted;
use super::{TlsError, files};
use crate::web::secret;

/// The authority's certificate: for everybody.
pub const CA_CERTIFICATE: &str = "ca.pem";
/// Its key: for nobody.
pub const CA_KEY: &str = "ca.key";

/// Five years: longer than a course, shorter than a laptop is kept.
const CA_LIFE: Duration = Duration::days(5 * 365);
/// A certificate is valid from a little before it was made, for clients whose clock is late.
pub(super) const BACKDATED: Duration = Duration::hours(1);

/// A certificate authority that vouches for this machine only. Cheap to clone.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

struct Inner {
    directory: PathBuf,
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    permitted: Permitted,
    not_after: OffsetDateTime,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.0.directory.display())
    }
}

impl Authority {
    /// The authority kept in `directory`; made there if there is none.
    pub fn load_or_create(directory: &Path, now: OffsetDateTime) -> Result<Self, TlsError> {
        files::private_directory(directory)?;
        let (certificate, key) = (directory.join(CA_CERTIFICATE), directory.join(CA_KEY));
        let key_pair = match (files::read(&key)?, files::read(&certificate)?) {
            (Some(text), pem) => {
                files::check_private(&key)?;
                let key_pair = KeyPair::from_pem(&text).map_err(|why| TlsError::damaged(&key, why))?;
                if let Some(pem) = pem {
                    return Self::of(directory, pem, key_pair, now);
                }
                // Interrupted between the two files: nobody has seen a certificate of this key yet.
                key_pair
            }
            (None, Some(_)) => return Err(TlsError::KeyMissing { path: key }),
            (None, None) => {
                let key_pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                files::write(&key, &key_pair.serialize_pem(), 0o400)?;
                key_pair
            }
        };
        let pem = root(&key_pair, now)?;
        files::write(&certificate, &pem, 0o644)?;
        Self::of(directory, pem, key_pair, now)
    }

    fn of(directory: &Path, pem: String, key_pair: KeyPair, now: OffsetDateTime) -> Result<Self, TlsError> {
        let path = directory.join(CA_CERTIFICATE);
        let damaged = |why: &str| TlsError::damaged(&path, why);
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| damaged("it holds no certificate"))?;
        let (permitted, not_after) = {
            let certificate = parse(&der).ok_or_else(|| damaged("it can't be read as a certificate"))?;
            if certificate.public_key().raw != key_pair.subject_public_key_info() {
                return Err(damaged("its key is not the one in ca.key"));
            }
            if !certificate.is_ca() {
                return Err(damaged("it is not the certificate of an authority"));
            }
            let not_after = certificate.validity().not_after.to_datetime();
            if not_after <= now {
                return Err(damaged("it has expired"));
            }
            (permitted_by(&certificate).ok_or_else(|| damaged("it is not limited to this machine"))?, not_after)
        };
        let issuer = Issuer::from_ca_cert_der(&der, key_pair).map_err(|why| TlsError::damaged(&path, why))?;
        Ok(Self(Arc::new(Inner { directory: directory.to_owned(), pem, der, issuer, permitted, not_after })))
    }

    /// The certificate to be trusted, as PEM (RFC 7468).
    pub fn ca_pem(&self) -> &str {
        &self.0.pem
    }

    /// Where [`Self::ca_pem`] lies.
    pub fn ca_path(&self) -> PathBuf {
        self.0.directory.join(CA_CERTIFICATE)
    }

    /// SHA-256 of the certificate, as browsers show it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.0.der)
    }

    /// Until when it is valid.
    pub fn not_after(&self) -> OffsetDateTime {
        self.0.not_after
    }

    /// Whether it may vouch for `name`, a DNS name or an address.
    pub fn permits(&self, name: &str) -> bool {
        self.0.permitted.allows(name)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.0.directory
    }

    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.0.issuer
    }

    /// Whether `certificate` carries this authority's signature.
    pub(super) fn signed(&self, certificate: &X509Certificate<'_>) -> bool {
        parse(&self.0.der).is_some_and(|own| certificate.verify_signature(Some(own.public_key())).is_ok())
    }
}

/// The certificate of an authority, as a file shows it to those who are asked to trust it.
#[derive(Debug, Clone)]
pub struct CaCertificate {
    /// Its common name, which holds a mark of its key: no two are called the same.
    pub name: String,
    pub der: Vec<u8>,
}

impl CaCertificate {
    /// None when `pem` holds no certificate of an authority whose reach is limited as ours is.
    pub fn read(pem: &str) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        let certificate = parse(&der)?;
        permitted_by(&certificate).filter(|_| certificate.is_ca())?;
        let name = certificate.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
        Some(Self { name, der: der.to_vec() })
    }

    /// SHA-256, as browsers show it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.der)
    }
}

/// SHA-256 of the certificate in `pem`, as browsers show it: `AA:BB:…`.
pub fn fingerprint_sha256(pem: &str) -> Option<String> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| fingerprint(&der))
}

fn fingerprint(der: &[u8]) -> String {
    let pairs: Vec<String> = secret::sha256(der).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

pub(super) fn parse<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    x509_parser::parse_x509_certificate(der).ok().map(|(_, certificate)| certificate)
}

/// 127 random bits: at least 64 are asked for by RFC 5280's users (CA/B Forum BR, section 7.1), and the
/// number must be positive.
pub(super) fn serial() -> Result<SerialNumber, TlsError> {
    let mut bytes = secret::random_bytes::<16>().map_err(|_| rcgen::Error::RingUnspecified)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// A new root certificate for `key_pair`.
fn root(key_pair: &KeyPair, now: OffsetDateTime) -> Result<String, TlsError> {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Roundtrip");
    // Two authorities of one name would confuse clients: they try the wrong key and speak of a bad signature.
    let mark = secret::hex(&secret::sha256(key_pair.subject_public_key_info().as_slice())[..4]);
    name.push(DnType::CommonName, format!("Roundtrip on this machine, {} ({mark})", now.date()));
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = name;
    parameters.serial_number = Some(serial()?);
    // rcgen's own defaults are 1975 and 4096.
    parameters.not_before = now - BACKDATED;
    parameters.not_after = now + CA_LIFE;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.name_constraints = Some(Permitted::of_this_machine().constraints());
    Ok(parameters.self_signed(key_pair)?.pem())
}

/// What the certificate says it may vouch for; None when it sets no limit.
fn permitted_by(certificate: &X509Certificate<'_>) -> Option<Permitted> {
    let constraints = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::NameConstraints(constraints) => Some(constraints),
        _ => None,
    })?;
    let subtrees = constraints.permitted_subtrees.as_ref()?;
    let names = subtrees.iter().filter_map(|subtree| match subtree.base {
        GeneralName::DNSName(name) => Some(name.to_owned()),
        _ => None,
    });
    Some(Permitted { names: names.collect() })
}
