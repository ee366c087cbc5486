//! The places that hold whom a machine trusts, and what is in them.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::plan::{Step, Trouble};
use super::{Ca, Which, act};
use crate::tls::fingerprint_sha256;

/// How the names of our files begin.
pub const FILE_PREFIX: &str = "roundtrip-";

/// A family of Linux systems. The folders are told apart as they exist on one family each.
struct Family {
    name: &'static str,
    /// Where certificates are put that all programs are to trust.
    anchors: &'static str,
    /// The command that gathers them, and as it is to be after one was removed.
    gather: &'static [&'static str],
    gather_anew: &'static [&'static str],
    /// The package of NSS' certutil.
    nss_tools: &'static str,
}

const FAMILIES: [Family; 3] = [
    Family {
        name: "Debian",
        anchors: "usr/local/share/ca-certificates",
        gather: &["update-ca-certificates"],
        // Else the links to what was removed stay in /etc/ssl/certs, and lead nowhere.
        gather_anew: &["update-ca-certificates", "--fresh"],
        nss_tools: "libnss3-tools",
    },
    Family {
        name: "Fedora",
        anchors: "etc/pki/ca-trust/source/anchors",
        gather: &["update-ca-trust", "extract"],
        gather_anew: &["update-ca-trust", "extract"],
        nss_tools: "nss-tools",
    },
    Family {
        name: "Arch",
        anchors: "etc/ca-certificates/trust-source/anchors",
        gather: &["trust", "extract-compat"],
        gather_anew: &["trust", "extract-compat"],
        nss_tools: "nss",
    },
];
/// Where programs are looked for. Not in PATH: a user's often lacks sbin, and root's must not lead elsewhere.
const PROGRAMS: [&str; 6] = ["usr/sbin", "usr/bin", "sbin", "bin", "usr/local/sbin", "usr/local/bin"];
/// Below a home: folders whose folders are profiles with a database each (Firefox as a package, snap, flatpak).
const PROFILES: [&str; 4] = [
    ".mozilla/firefox",
    ".config/mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
];
/// Below a home: the one database of all Chromium profiles.
const CHROMIUM: [&str; 3] = [".pki/nssdb", ".local/share/pki/nssdb", "snap/chromium/current/.pki/nssdb"];
/// Present in a folder with an NSS database in SQLite.
const NSS_FILE: &str = "cert9.db";

/// What is where an authority of ours goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Nothing,
    Ours,
    Foreign,
}

/// One list of trusted authorities.
#[derive(Debug)]
pub struct Store {
    pub name: String,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    /// A folder of certificates, and the commands that gather them for programs to read, after one was added
    /// and after one was removed.
    Anchors {
        folder: PathBuf,
        gather: Step,
        gather_anew: Step,
    },
    /// Mozilla's NSS; `database` as certutil takes it.
    Nss {
        certutil: PathBuf,
        database: String,
    },
    Keychain {
        security: PathBuf,
        keychain: String,
    },
    /// The user's own, not the machine's: it asks for no administrator.
    Windows {
        certutil: PathBuf,
    },
}

/// What this machine is.
#[derive(Debug)]
pub struct Machine {
    /// `/`; a test has another.
    pub root: PathBuf,
    pub home: Option<PathBuf>,
}

impl Machine {
    pub fn this() -> Self {
        Self { root: PathBuf::from("/"), home: std::env::home_dir() }
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        PROGRAMS.iter().map(|folder| self.root.join(folder).join(name)).find(|path| path.is_file())
    }

