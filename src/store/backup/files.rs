//! Files and folders that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use ring::digest::{Context, SHA256};

use super::super::engine::look::beside;
use crate::web::secret::hex;

const CHUNK: usize = 1024 * 1024;

/// A folder that only its owner can enter.
pub fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        done => done,
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private_file(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The names in a folder last, too (fsync(2)).
pub fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Size and SHA-256.
///
/// Never of a database that this process has open: closing any descriptor of a file drops the locks that
/// SQLite has on it (fcntl(2); sqlite.org/howtocorrupt.html, section 2.2).
pub fn digest(path: &Path) -> io::Result<(u64, String)> {
    pass(path, &mut io::sink())
}

/// Copies a file that nobody has open; returns the size and SHA-256 of what was copied.
pub fn copy(from: &Path, to: &Path) -> io::Result<(u64, String)> {
    let mut target = private_file(to)?;
    let done = pass(from, &mut target)?;
    target.sync_all()?;
    Ok(done)
}

fn pass(from: &Path, to: &mut impl Write) -> io::Result<(u64, String)> {
    let (mut source, mut hash, mut bytes) = (File::open(from)?, Context::new(&SHA256), 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = source.read(&mut chunk)?;
        if count == 0 {
            return Ok((bytes, hex(hash.finish().as_ref())));
        }
        hash.update(&chunk[..count]);
        to.write_all(&chunk[..count])?;
        bytes += count as u64;
    }
}

/// The same file under a second name; a copy where the file system knows no such thing.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    // Elsewhere nobody could tell whether the two are still one file.
    let linked = if cfg!(unix) { fs::hard_link(from, to) } else { Err(io::ErrorKind::Unsupported.into()) };
    linked.or_else(|_| copy(from, to).map(drop))
}

/// Whether the two are names of one file.
#[cfg(unix)]
pub fn same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // By their metadata: opening the file would be as bad as in [`digest`].
    let identity = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

#[cfg(not(unix))]
pub fn same(_: &Path, _: &Path) -> bool {
    false
}

/// Puts the database `staged` in the place of `target`, which nobody has open and whose log is empty or
/// of no use. The rename is the one moment: before it there is the old database, after it the new one.
pub fn install(staged: &Path, target: &Path) -> io::Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    File::open(staged)?.sync_all()?;
    // A log that stayed would be applied to the new file.
    for suffix in ["-wal", "-shm"] {
        match fs::remove_file(beside(target, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sync_folder(folder)?;
    fs::rename(staged, target)?;
    sync_folder(folder)
}
