//! A look at a database from outside: whoever runs it goes on, and nothing is written.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use rusqlite::{Connection, OpenFlags};

/// Someone may hold a lock for the moment that a log takes to recover.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// Beginnings, when a server starts or stops meanwhile.
const TRIES: usize = 5;
/// A look reads everything: 128 MiB keep the inner pages of every index, and sorters have room.
const PRAGMAS: &str = "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; \
                       PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -131072;";
/// What ends a path in a URI (sqlite.org/uri.html).
const IN_URI: &AsciiSet = &CONTROLS.add(b'?').add(b'#').add(b'%').add(b' ');

/// Carries out `work` in one read transaction on a connection of its own that can't write.
///
/// A file that nobody has open has no log, and to open it the usual way would put one beside it: such a
/// file is read as if it were immutable (sqlite.org/uri.html#uriimmutable), again from the beginning
/// should somebody have opened it meanwhile.
pub fn look<T>(path: &Path, mut work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let mut tries = 0;
    loop {
        tries += 1;
        let still = stillness(path);
        let done = once(path, still.is_some(), &mut work);
        if tries == TRIES || still == stillness(path) {
            return done;
        }
    }
}

/// The same for work that can't be done again; None when somebody opened the file meanwhile, so that what
/// was read may be of two moments.
pub fn look_once<T>(
    path: &Path,
    mut work: impl FnMut(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    let still = stillness(path);
    let done = once(path, still.is_some(), &mut work)?;
    Ok((still == stillness(path)).then_some(done))
}

fn once<T>(
    path: &Path,
    immutable: bool,
    work: &mut impl FnMut(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let connection = open(path, immutable)?;
    let transaction = connection.unchecked_transaction()?;
    // BEGIN reads nothing: the moment is that of the first read (sqlite.org/lang_transaction.html, section 2.1).
    transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let done = work(&transaction)?;
    transaction.rollback()?;
    Ok(done)
}

/// Of a file that nobody has open: its size and when it was last written. None when a log or its index
/// says that somebody has, or had until their process died.
fn stillness(path: &Path) -> Option<(u64, Option<SystemTime>)> {
    if beside(path, "-wal").exists() || beside(path, "-shm").exists() {
        return None;
    }
    let file = std::fs::metadata(path).ok()?;
    Some((file.len(), file.modified().ok()))
}

/// The file that SQLite keeps next to `path`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn open(path: &Path, immutable: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if immutable {
        let path = percent_encode(path.as_os_str().as_encoded_bytes(), IN_URI);
        Connection::open_with_flags(format!("file:{path}?immutable=1"), flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    connection.busy_timeout(BUSY_MAX)?;
    connection.execute_batch(PRAGMAS)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_of_the_moment_that_it_begins_at() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("test.db");
        let writer = Connection::open(&path)?;
        writer.execute_batch(
            "PRAGMA journal_mode = WAL; CREATE TABLE number (n INTEGER); INSERT INTO number VALUES (1)",
        )?;
        let seen = look(&path, |connection| {
            writer.execute("INSERT INTO number VALUES (2)", [])?;
            connection.query_row("SELECT count(*) FROM number", [], |row| row.get::<_, i64>(0))
        })?;
        assert_eq!(seen, 1);
        Ok(())
    }
}