    fn family(&self) -> Option<&'static Family> {
        let is = |family: &&Family| self.root.join(family.anchors).is_dir() && self.program(family.gather[0]).is_some();
        FAMILIES.iter().find(is)
    }

    /// The system's own list; None when this kind of system is not known.
    pub fn system_store(&self) -> Option<Store> {
        if cfg!(target_os = "macos") {
            let keychain = "/Library/Keychains/System.keychain".to_owned();
            let kind = Kind::Keychain { security: self.program("security")?, keychain };
            return Some(Store { name: "the system's keychain".to_owned(), kind });
        }
        if cfg!(windows) {
            let kind = Kind::Windows { certutil: PathBuf::from(r"C:\Windows\System32\certutil.exe") };
            return Some(Store { name: "this user's certificates".to_owned(), kind });
        }
        let family = self.family()?;
        let program = self.program(family.gather[0])?;
        let run = |words: &[&str]| Step::Run {
            program: program.clone(),
            arguments: words[1..].iter().map(|word| (*word).to_owned()).collect(),
        };
        let (folder, gather, gather_anew) =
            (self.root.join(family.anchors), run(family.gather), run(family.gather_anew));
        let kind = Kind::Anchors { folder, gather, gather_anew };
        Some(Store { name: format!("this system ({})", family.name), kind })
    }

    /// The lists of browsers. On macOS and Windows there are none to change: browsers there take what the
    /// system trusts (Firefox since 120).
    pub fn browser_stores(&self) -> Vec<Store> {
        let Some(certutil) = self.certutil() else { return Vec::new() };
        let store = |folder: PathBuf| Store {
            name: format!("the browser list {}", folder.display()),
            kind: Kind::Nss { certutil: certutil.clone(), database: format!("sql:{}", folder.display()) },
        };
        self.nss_folders().into_iter().map(store).collect()
    }

    fn certutil(&self) -> Option<PathBuf> {
        self.program("certutil").filter(|_| cfg!(target_os = "linux"))
    }

    fn nss_folders(&self) -> Vec<PathBuf> {
        let Some(home) = self.home.as_ref().filter(|_| cfg!(target_os = "linux")) else { return Vec::new() };
        let below = |folder: &str| fs::read_dir(home.join(folder)).into_iter().flatten().flatten();
        let profiles = PROFILES.iter().flat_map(|folder| below(folder)).map(|entry| entry.path());
        let all = profiles.chain(CHROMIUM.iter().map(|folder| home.join(folder)));
        let mut found: Vec<PathBuf> = all.filter(|folder| folder.join(NSS_FILE).is_file()).collect();
        found.sort();
        found
    }

    /// What a person should know besides: what could not be reached, and how; and other authorities of ours.
    pub fn notes(&self, ca: &Ca, stores: &[Store], which: Which) -> Vec<String> {
        let mut notes = Vec::new();
        let system = stores.iter().find(|store| store.is_the_systems());
        if which != Which::Browsers && system.is_none() {
            notes.push("how this system keeps its list is not known here; use: roundtrip trust export".to_owned());
        }
        let folders = if which == Which::System { Vec::new() } else { self.nss_folders() };
        if !folders.is_empty() && self.certutil().is_none() {
            let package = self.family().map_or("NSS' tools", |family| family.nss_tools);
            notes.push(format!(
                "browsers keep {} list(s) of their own, which certutil changes: install {package}, then run this again",
                folders.len()
            ));
        }
        if let Some(Store { kind: Kind::Anchors { folder, .. }, .. }) = system {
            let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
            let others = files
                .filter_map(|name| name.into_string().ok())
                .filter(|name| name.starts_with(FILE_PREFIX) && *name != ca.file_name());
            notes.extend(others.map(|name| {
                let path = folder.join(name);
                format!("another authority is trusted; to undo that: roundtrip trust uninstall --ca {}", path.display())
            }));
        }
        notes
    }
}

impl Store {
    pub fn is_the_systems(&self) -> bool {
        !matches!(self.kind, Kind::Nss { .. })
    }

    /// What is there, told by its fingerprint.
    pub fn look(&self, ca: &Ca) -> Result<Found, Trouble> {
        let told = |pem: &str| {
            let same = fingerprint_sha256(pem) == Some(ca.certificate.fingerprint());
            if same { Found::Ours } else { Found::Foreign }
        };
        match &self.kind {
            Kind::Anchors { folder, .. } => match fs::read(folder.join(ca.file_name())) {
                Ok(bytes) => Ok(told(&String::from_utf8_lossy(&bytes))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
                Err(error) => Err(Trouble::new(format!("{}: {error}", folder.join(ca.file_name()).display()))),
            },
            Kind::Nss { certutil, database } => {
                let listed = act::output(certutil, &["-L", "-d", database, "-n", ca.nickname(), "-a"])?;
                if listed.status.success() {
                    return Ok(told(&String::from_utf8_lossy(&listed.stdout)));
                }
                let complaint = String::from_utf8_lossy(&listed.stderr).to_lowercase();
                let none = complaint.contains("could not find");
                if none { Ok(Found::Nothing) } else { Err(Trouble::new(act::complaint(&listed))) }
            }
            Kind::Keychain { security, keychain } => {
                let listed = act::output(security, &["find-certificate", "-a", "-Z", keychain])?;
                let sha256 = ca.certificate.fingerprint().replace(':', "");
                let ours = String::from_utf8_lossy(&listed.stdout).contains(&sha256);
                Ok(if ours { Found::Ours } else { Found::Nothing })
            }
            Kind::Windows { certutil } => {
                let listed = act::output(certutil, &["-user", "-store", "Root", &sha1(&ca.certificate.der)])?;
                Ok(if listed.status.success() { Found::Ours } else { Found::Nothing })
            }
        }
    }
}

/// How Windows names a certificate. It identifies among those that are there, and proves nothing.
pub fn sha1(der: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, der);
    crate::web::secret::hex(digest.as_ref())
}
