//! Whether a data folder holds what it must: the files are whole, and every rule of the restaurant is
//! true of every row. Reads only, beside a running server or without one.

use std::io;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::bistro::{self, audit};
use super::engine::look::look;
use super::engine::report;
use super::{BISTRO_FILE, CONTROL_FILE};
use crate::web::secret::hex;

/// Complaints of SQLite that are listed; one is enough to know.
const COMPLAINTS: &str = "PRAGMA integrity_check(10)";
/// What counts as an order wherever orders are counted: drafts are none yet.
pub(super) const ORDERS: &str = "SELECT count(*) FROM orders WHERE placed_at_ms IS NOT NULL";
/// By the index of ids: a sorter would keep all of them in memory.
const IDS: &str = "SELECT id FROM orders WHERE placed_at_ms IS NOT NULL ORDER BY id";

const OK: &str = "ok";

/// What `roundtrip data verify --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    pub ok: bool,
    /// Without those that were never placed.
    pub orders: i64,
    /// Of their ids in order, each with a line feed after it.
    pub order_ids_sha256: String,
    pub ledger_sum_cents: i64,
    pub stock_ok: bool,
    pub tickets_ok: bool,
    /// `ok`, or what SQLite found.
    pub integrity: String,
    /// `ok`, or how many rows refer to one that is not there.
    pub foreign_keys: String,
    /// What is broken, in words, the gravest first.
    pub wrong: Vec<String>,
}

/// There is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("{0} is no data folder: it holds no {BISTRO_FILE}")]
    NoDataFolder(PathBuf),
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
}

/// Looks at the databases of a data folder. Blocks.
pub fn verify(folder: &Path) -> Result<Report, VerifyError> {
    let (bistro, control) = (folder.join(BISTRO_FILE), folder.join(CONTROL_FILE));
    let there = |path: &Path| path.try_exists().map_err(|error| VerifyError::Io(path.to_owned(), error));
    let (bistro_there, control_there) = (there(&bistro)?, there(&control)?);
    let mut report = match (bistro_there, control_there) {
        (true, _) => examine(&bistro),
        (false, true) => Report::broken(format!("{BISTRO_FILE} is not there")),
        (false, false) => return Err(VerifyError::NoDataFolder(folder.to_owned())),
    };
    if control_there && let Err(why) = whole(&control) {
        report.integrity = format!("{CONTROL_FILE}: {why}");
        report.fault(format!("{CONTROL_FILE} is damaged: {why}"));
    }
    Ok(report)
}

/// Looks at one restaurant's database. What can't be read is part of the report.
pub fn examine(path: &Path) -> Report {
    // Two looks at once, since each takes seconds for a million orders: whether the file is whole, and
    // whether what is in it is true. Each is of one moment.
    let (sound, ruled) = std::thread::scope(|scope| {
        let sound = scope.spawn(|| look(path, |db| Ok((report(db, COMPLAINTS), dangling(db)))));
        let ruled = look(path, rules);
        (sound.join(), ruled)
    });
    let (integrity, dangling) = match sound {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Report::broken(format!("{BISTRO_FILE} can't be read: {error}")),
        Err(_) => return Report::broken(format!("{BISTRO_FILE} was not checked to the end")),
    };
    let mut found = Report { ok: true, integrity: OK.to_owned(), foreign_keys: OK.to_owned(), ..Report::default() };
    if let Err(why) = integrity {
        found.integrity.clone_from(&why);
        found.fault(format!("{BISTRO_FILE} is damaged: {why}"));
    }
    match dangling {
        Ok(0) => {}
        Ok(count) => found.foreign_keys = format!("{count} rows refer to one that is not there"),
        Err(error) => found.foreign_keys = error.to_string(),
    }
    if found.foreign_keys != OK {
        found.fault(found.foreign_keys.clone());
    }
    match ruled {
        Ok(Ok(ruled)) => found.rule(ruled),
        Ok(Err(why)) => found.fault(why),
        Err(error) => found.fault(format!("{BISTRO_FILE} can't be read to the end: {error}")),
    }
    found
}

