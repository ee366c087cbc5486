//! Numbered migrations: `user_version` says how many a database has had.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rusqlite::{Connection, TransactionBehavior};

use super::look::look;
use super::options::OpenError;
use super::{Schema, connection, copy};

/// One step of a schema, as SQL.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    pub sql: &'static str,
}

/// The number of migrations that the database has had; 0 for a new one. Refuses what is not ours, or
/// comes from a later version of the program: reading it wrongly is worse than not at all.
pub fn version(path: &Path, connection: &Connection, schema: Schema) -> Result<i64, OpenError> {
    let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let read = || {
        Ok::<_, rusqlite::Error>((
            number("PRAGMA user_version")?,
            number("PRAGMA application_id")?,
            number("SELECT count(*) FROM sqlite_schema")?,
        ))
    };
    let (found, application, things) = match read() {
        Ok(read) => read,
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            return Err(OpenError::Foreign(path.to_owned()));
        }
        Err(error) => return Err(OpenError::Sqlite(path.to_owned(), error)),
    };
    // Nothing is in a new one, though it may have a first page: its making may have been cut off before.
    let new = things == 0 && found == 0 && application == 0;
    if !new && application != i64::from(schema.application_id) {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    let known = schema.migrations.len() as i64;
    if found > known {
        return Err(OpenError::Future { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// Runs what is missing in one transaction; copies the file before, when there is something to lose.
pub fn run(path: &Path, connection: &mut Connection, schema: Schema, found: i64) -> Result<(), OpenError> {
    let missing = schema.migrations.get(found as usize..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    if found > 0 {
        let copy = back_up(path, found)?;
        log::info!("store: {} copied to {} before its migration", path.display(), copy.display());
    }
    let migrate = |connection: &mut Connection| {
        // A table that others refer to is made anew with the references switched off, and they are
        // checked before the commit (sqlite.org/lang_altertable.html, section 7).
        connection.execute_batch("PRAGMA foreign_keys = OFF")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for migration in missing {
            transaction.execute_batch(migration.sql)?;
        }
        if let (0, Some(seed)) = (found, schema.seed) {
            transaction.execute_batch(seed)?;
        }
        transaction.execute_batch(&format!(
            "PRAGMA application_id = {}; PRAGMA user_version = {};",
            schema.application_id,
            schema.migrations.len()
        ))?;
        let dangling = transaction.prepare("PRAGMA foreign_key_check")?.exists([])?;
        if dangling {
            return Ok(false);
        }
        transaction.commit()?;
        connection.execute_batch("PRAGMA foreign_keys = ON")?;
        Ok(true)
    };
    match migrate(connection) {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::Damaged(path.to_owned(), "a row refers to one that is not there".to_owned())),
        Err(error) => Err(OpenError::Sqlite(path.to_owned(), error)),
    }
}

/// A checked copy beside the file, named after the version it holds.
fn back_up(path: &Path, version: i64) -> Result<PathBuf, OpenError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".v{version}.backup"));
    let target = path.with_file_name(name);
    copy::copy(path, &target, &AtomicBool::new(false))?;
    let checked = look(&target, |copied| Ok(connection::report(copied, "PRAGMA integrity_check(5)")));
    let damaged = |why| OpenError::Damaged(target.clone(), why);
    checked.map_err(|error| OpenError::Sqlite(target.clone(), error))?.map_err(damaged)?;
    // The name must last too, not only the bytes (fsync(2)).
    #[cfg(unix)]
    if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| OpenError::Io(target.clone(), error))?;
    }
    Ok(target)
}
