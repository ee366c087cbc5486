//! The data folder: everything a person owns is in it, and one process at a time has it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::CliError;
use crate::web::secret;

const LOCK: &str = "lock";
const CONTROL_KEY: &str = "control.key";

/// The folder, held by this process until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Whether it was made just now.
    pub new: bool,
    _lock: File,
}

impl DataDir {
    /// Makes the folder if there is none, and takes its lock.
    pub fn open(path: &Path) -> Result<DataDir, CliError> {
        let new = !path.exists();
        let bad = |error: std::io::Error| CliError::new(format!("the data folder {}: {error}", path.display()));
        fs::create_dir_all(path).map_err(bad)?;
        only_mine(path, 0o700).map_err(bad)?;
        let path = path.canonicalize().map_err(bad)?;
        let lock = private_file().open(path.join(LOCK)).map_err(bad)?;
        match lock.try_lock() {
            Ok(()) => Ok(DataDir { path, new, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(CliError::new(format!(
                "another Roundtrip uses {}; stop it, or give this one --data-dir",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(bad(error)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new control key for this run.
    pub fn make_control_key(&self) -> Result<[u8; 32], CliError> {
        let key = secret::random_bytes::<32>().map_err(|error| CliError::new(error.to_string()))?;
        write_private(&self.path.join(CONTROL_KEY), secret::hex(&key).as_bytes())?;
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
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let bad = |error: std::io::Error| CliError::new(format!("{}: {error}", path.display()));
    let part = path.with_extension("part");
    let mut file = private_file().truncate(true).open(&part).map_err(bad)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(bad)?;
    fs::rename(&part, path).map_err(bad)
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn only_mine(path: &Path, mode: u32) -> std::io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn only_mine(_: &Path, _: u32) -> std::io::Result<()> {
    // A folder in a user's profile is that user's alone already.
    Ok(())
}
