//! A copy of a database while it is written to (sqlite.org/backup.html).
//!
//! The copying connection holds one read transaction, so the copy is of one moment and never begins
//! anew, however much is written meanwhile. A reader does not stop the writer, but it keeps the log from
//! being emptied; see [`Engine::hold_checkpoints`](super::Engine::hold_checkpoints).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode};

use super::look::{beside, look};
use super::{connection, options::OpenError};
use crate::observe::clock::Tick;

/// Pages that one step copies, after which what was copied goes to the disk: 1 MiB. A writer's fsync may have to
/// wait for that much, and for no more.
const STEP_PAGES: i32 = 256;
/// Longest pause between two steps.
const PAUSE_MAX: Duration = Duration::from_millis(20);
/// Pages of the log that the writer may empty by itself, as it does every day.
const LEFT_TO_WRITER: i64 = 1_000;
/// Passes over the log; each leaves what was written during the pass.
const PASSES_MAX: usize = 8;

/// What the log may grow by before a copy is given up: a disk that fills up would stop the orders.
const LOG_GROWS_MAX: u64 = 1 << 30;

/// Watches the log that grows as long as a copy is made.
struct LogBound {
    log: PathBuf,
    bytes_max: u64,
}

impl LogBound {
    fn of(source: &Path, grows_max: u64) -> LogBound {
        let log = beside(source, "-wal");
        LogBound { bytes_max: size(&log).saturating_add(grows_max), log }
    }

    fn holds(&self) -> rusqlite::Result<()> {
        if size(&self.log) <= self.bytes_max {
            return Ok(());
        }
        let log = self.log.display();
        Err(failed(format!("given up: {log} has grown beyond {} bytes; try again under less load", self.bytes_max)))
    }
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len())
}

/// Copies the database at `source` to a new file at `target`, which only its owner can read. Blocks; gives
/// up at the next step once `cancelled` is set.
pub fn copy(source: &Path, target: &Path, cancelled: &AtomicBool) -> Result<(), OpenError> {
    let io = |error| OpenError::Io(target.to_owned(), error);
    let sqlite = |error| OpenError::Sqlite(source.to_owned(), error);
    // Of its own, to sync what the other has written: nobody has locks on this file to lose.
    let file = connection::create(target).map_err(io)?;
    let bound = LogBound::of(source, LOG_GROWS_MAX);
    let go_on = || if cancelled.load(Relaxed) { Err(failed("given up: it was cancelled")) } else { bound.holds() };
    look(source, |from| {
        file.set_len(0).map_err(failed)?;
        let mut to = Connection::open_with_flags(target, connection::flags())?;
        // Until it is whole it is of no use, whatever happens to it.
        to.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
        in_steps(from, &mut to, &file, &go_on)?;
        // One file, and no log beside it.
        to.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
    })
    .map_err(sqlite)?;
    file.sync_all().map_err(io)
}

fn in_steps(
    from: &Connection,
    to: &mut Connection,
    file: &File,
    go_on: &dyn Fn() -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let backup = Backup::new(from, to)?;
    loop {
        match backup.step(STEP_PAGES)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            // Nobody else knows of the target, and the source is read in a transaction.
            other => return Err(failed(format!("{other:?}"))),
        }
        let begun = Tick::now();
        file.sync_data().map_err(failed)?;
        // Half of the disk's time is the writer's.
        std::thread::sleep(Tick::now().since(begun).min(PAUSE_MAX));
        go_on()?;
    }
}

fn failed(error: impl std::fmt::Display) -> rusqlite::Error {
    let code = rusqlite::ffi::Error { code: ErrorCode::SystemIoFailure, extended_code: rusqlite::ffi::SQLITE_IOERR };
    rusqlite::Error::SqliteFailure(code, Some(error.to_string()))
}

/// Moves a log that has grown into the file, while others read and write: the PASSIVE mode waits for
/// nobody and nobody waits for it (sqlite.org/c3ref/wal_checkpoint_v2.html). What is left at the end is
/// little enough for the writer.
pub(super) fn drain_log(path: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open_with_flags(path, connection::flags())?;
    connection.busy_timeout(Duration::from_secs(1))?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA checkpoint_fullfsync = ON;")?;
    for _ in 0..PASSES_MAX {
        let (log, moved) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })?;
        if log - moved < LEFT_TO_WRITER {
            break;
        }
    }
    Ok(())
}

/// Empties the log of a database that nobody has open, as after a crash, so that the file alone is the
/// database. An error: the file is damaged, or somebody does have it open.
pub fn settle(path: &Path) -> Result<(), String> {
    let settle = || {
        let connection = Connection::open_with_flags(path, connection::flags())?;
        connection.busy_timeout(Duration::from_secs(1))?;
        let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        connection.close().map_err(|(_, error)| error)?;
        Ok::<_, rusqlite::Error>(busy)
    };
    match settle() {
        Ok(0) => Ok(()),
        Ok(_) => Err("another process reads it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_given_up_once_the_log_has_grown_too_long() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("test.db");
        let writer = Connection::open(&path)?;
        writer.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE many (text TEXT)")?;
        let bound = LogBound::of(&path, 100_000);
        bound.holds()?;
        writer.execute("INSERT INTO many VALUES (zeroblob(200000))", [])?;
        let given_up = bound.holds().err().map(|error| error.to_string());
        assert!(given_up.is_some_and(|why| why.contains("test.db-wal has grown")));
        Ok(())
    }
}
