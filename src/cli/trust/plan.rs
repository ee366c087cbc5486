//! What is to be done, as a value: shown, or done.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Ca;
use super::store::{Found, Kind, Store};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Install,
    Uninstall,
}

impl Change {
    pub fn verb(self) -> &'static str {
        match self {
            Change::Install => "install",
            Change::Uninstall => "uninstall",
        }
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Write { path: PathBuf, text: String },
    Remove { path: PathBuf },
    Run { program: PathBuf, arguments: Vec<String> },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Write { path, .. } => write!(f, "write {}", path.display()),
            Step::Remove { path } => write!(f, "remove {}", path.display()),
            Step::Run { program, arguments } => {
                write!(f, "run {}", quoted(&program.to_string_lossy()))?;
                arguments.iter().try_for_each(|argument| write!(f, " {}", quoted(argument)))
            }
        }
    }
}

/// Why a plan can't be made or followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Trouble {
    pub reason: String,
    /// More rights would help.
    pub wants_rights: bool,
}

impl Trouble {
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), wants_rights: false }
    }
}

/// The steps from what is found to what is wanted; none when that is so already.
pub fn plan(change: Change, store: &Store, ca: &Ca) -> Result<Vec<Step>, Trouble> {
    let found = store.look(ca)?;
    match (change, found) {
        (Change::Install, Found::Ours) | (Change::Uninstall, Found::Nothing) => Ok(Vec::new()),
        (Change::Install, Found::Foreign) => {
            Err(Trouble::new("another certificate is where this one would go; it is left alone"))
        }
        (Change::Uninstall, Found::Foreign) => {
            Err(Trouble::new("what is there is another certificate; it is left alone"))
        }
        (Change::Install, Found::Nothing) => Ok(install(&store.kind, ca)),
        (Change::Uninstall, Found::Ours) => Ok(uninstall(&store.kind, ca)),
    }
}

fn run(program: &Path, arguments: &[&str]) -> Step {
    Step::Run {
        program: program.to_owned(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
    }
}

fn install(kind: &Kind, ca: &Ca) -> Vec<Step> {
    let pem = ca.path.to_string_lossy();
    match kind {
        Kind::Anchors { folder, gather, .. } => {
            vec![Step::Write { path: folder.join(ca.file_name()), text: ca.pem.clone() }, gather.clone()]
        }
        // C: vouches for servers, and for nothing else (certutil(1), -t).
        Kind::Nss { certutil, database } => {
            vec![run(certutil, &["-A", "-d", database, "-t", "C,,", "-n", ca.nickname(), "-i", &pem])]
        }
        Kind::Keychain { security, keychain } => {
            vec![run(security, &["add-trusted-cert", "-d", "-r", "trustRoot", "-k", keychain, &pem])]
        }
        Kind::Windows { certutil } => vec![run(certutil, &["-user", "-addstore", "Root", &pem])],
    }
}

fn uninstall(kind: &Kind, ca: &Ca) -> Vec<Step> {
    match kind {
        Kind::Anchors { folder, gather_anew, .. } => {
            vec![Step::Remove { path: folder.join(ca.file_name()) }, gather_anew.clone()]
        }
        Kind::Nss { certutil, database } => vec![run(certutil, &["-D", "-d", database, "-n", ca.nickname()])],
        Kind::Keychain { security, keychain } => {
            let sha256 = ca.certificate.fingerprint().replace(':', "");
            vec![
                run(security, &["remove-trusted-cert", "-d", &ca.path.to_string_lossy()]),
                run(security, &["delete-certificate", "-Z", &sha256, keychain]),
            ]
        }
        Kind::Windows { certutil } => {
            vec![run(certutil, &["-user", "-delstore", "Root", &super::store::sha1(&ca.certificate.der)])]
        }
    }
}

/// As a POSIX shell takes it for one word.
pub fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