/// Whether a database of any kind is whole by itself.
pub fn whole(path: &Path) -> Result<(), String> {
    look(path, |connection| Ok(sound(connection))).map_err(|error| error.to_string())?
}

/// Which of these ids are in no order of the folder.
pub fn missing(folder: &Path, ids: &[&str]) -> Result<Vec<String>, super::StoreError> {
    let found = look(&folder.join(BISTRO_FILE), |connection| {
        let mut find = connection.prepare("SELECT 1 FROM orders WHERE id = ?1")?;
        let mut missing = Vec::new();
        for id in ids {
            if !find.exists([id])? {
                missing.push((*id).to_owned());
            }
        }
        Ok(missing)
    });
    Ok(found?)
}

fn sound(connection: &Connection) -> Result<(), String> {
    report(connection, COMPLAINTS)?;
    match dangling(connection).map_err(|error| error.to_string())? {
        0 => Ok(()),
        count => Err(format!("{count} rows refer to one that is not there")),
    }
}

fn dangling(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
}

/// What the restaurant's own rules say.
struct Ruled {
    orders: i64,
    order_ids_sha256: String,
    ledger_sum_cents: i64,
    broken: Vec<(audit::About, String)>,
}

/// Err: this program does not know how to read it.
fn rules(connection: &Connection) -> rusqlite::Result<Result<Ruled, String>> {
    if let Err(why) = bistro::known(connection)? {
        return Ok(Err(why));
    }
    Ok(Ok(Ruled {
        orders: connection.query_row(ORDERS, [], |row| row.get(0))?,
        order_ids_sha256: order_ids_sha256(connection)?,
        ledger_sum_cents: audit::ledger_sum(connection)?.cents(),
        broken: audit::broken(connection)?,
    }))
}

fn order_ids_sha256(connection: &Connection) -> rusqlite::Result<String> {
    let mut hash = Context::new(&SHA256);
    let mut statement = connection.prepare(IDS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        hash.update(row.get_ref(0)?.as_bytes()?);
        hash.update(b"\n");
    }
    Ok(hex(hash.finish().as_ref()))
}

impl Report {
    /// Of a backup whose files are not even those that were made.
    pub(super) fn refused(wrong: Vec<String>) -> Report {
        let integrity = wrong.first().cloned().unwrap_or_default();
        Report { integrity, foreign_keys: "not looked at".to_owned(), wrong, ..Report::default() }
    }

    /// Of a folder without the restaurant.
    pub(super) fn nothing_wrong() -> Report {
        let (integrity, foreign_keys) = (OK.to_owned(), OK.to_owned());
        Report { ok: true, stock_ok: true, tickets_ok: true, integrity, foreign_keys, ..Report::default() }
    }

    pub(super) fn broken(why: String) -> Report {
        let mut report =
            Report { integrity: why.clone(), foreign_keys: "not looked at".to_owned(), ..Report::default() };
        report.fault(why);
        report
    }

    fn rule(&mut self, ruled: Ruled) {
        let holds = |about| ruled.broken.iter().all(|(what, _)| *what != about);
        (self.stock_ok, self.tickets_ok) = (holds(audit::About::Stock), holds(audit::About::Tickets));
        (self.orders, self.order_ids_sha256) = (ruled.orders, ruled.order_ids_sha256);
        self.ledger_sum_cents = ruled.ledger_sum_cents;
        if self.ledger_sum_cents != 0 {
            self.fault(format!("the ledger sums to {} cents, not to zero", self.ledger_sum_cents));
        }
        ruled.broken.into_iter().for_each(|(_, words)| self.fault(words));
    }

    fn fault(&mut self, words: String) {
        self.ok = false;
        self.wrong.push(words);
    }
}
