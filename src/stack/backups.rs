//! The backups of a stack's data while it runs: one at a time, on a thread of their own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Stack;
use crate::observe::happening::{Kind, Note};
use crate::observe::hop::Hop;
use crate::policy::retention::Retention;
use crate::store::backup::{self, BackupError, Listed, Reason, Restored};
use crate::store::bistro::Bistro;
use crate::store::verify::Report;

/// What a person asks for; the schedule's are deleted by their age, these are not.
pub const MANUAL: Reason = Reason::Manual;

/// A start that is soon followed by a stop makes no copy.
const FIRST_AFTER: Duration = Duration::from_secs(60);

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum BackupsError {
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error("there is no restaurant whose data could be restored")]
    NoRestaurant,
    #[error("the data was not replaced: {0}")]
    NotReplaced(String),
    #[error("the backup was cut off: {0}")]
    CutOff(String),
}

/// A backup that was made just now, and what the writer noticed of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    #[serde(flatten)]
    pub backup: Listed,
    /// The slowest commit since the backup before.
    pub longest_commit_before_ms: Option<f64>,
    /// And while this one was made.
    pub longest_commit_ms: Option<f64>,
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}

/// Cheap to clone; all clones wait for each other.
#[derive(Debug, Clone)]
pub struct Backups {
    folder: backup::Backups,
    bistro: Option<Bistro>,
    /// Held across awaits on purpose, which the async mutex is for.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Backups {
    pub(super) fn new(data: &Path, bistro: Option<Bistro>) -> Backups {
        Backups { folder: backup::Backups::of(data), bistro, turn: Arc::default() }
    }

    pub async fn create(&self, reason: Reason) -> Result<Made, BackupsError> {
        let bistro = self.bistro.clone();
        let longest = move |bistro: &Option<Bistro>| bistro.as_ref().map(|bistro| millis(bistro.take_longest_commit()));
        self.work(move |folder| {
            let longest_commit_before_ms = longest(&bistro);
            let backup = folder.create(reason, bistro.as_ref())?;
            Ok(Made { backup, longest_commit_before_ms, longest_commit_ms: longest(&bistro) })
        })
        .await
    }

    /// Gives up what is under way and whatever comes: the stack is about to stop.
    pub fn cancel(&self) {
        self.folder.cancel();
    }

    /// Returns once nothing is under way, nor will be.
    pub(super) async fn stop(&self) {
        self.cancel();
        drop(self.turn.lock().await);
    }

    /// The newest first.
    pub async fn list(&self) -> Result<Vec<Listed>, BackupsError> {
        // Reads alone, and what is under way is not in it yet: nobody has to wait.
        let folder = self.folder.clone();
        blocking(move || folder.list()).await
    }

    pub async fn verify(&self, name: String) -> Result<Report, BackupsError> {
        self.work(move |folder| folder.verify(&name)).await
    }

    /// Puts the restaurant's data of a backup in the place of what is there; requests wait meanwhile, or
    /// are told to come again. Once begun it is carried to its end, and then `after`, though nobody waits for it.
    pub(super) async fn restore(
        &self,
        name: String,
        after: impl FnOnce() + Send + 'static,
    ) -> Result<Restored, BackupsError> {
        let bistro = self.bistro.clone().ok_or(BackupsError::NoRestaurant)?;
        let (turn, folder) = (Arc::clone(&self.turn).lock_owned().await, self.folder.clone());
        let whole = tokio::spawn(async move {
            let restored = restore(bistro, folder, name).await;
            after();
            drop(turn);
            restored
        });
        whole.await.map_err(|error| BackupsError::CutOff(error.to_string()))?
    }

    /// The turn ends with the work, which nobody can end before its time.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&backup::Backups) -> Result<T, BackupError> + Send + 'static,
    ) -> Result<T, BackupsError> {
        let (turn, folder) = (Arc::clone(&self.turn).lock_owned().await, self.folder.clone());
        blocking(move || {
            let done = work(&folder);
            drop(turn);
            done
        })
        .await
    }

    /// Makes one whenever `every` has passed since the last of its kind and something was written, and
    /// deletes those that are past their time. Never ends.
    pub async fn schedule(self, every: Duration) {
        let mut wait = self.until_first(every).await;
        // The work of before this start may be in no backup yet.
        let mut commits_then = None;
        loop {
            tokio::time::sleep(wait).await;
            wait = every;
            let commits = self.bistro.as_ref().map(|bistro| bistro.figures().commits);
            if commits == commits_then && commits.is_some() {
                continue;
            }
            let made = match self.create(Reason::Hourly).await {
                Ok(made) => {
                    commits_then = commits;
                    log::info!("backup: made {}", made.backup.name);
                    Some(made.backup.name)
                }
                Err(error) => {
                    log::error!("backup: none was made: {error}");
                    None
                }
            };
            let expire = move |folder: &backup::Backups| {
                folder.expire(Retention::HOURLY, OffsetDateTime::now_utc(), made.as_deref())
            };
            if let Err(error) = self.work(expire).await {
                log::error!("backup: old ones stay: {error}");
            }
        }
    }

    async fn until_first(&self, every: Duration) -> Duration {
        let last = self.list().await.ok().and_then(|backups| {
            backups.iter().filter(|backup| backup.reason == Reason::Hourly).map(|backup| backup.created_at).max()
        });
        let age = last.and_then(|last| Duration::try_from(OffsetDateTime::now_utc() - last).ok());
        let due = age.map_or(Duration::ZERO, |age| every.saturating_sub(age));
        due.max(FIRST_AFTER.min(every))
    }
}

async fn restore(bistro: Bistro, folder: backup::Backups, name: String) -> Result<Restored, BackupsError> {
    let (staged, folder) = blocking(move || folder.sound(&name).map(|staged| (staged, folder))).await?;
    let (told, done) = tokio::sync::oneshot::channel();
    let swap = Box::new(move || {
        let restored = folder.swap(&staged);
        let outcome = restored.as_ref().map(drop).map_err(ToString::to_string);
        let _ = told.send(restored);
        outcome
    });
    let swapped = bistro.replace(swap).await;
    match done.await {
        Ok(restored) => Ok(restored?),
        // It never came to it.
        Err(_) => Err(BackupsError::NotReplaced(swapped.err().unwrap_or_default())),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupsError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| BackupsError::CutOff(error.to_string()))??)
}

impl Stack {
    pub fn backups(&self) -> &Backups {
        &self.backups
    }

    /// Restores the restaurant's data while everything else goes on; what was remembered of the data that
    /// was there is forgotten.
    pub async fn restore(&self, name: String, who: &str) -> Result<Restored, BackupsError> {
        let cache = self.cache();
        let what = format!("backup {name} restored");
        let forget = move || {
            if let Some(cache) = cache {
                cache.clear();
            }
        };
        let restored = self.backups.restore(name, forget).await?;
        self.happenings.record(Note { kind: Kind::Backup, hop: Some(Hop::Data), what, who, fault: None });
        Ok(restored)
    }
}
