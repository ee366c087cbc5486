//! A certificate of the operator's own, in two PEM files: checked, watched, swapped while connections are served.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use time::OffsetDateTime;

use super::authority::parse;
use super::leaf::names_of;
use super::{TlsError, files};
use crate::web::host::covers;

/// How often [`keep_current`] looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// From when on, and how often, its end is announced: what browsers refuse must not come as a surprise.
const EXPIRES_SOON: Duration = Duration::from_secs(7 * 86_400);
const WARN_EVERY: Duration = Duration::from_secs(86_400);

/// A certificate that can be shown.
#[derive(Debug)]
struct Pair {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    not_after: OffsetDateTime,
}

/// What a server's certificate says.
struct Said {
    names: Vec<String>,
    not_after: OffsetDateTime,
}

/// What changes about a file when it is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// Which file it is, and when its mode was last changed, too (ctime).
    inode: (u64, i64, i64),
}

type Stamps = [Option<Stamp>; 2];

/// How the two files were when they were looked at.
#[derive(Debug)]
struct Seen {
    /// Of the pair in use.
    used: Stamps,
    /// Of the last pair that could not be used, and was told of.
    refused: Option<Stamps>,
}

/// The pair in use, and where it came from.
#[derive(Debug)]
pub struct Given {
    certificate: PathBuf,
    key: PathBuf,
    pair: ArcSwap<Pair>,
    /// The files as they were at the last look.
    seen: Mutex<Seen>,
}

impl Given {
    /// Reads the chain and its key; the error says which file is at fault, and why.
    pub fn load(certificate: &Path, key: &Path, now: OffsetDateTime) -> Result<Self, TlsError> {
        // Before they are read: what is written meanwhile is seen as a change.
        let seen = stamps(certificate, key);
        let pair = read(certificate, key, now)?;
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            pair: ArcSwap::from_pointee(pair),
            seen: Mutex::new(Seen { used: seen, refused: None }),
        })
    }

    /// The names and addresses it is for, sorted; one may begin with `*.`.
    pub fn names(&self) -> Vec<String> {
        self.pair.load().names.clone()
    }

    /// Until when it is valid.
    pub fn not_after(&self) -> OffsetDateTime {
        self.pair.load().not_after
    }

    /// Reads the files again if one of them changed. True when another pair is in use then; a pair that can't
    /// be used leaves the old one in place, and is told of once.
    pub fn reload_if_changed(&self, now: OffsetDateTime) -> Result<bool, TlsError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = stamps(&self.certificate, &self.key);
        if seen.used == found {
            return Ok(false);
        }
        match read(&self.certificate, &self.key, now) {
            Ok(pair) => {
                self.pair.store(Arc::new(pair));
                *seen = Seen { used: found, refused: None };
                Ok(true)
            }
            // It is tried again: what is not valid yet will be, and what was half-written will be whole.
            Err(_) if seen.refused.as_ref() == Some(&found) => Ok(false),
            Err(error) => {
                seen.refused = Some(found);
                Err(error)
            }
        }
    }

    pub(super) fn is_for(&self, name: &str) -> bool {
        self.pair.load().names.iter().any(|own| covers(own, name))
    }

    pub(super) fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.pair.load().key)
    }
}

/// Follows the two files, for ever. Connections that stand are not touched; the next handshake gets the new pair.
pub async fn keep_current(given: Arc<Given>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    // The server answers to the names of its start.
    let hosts = given.names();
    let mut warned = None;
    loop {
        let now = ticks.tick().await;
        let left = given.not_after() - OffsetDateTime::now_utc();
        if left < EXPIRES_SOON && warned.is_none_or(|last| now - last >= WARN_EVERY) {
            log::warn!("the certificate expires on {}: put a new one in its place", given.not_after().date());
            warned = Some(now);
        }
        let looking = Arc::clone(&given);
        let looked = tokio::task::spawn_blocking(move || looking.reload_if_changed(OffsetDateTime::now_utc())).await;
        match looked {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) if given.names() == hosts => log::info!("the certificate was read again"),
            Ok(Ok(true)) => log::warn!("the new certificate is for other names: restart, to answer to those, too"),
            Ok(Err(error)) => log::error!("the old certificate stays in use: {error}"),
            Err(error) => log::error!("the certificate could not be looked at: {error}"),
        }
    }
}

fn stamps(certificate: &Path, key: &Path) -> Stamps {
    [certificate, key].map(|path| fs::metadata(path).ok().map(|file| stamp(&file)))
}

fn stamp(file: &fs::Metadata) -> Stamp {
    #[cfg(unix)]
    let inode = {
        use std::os::unix::fs::MetadataExt as _;
        (file.ino(), file.ctime(), file.ctime_nsec())
    };
    #[cfg(not(unix))]
    let inode = (0, 0, 0);
    Stamp { modified: file.modified().ok(), length: file.len(), inode }
}

fn read(certificate: &Path, key: &Path, now: OffsetDateTime) -> Result<Pair, TlsError> {
    let bad = |path: &Path, why: &str| TlsError::Unusable { path: path.to_owned(), why: why.to_owned() };
    let text = |path: &Path| files::read(path)?.ok_or_else(|| bad(path, "there is no such file"));
    let pem = text(certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain = chain.map_err(|_| bad(certificate, "it is not PEM"))?;
    let first = chain.first().ok_or_else(|| bad(certificate, "it holds no certificate in PEM"))?;
    let Said { names, not_after } = check(first, now).map_err(|why| bad(certificate, &why))?;

    let key_pem = text(key)?;
    files::check_not_public(key)?;
    let private = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|_| TlsError::Unusable { path: key.to_owned(), why: "it holds no private key in PEM".to_owned() })?;
    let signing = rustls::crypto::ring::sign::any_supported_type(&private)
        .map_err(|_| bad(key, "this kind of key is not spoken here; ECDSA, Ed25519 and RSA are"))?;
    let pair = CertifiedKey::new(chain, signing);
    match pair.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            Ok(Pair { key: Arc::new(pair), names, not_after })
        }
        Err(_) => {
            let why = format!("the key in {} is not that of its first certificate", key.display());
            Err(bad(certificate, &why))
        }
    }
}

/// What it says, if it is valid now.
fn check(der: &CertificateDer<'_>, now: OffsetDateTime) -> Result<Said, String> {
    let certificate = parse(der).ok_or("it can't be read as a certificate")?;
    let (from, until) =
        (certificate.validity().not_before.to_datetime(), certificate.validity().not_after.to_datetime());
    if until <= now {
        return Err(format!("it expired on {}", until.date()));
    }
    if from > now {
        return Err(format!("it is not valid before {}; check this machine's clock", from.date()));
    }
    let names = names_of(&certificate);
    if names.is_empty() {
        return Err("it is for no name (no subjectAltName)".to_owned());
    }
    Ok(Said { names, not_after: until })
}
