//! Files that are there whole or not at all, with the mode they are to have from their first byte on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::TlsError;
use crate::web::secret;

/// Makes the directory, for its owner alone (0700). One that is there keeps its mode: it may be somebody's
/// who shares it.
pub fn private_directory(path: &Path) -> Result<(), TlsError> {
    let fail = |source| TlsError::io("make the folder", path, source);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path).map_err(fail)
}

/// The file's text; None when there is no such file.
pub fn read(path: &Path) -> Result<Option<String>, TlsError> {
    match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| TlsError::damaged(path, "it is not text")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TlsError::io("read", path, error)),
    }
}

/// Writes by way of a second file: after a crash there is the old content or the new, never a part.
pub fn write(path: &Path, content: &str, mode: u32) -> Result<(), TlsError> {
    let temporary = beside(path).map_err(|source| TlsError::io("write", path, source))?;
    let written = write_whole(&temporary, content, mode)
        .and_then(|()| fs::rename(&temporary, path))
        // The new name is safe only once the directory is (fsync(2), notes).
        .and_then(|()| sync_directory(path));
    written.map_err(|source| {
        // It may be gone already; there is nothing more to do about it.
        let _ = fs::remove_file(&temporary);
        TlsError::io("write", path, source)
    })
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let random = secret::random_bytes::<8>().map_err(io::Error::other)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(path.with_file_name(format!(".{name}.{}", secret::hex(&random))))
}

fn write_whole(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path)?;
    // open(2) takes the mode less the umask: say it again, since ca.pem is for everybody to read.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if cfg!(unix) => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

/// Refuses a key that anybody but its owner could have read.
pub fn check_private(path: &Path) -> Result<(), TlsError> {
    refuse_mode(path, 0o077)
}

/// Refuses a key that everybody could have read. A group may: Debian's `ssl-cert` is made for that.
pub fn check_not_public(path: &Path) -> Result<(), TlsError> {
    refuse_mode(path, 0o007)
}

#[cfg(unix)]
fn refuse_mode(path: &Path, refused: u32) -> Result<(), TlsError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).map_err(|source| TlsError::io("read", path, source))?.permissions().mode() & 0o777;
    if mode & refused == 0 { Ok(()) } else { Err(TlsError::KeyExposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_mode(_: &Path, _: u32) -> Result<(), TlsError> {
    Ok(())
}
