//! Where everything is kept. SQL stands here and nowhere else; outside, only domain types are spoken.
//!
//! [`engine`] is a database file with its readers and its one writer; [`bistro`] is the restaurant,
//! one file a stack; [`control`] is the console. [`hasher`] hashes passwords for both, [`cache`] is
//! what an instance remembers of the menu.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use crate::domain::session::SessionSecret;
use crate::web::secret::{NoRandomness, random_hex_256};

pub mod backup;
pub mod bistro;
pub mod cache;
pub mod control;
pub mod engine;
pub mod export;
mod faults;
pub mod generate;
pub mod hasher;
mod rows;
pub mod verify;

/// The restaurant's database in a data folder.
pub const BISTRO_FILE: &str = "bistro.db";
/// The console's database there.
pub const CONTROL_FILE: &str = "control.db";

/// Why the store can't take a request now; the request was not carried out, or at least not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Too many wait already, or it waited too long.
    Busy,
    /// The disk (or the file's limit) is full.
    Full,
    /// The disk or the file failed: the store is checked before it goes on.
    Broken,
    /// It is being closed.
    Closed,
}

/// What can go wrong with any request to the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing is wrong with the request: it may be sent again after that time.
    #[error("the store is unavailable ({cause:?})")]
    Unavailable { cause: Cause, retry_after: Duration },
    /// A fault of the program.
    #[error("{0}")]
    Internal(String),
}

impl StoreError {
    pub(crate) const fn unavailable(cause: Cause) -> Self {
        let retry_after = match cause {
            Cause::Busy => Duration::from_secs(1),
            Cause::Full | Cause::Broken | Cause::Closed => Duration::from_secs(5),
        };
        StoreError::Unavailable { cause, retry_after }
    }

    pub(crate) fn is(&self, wanted: Cause) -> bool {
        matches!(self, StoreError::Unavailable { cause, .. } if *cause == wanted)
    }
}

impl From<rusqlite::Error> for StoreError {
    /// By result code, never by text (sqlite.org/rescode.html).
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, FileLockingProtocolFailed,
            NotADatabase, OperationInterrupted, OutOfMemory, ReadOnly, SystemIoFailure,
        };
        match error.sqlite_error_code() {
            // Only a read is ever interrupted, when it took too long.
            Some(DatabaseBusy | DatabaseLocked | FileLockingProtocolFailed | OutOfMemory | OperationInterrupted) => {
                StoreError::unavailable(Cause::Busy)
            }
            Some(DiskFull) => StoreError::unavailable(Cause::Full),
            Some(SystemIoFailure | CannotOpen | ReadOnly | DatabaseCorrupt | NotADatabase) => {
                StoreError::unavailable(Cause::Broken)
            }
            _ => StoreError::Internal(error.to_string()),
        }
    }
}

impl From<NoRandomness> for StoreError {
    fn from(error: NoRandomness) -> Self {
        StoreError::Internal(error.to_string())
    }
}

/// A session's secret that nobody has yet.
fn new_secret() -> Result<SessionSecret, StoreError> {
    let secret = SessionSecret::parse(&random_hex_256()?);
    secret.ok_or_else(|| StoreError::Internal("a new session secret is malformed".to_owned()))
}

/// What time it is, for what is stored: a stack's own clock, which may be set wrong on purpose.
#[derive(Clone)]
pub struct WallClock {
    unskewed: Arc<dyn Fn() -> OffsetDateTime + Send + Sync>,
    skew: Arc<dyn Fn() -> time::Duration + Send + Sync>,
}

/// The present by a clock that may be wrong, in whole milliseconds as it will read back.
#[derive(Debug, Clone, Copy)]
pub struct Present {
    /// What is judged and shown.
    pub now: OffsetDateTime,
    /// As if the clock were right: for what must hold however wrong it is.
    pub unskewed: OffsetDateTime,
}

impl Present {
    /// The earlier of both: what is deleted for its age is over by either.
    pub fn over_by_either(self) -> OffsetDateTime {
        self.now.min(self.unskewed)
    }
}

impl WallClock {
    pub fn new(now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        Self { unskewed: Arc::new(now), skew: Arc::new(|| time::Duration::ZERO) }
    }

    /// The same, off by what `skew` says.
    pub fn off_by(self, skew: impl Fn() -> time::Duration + Send + Sync + 'static) -> Self {
        Self { skew: Arc::new(skew), ..self }
    }

    /// The present, in whole milliseconds as it will read back.
    pub fn now(&self) -> OffsetDateTime {
        self.present().now
    }

    pub fn present(&self) -> Present {
        let unskewed = rows::whole_millis((self.unskewed)());
        Present { now: unskewed + (self.skew)(), unskewed }
    }
}

impl Default for WallClock {
    /// The system's.
    fn default() -> Self {
        Self::new(OffsetDateTime::now_utc)
    }
}

impl std::fmt::Debug for WallClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WallClock")
    }
}
