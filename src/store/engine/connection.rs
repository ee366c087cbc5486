//! Connections and what each is told before its first statement.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::options::{Durability, OpenError};
use super::{Schema, migrate};

/// The first version without the WAL-reset corruption (sqlite.org/wal.html, "The WAL-Reset Bug").
const VERSION_MIN: i32 = 3_051_003;
/// How long SQLite itself waits for a lock. With one writer, only a foreign process makes it wait.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// Prepared statements kept a connection: more than the store has, so that none is prepared twice.
const STATEMENTS_MAX: usize = 256;

/// SQLite's own limit (sqlite.org/limits.html).
const PAGES_MAX: u32 = u32::MAX - 1;

/// For every connection (sqlite.org/pragma.html): constraints hold, a planted schema runs no functions,
/// broken pages are noticed, and an I/O error is an error code and not a signal (mmap).
const PRAGMAS: &str = "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; \
                       PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;";

/// For the writer: with `synchronous = FULL` a commit is on the disk when it returns, on macOS too (fullfsync).
/// Checkpoints are the writer's own work, once it has answered: SQLite's would come within a COMMIT, and its
/// failure would go unseen.
const WRITER_PRAGMAS: &str = "PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; \
                              PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;";

/// Opens, checks and migrates; the connection returned is the writer's.
pub fn prepare(path: &Path, schema: Schema, durability: Durability) -> Result<Connection, OpenError> {
    if rusqlite::version_number() < VERSION_MIN {
        return Err(OpenError::OldEngine(rusqlite::version()));
    }
    create(path).map_err(|error| OpenError::Io(path.to_owned(), error))?;
    let failed = |error| OpenError::Sqlite(path.to_owned(), error);
    let mut connection = open(path).map_err(failed)?;
    // Before anything is changed: a file of the future, or of somebody else, stays as it is.
    let version = migrate::version(path, &connection, schema)?;
    if version > 0 {
        check(&connection).map_err(|report| OpenError::Damaged(path.to_owned(), report))?;
    }
    configure_writer(&connection, durability).map_err(failed)?;
    migrate::run(path, &mut connection, schema, version)?;
    if let Some(index) = schema.droppable {
        // A fault may have been on when the process died.
        connection.execute_batch(index.create).map_err(failed)?;
    }
    Ok(connection)
}

/// The writer's connection, anew, after the old one was given up: recovers the log and checks the file.
pub fn reopen(path: &Path, durability: Durability) -> Result<Connection, String> {
    let connection = open(path).map_err(|error| error.to_string())?;
    configure_writer(&connection, durability).map_err(|error| error.to_string())?;
    checkpoint(&connection).map_err(|error| error.to_string())?;
    check(&connection)?;
    Ok(connection)
}

/// Moves the write-ahead log into the file and empties it.
pub fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Moves as much of the log as readers allow into the file; `truncate` also cuts it to nothing once they
/// allow all of it, and waits for them that long. Whoever reads never waits for this.
pub fn checkpoint_within(connection: &Connection, truncate: bool, wait: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(wait)?;
    let mode = if truncate { "PRAGMA wal_checkpoint(TRUNCATE)" } else { "PRAGMA wal_checkpoint(PASSIVE)" };
    let done = connection.query_row(mode, [], |_| Ok(()));
    connection.busy_timeout(BUSY_MAX)?;
    done
}

/// Pragmas of a reader: r2d2 calls this for each connection it opens, so that none goes without.
pub fn configure_reader(connection: &mut Connection) -> rusqlite::Result<()> {
    configure(connection)?;
    connection.execute_batch("PRAGMA query_only = ON;")
}

/// Neither creates the file nor takes SQLite's own mutex: a connection is used by one thread at a time.
pub fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// What `quick_check` finds, if anything.
pub fn check(connection: &Connection) -> Result<(), String> {
    report(connection, "PRAGMA quick_check(5)")
}

/// Runs a pragma that answers `ok` or with complaints.
pub fn report(connection: &Connection, pragma: &str) -> Result<(), String> {
    let lines: rusqlite::Result<Vec<String>> =
        connection.prepare(pragma).and_then(|mut check| check.query_map([], |row| row.get(0))?.collect());
    match lines {
        Ok(lines) if lines.iter().all(|line| line == "ok") => Ok(()),
        Ok(lines) => Err(lines.join("; ")),
        Err(error) => Err(error.to_string()),
    }
}

/// Makes an empty file that only its owner can read; `-wal` and `-shm` take over its mode.
pub fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

pub fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags())?;
    configure(&connection)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_MAX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.execute_batch(PRAGMAS)
}

fn configure_writer(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // The switch from a file without a log leaves a transaction open that no checkpoint gets past, until
    // another ends (seen with 3.53.2; a test of the writer's shows it).
    connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
    connection.execute_batch(match durability {
        Durability::Full => "PRAGMA synchronous = FULL",
        Durability::Normal => "PRAGMA synchronous = NORMAL",
    })?;
    connection.execute_batch(WRITER_PRAGMAS)?;
    connection.wal_hook(Some(super::log_size::note));
    Ok(())
}

/// How many pages the file may have (sqlite.org/pragma.html#pragma_max_page_count); what it has it keeps.
pub fn limit_pages(connection: &Connection, pages_max: Option<u32>) -> rusqlite::Result<()> {
    let pages = pages_max.unwrap_or(PAGES_MAX);
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
}
