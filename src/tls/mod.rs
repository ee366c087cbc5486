//! The hop `tls`: a certificate authority of this machine's own, the server's certificate and its renewal.
//!
//! The authority is kept on disk and never replaced by itself, since people have told their browsers to
//! trust it; the server's certificate ("leaf") is remade whenever it is due. An operator may give a
//! certificate of their own ([`Given`]), which then stands beside it.

mod authority;
mod choice;
mod config;
mod constraints;
mod faults;
pub mod files;
mod given;
mod leaf;
mod upstream;

use std::path::{Path, PathBuf};

pub use authority::{Authority, CA_CERTIFICATE, CA_KEY, CaCertificate, fingerprint_sha256};
pub use choice::Certificates;
pub use config::server_config;
pub use constraints::{host_name, is_private};
pub use faults::Flaws;
pub use given::{Given, keep_current};
pub use leaf::{LeafResolver, keep_renewed};
pub use upstream::UpstreamTrust;

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("can't {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    /// Nothing was overwritten.
    #[error(
        "{} is damaged: {why}. Nothing was changed. Put a backup of it back; or move ca.pem and ca.key away, \
         start again, and trust the new authority", path.display()
    )]
    Damaged { path: PathBuf, why: String },
    #[error(
        "{} is missing, though ca.pem is there. Put a backup of it back; or move ca.pem away, start again, \
         and trust the new authority", path.display()
    )]
    KeyMissing { path: PathBuf },
    #[error("{} can be read by others (mode {mode:o}). Make it yours alone: chmod 400 {}", path.display(), path.display())]
    KeyExposed { path: PathBuf, mode: u32 },
    /// A file of the operator's own.
    #[error("{} can't be used: {why}", path.display())]
    Unusable { path: PathBuf, why: String },
    #[error("'{0}' can't stand in a certificate: it is neither a name nor an address")]
    BadName(String),
    #[error("none of the names asked for may be certified by this authority: {0}")]
    NothingPermitted(String),
    #[error("a certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS could not be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl TlsError {
    fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    fn unusable(path: &Path, why: impl std::fmt::Display) -> Self {
        Self::Unusable { path: path.to_owned(), why: why.to_string() }
    }

    fn damaged(path: &Path, why: impl std::fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.to_string() }
    }
}
