//! Copies of a data folder's databases in `backups/`: made while they are written to, checked by putting
//! them back into a temporary place, and restored in one move. Keys are never among them. The sign-ins of
//! staff and owner are left out of a copy, and of what a restore puts back: what was there before a restore
//! is kept as the file that it was, but revives nobody's session either.

mod files;
mod manifest;
mod restore;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::bistro::{self, Bistro};
use super::control;
use super::engine::{OpenError, copy, look::look};
use super::verify::{self, Report};
use super::{BISTRO_FILE, CONTROL_FILE};
use crate::policy::retention::Retention;
use crate::web::secret::{NoRandomness, hex, random_bytes};
pub use files::{install, private_folder};
pub use manifest::{Counts, FileEntry, Manifest, Reason, Verdict};
pub use restore::{Restored, Staged};

/// In the data folder.
const FOLDER: &str = "backups";
const MANIFEST: &str = "manifest.json";
const VERDICT: &str = "verified.json";
/// A folder with this beginning is not finished, or was meant to go.
const UNFINISHED: &str = ".unfinished-";
/// A name that somebody gives leads nowhere else.
const NAME_MAX: usize = 80;

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{0} holds no database")]
    Nothing(PathBuf),
    #[error("there is no backup named {0}")]
    Unknown(String),
    #[error("the backup {name} is not sound, so nothing was changed: {why}")]
    Unsound { name: String, why: String },
    #[error("the databases were not replaced: {0}")]
    NotReplaced(String),
    #[error("it was given up, since the server stops")]
    Cancelled,
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    #[error(transparent)]
    Copy(#[from] OpenError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// A backup in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    pub reason: Reason,
    pub bytes: u64,
    pub orders: Option<i64>,
    /// None: nobody has verified it.
    pub verified: Option<Verdict>,
}

/// The backups of one data folder. All of it blocks; one at a time is the caller's care.
#[derive(Debug, Clone)]
pub struct Backups {
    data: PathBuf,
    folder: PathBuf,
    cancelled: Arc<AtomicBool>,
}

impl Backups {
    pub fn of(data: &Path) -> Backups {
        Backups { data: data.to_owned(), folder: data.join(FOLDER), cancelled: Arc::default() }
    }

    /// What this value's clones make or look at is given up at its next step, now and for ever. A restore
    /// that has begun to replace what is there goes on to its end.
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    fn go_on(&self) -> Result<(), BackupError> {
        if self.cancelled.load(Relaxed) { Err(BackupError::Cancelled) } else { Ok(()) }
    }

    /// Copies the databases as they are at this moment. `running` is the restaurant, where it runs in this
    /// process: its writer is spared the log that grows meanwhile.
    pub fn create(&self, reason: Reason, running: Option<&Bistro>) -> Result<Listed, BackupError> {
        let sources: Vec<&str> =
            [BISTRO_FILE, CONTROL_FILE].into_iter().filter(|name| self.data.join(name).is_file()).collect();
        if sources.is_empty() {
            return Err(BackupError::Nothing(self.data.clone()));
        }
        self.go_on()?;
        self.sweep();
        self.make(reason, |unfinished, manifest| {
            for name in sources {
                let (source, target) = (self.data.join(name), unfinished.join(name));
                let hold = running.filter(|_| name == BISTRO_FILE).map(Bistro::hold_checkpoints);
                let copied = copy::copy(&source, &target, &self.cancelled);
                // Whatever came of the copy: the log has grown.
                if let Some(hold) = hold {
                    hold.drain_log(&source);
                }
                // Before what it says of that itself.
                self.go_on()?;
                copied?;
                forget_sign_ins(&target, name)?;
                if let Err(why) = verify::whole(&target) {
                    return Err(OpenError::Damaged(source, why).into());
                }
                self.go_on()?;
                manifest.files.push(entry(&target, name)?);
                if name == BISTRO_FILE {
                    manifest.counts = look(&target, counts).ok();
                }
            }
            Ok(())
        })
    }

