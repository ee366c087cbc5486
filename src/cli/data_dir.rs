//! The data folder: everything a person owns is in it, and one process at a time has it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::CliError;
use crate::tls::files;
use crate::web::secret;

const LOCK: &str = "lock";
const CONTROL_KEY: &str = "control.key";

/// The folder, held by this process until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Whether it was made just now, or empty.
    pub new: bool,
    /// What was made to have it, the innermost first.
    made: Vec<PathBuf>,
    _lock: File,
}

impl DataDir {
    /// Makes the folder if there is none, and takes its lock. One that others may enter is refused as it
    /// is: it may be theirs, too.
    pub fn open(path: &Path) -> Result<DataDir, CliError> {
        let bad = |error: std::io::Error| CliError::new(format!("the data folder {}: {error}", path.display()));
        let mut made: Vec<PathBuf> = path
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .map(Path::to_owned)
            .collect();
        if made.is_empty() {
            refuse_shared(path, &fs::metadata(path).map_err(bad)?)?;
        }
        files::private_directory(path).map_err(|error| CliError::new(error.to_string()))?;
        let path = path.canonicalize().map_err(bad)?;
        let new = fs::read_dir(&path).map_err(bad)?.next().is_none();
        let lock_path = path.join(LOCK);
        let lock_is_new = !lock_path.exists();
        let lock = private_file().open(&lock_path).map_err(bad)?;
        let held = || {
            let place = path.display();
            CliError::new(format!("another Roundtrip uses {place}; stop it, or give this one --data-dir"))
        };
        match lock.try_lock() {
            // Else it was taken away meanwhile, by one whose start was refused.
            Ok(()) if is_at(&lock, &lock_path) => {}
            Ok(()) | Err(TryLockError::WouldBlock) => return Err(held()),
            Err(TryLockError::Error(error)) => return Err(bad(error)),
        }
        if lock_is_new {
            made.insert(0, lock_path);
        }
        Ok(DataDir { path, new, made, _lock: lock })
    }

    /// A start was refused before anything was put into the folder: what was made to have it goes.
    pub fn unmake(self) {
        for path in &self.made {
            let gone = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
            if let Err(error) = gone {
                log::debug!("{}: {error}", path.display());
                return;
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new control key for this run.
    pub fn make_control_key(&self) -> Result<[u8; 32], CliError> {
        let key = secret::random_bytes::<32>().map_err(|error| CliError::new(error.to_string()))?;
        write_private(&self.path.join(CONTROL_KEY), &secret::hex(&key))?;
        Ok(key)
    }

    /// At an orderly stop: the key proves nothing any more.
    pub fn forget_run(&self) {
        for name in [CONTROL_KEY, super::run_file::NAME] {
            if let Err(error) = fs::remove_file(self.path.join(name)) {
                log::debug!("{name}: {error}");
            }
        }
    }
}

/// The control key of the server that runs on `folder`.
pub fn read_control_key(folder: &Path) -> Result<[u8; 32], CliError> {
    let path = folder.join(CONTROL_KEY);
    let text = fs::read_to_string(&path).map_err(|error| CliError::new(format!("{}: {error}", path.display())))?;
    let bytes = secret::from_hex(text.trim()).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| CliError::new(format!("{} holds no key", path.display())))
}

/// Writes a file that only its owner reads, whole or not at all.
pub fn write_private(path: &Path, text: &str) -> Result<(), CliError> {
    files::write(path, text, 0o600).map_err(|error| CliError::new(error.to_string()))
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn refuse_shared(path: &Path, folder: &fs::Metadata) -> Result<(), CliError> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&folder.permissions()) & 0o777;
    if !folder.is_dir() || mode & 0o077 == 0 {
        return Ok(());
    }
    let place = path.display();
    Err(CliError::new(format!(
        "the data folder {place} is open to others (mode {mode:o}); if it is yours alone: chmod 700 {place}; \
         else give another one with --data-dir"
    )))
}

#[cfg(not(unix))]
fn refuse_shared(_: &Path, _: &fs::Metadata) -> Result<(), CliError> {
    // A folder in a user's profile is that user's alone already.
    Ok(())
}

/// Whether the open file is still the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |found: std::io::Result<fs::Metadata>| found.ok().map(|file| (file.dev(), file.ino()));
    identity(file.metadata()).is_some_and(|own| identity(fs::metadata(path)) == Some(own))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    // An open file can't be removed there.
    true
}