    /// A backup with the files that `fill` puts into its folder and into its manifest: there whole, under
    /// its name, or not at all.
    fn make(
        &self,
        reason: Reason,
        fill: impl FnOnce(&Path, &mut Manifest) -> Result<(), BackupError>,
    ) -> Result<Listed, BackupError> {
        let unfinished = self.temporary()?;
        let mut manifest = Manifest::new(reason, OffsetDateTime::now_utc());
        let made = fill(&unfinished, &mut manifest).and_then(|()| {
            let io = |error| BackupError::Io(unfinished.clone(), error);
            let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other).map_err(io)?;
            files::write(&unfinished.join(MANIFEST), &text).map_err(io)?;
            files::sync_folder(&unfinished).map_err(io)?;
            fs::rename(&unfinished, self.folder.join(manifest.name())).map_err(io)?;
            files::sync_folder(&self.folder).map_err(io)
        });
        if made.is_err() {
            discard(&unfinished);
        }
        made.map(|()| listed(&manifest, None))
    }

    /// The newest first. What can't be read as a backup is left out.
    pub fn list(&self) -> Result<Vec<Listed>, BackupError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(BackupError::Io(self.folder.clone(), error)),
        };
        let mut found: Vec<Listed> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| {
                let (_, manifest) = self.find(&name).ok()?;
                let verdict = fs::read(self.folder.join(&name).join(VERDICT)).ok();
                let verdict = verdict.and_then(|bytes| serde_json::from_slice(&bytes).ok());
                Some(Listed { name, ..listed(&manifest, verdict) })
            })
            .collect();
        found.sort_by_key(|backup| std::cmp::Reverse(backup.created_at));
        Ok(found)
    }

    /// Restores it into a temporary place and looks at every row there; notes what came of it.
    pub fn verify(&self, name: &str) -> Result<Report, BackupError> {
        let (folder, _) = self.find(name)?;
        let staged = self.stage(name)?;
        let report = staged.report.clone();
        drop(staged);
        let verdict = Verdict { at: OffsetDateTime::now_utc(), ok: report.ok, wrong: report.wrong.clone() };
        let io = |error| BackupError::Io(folder.clone(), error);
        let text = serde_json::to_vec_pretty(&verdict).map_err(io::Error::other).map_err(io)?;
        let written = folder.join(format!("{UNFINISHED}{VERDICT}"));
        let _ = fs::remove_file(&written);
        files::write(&written, &text).and_then(|()| fs::rename(&written, folder.join(VERDICT))).map_err(io)?;
        Ok(report)
    }

    /// Deletes the hourly ones that are past their time at `now`, and what an earlier run left unfinished.
    /// `made` is the one that was made just now: whatever the clock says, it stays.
    pub fn expire(&self, retention: Retention, now: OffsetDateTime, made: Option<&str>) -> Result<usize, BackupError> {
        let hourly: Vec<Listed> = self.list()?.into_iter().filter(|backup| backup.reason == Reason::Hourly).collect();
        let times: Vec<OffsetDateTime> = hourly.iter().map(|backup| backup.created_at).collect();
        let mut gone = 0;
        for (backup, kept) in hourly.iter().zip(retention.kept(&times, now)) {
            if !kept && made != Some(&*backup.name) {
                // First out of the list, then away: a half deleted one is never found.
                let leaving = self.folder.join(format!("{UNFINISHED}{}", backup.name));
                fs::rename(self.folder.join(&backup.name), &leaving)
                    .map_err(|error| BackupError::Io(leaving.clone(), error))?;
                gone += 1;
            }
        }
        self.sweep();
        Ok(gone)
    }

    /// Removes what a process that died left unfinished: a folder without its name, and a safety copy of
    /// what was not replaced after all. That one is a second name of the database in use and changes with it.
    fn sweep(&self) {
        let in_use = [BISTRO_FILE, CONTROL_FILE].map(|name| self.data.join(name));
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
            let second_name = |own: &PathBuf| own.file_name().is_some_and(|name| files::same(own, &path.join(name)));
            if unfinished || in_use.iter().any(second_name) {
                discard(&path);
            }
        }
    }

    fn find(&self, name: &str) -> Result<(PathBuf, Manifest), BackupError> {
        let unknown = || BackupError::Unknown(name.chars().take(NAME_MAX).collect());
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if name.is_empty() || name.len() > NAME_MAX || name.starts_with('.') || !name.chars().all(plain) {
            return Err(unknown());
        }
        let folder = self.folder.join(name);
        let manifest = fs::read(folder.join(MANIFEST)).ok().and_then(|bytes| Manifest::parse(&bytes));
        Ok((folder, manifest.ok_or_else(unknown)?))
    }

    /// A folder for what is not finished, beside the backups and so on the same disk as they are.
    fn temporary(&self) -> Result<PathBuf, BackupError> {
        let path = self.folder.join(format!("{UNFINISHED}{}", hex(&random_bytes::<8>()?)));
        let made = files::private_folder(&self.folder).and_then(|()| files::private_folder(&path));
        made.map_err(|error| BackupError::Io(path.clone(), error))?;
        Ok(path)
    }
}

fn listed(manifest: &Manifest, verified: Option<Verdict>) -> Listed {
    Listed {
        name: manifest.name(),
        created_at: manifest.created_at,
        reason: manifest.reason,
        bytes: manifest.bytes(),
        orders: manifest.counts.map(|counts| counts.orders),
        verified,
    }
}

fn entry(path: &Path, name: &str) -> Result<FileEntry, BackupError> {
    let (bytes, sha256) = files::digest(path).map_err(|error| BackupError::Io(path.to_owned(), error))?;
    let schema = look(path, |db| db.query_row("PRAGMA user_version", [], |row| row.get(0))).ok();
    Ok(FileEntry { name: name.to_owned(), bytes, sha256, schema })
}

fn counts(db: &Connection) -> rusqlite::Result<Counts> {
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok(Counts {
        orders: number(verify::ORDERS)?,
        tickets: number("SELECT count(*) FROM ticket")?,
        ledger_entries: number("SELECT count(*) FROM entry")?,
        people: number("SELECT count(*) FROM person")?,
    })
}

/// Who was signed in is no data to be kept: a session that has ended since must not come back.
fn forget_sign_ins(copy: &Path, name: &str) -> Result<(), BackupError> {
    let forget = || {
        let db = Connection::open(copy)?;
        db.execute_batch("PRAGMA secure_delete = ON")?;
        if name == BISTRO_FILE {
            db.execute_batch(bistro::FORGET_SIGN_INS)?
        } else {
            control::forget_sign_ins(&db)?
        }
        db.close().map_err(|(_, error)| error)
    };
    forget().map_err(|error| OpenError::Sqlite(copy.to_owned(), error).into())
}

fn discard(path: &Path) {
    let gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(error) = gone {
        log::warn!("backup: {} is left behind: {error}", path.display());
    }
}
