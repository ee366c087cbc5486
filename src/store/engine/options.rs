//! How a database is opened, and why it may not be.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use scheduled_thread_pool::ScheduledThreadPool;

use crate::settings::runtime::Settings;

/// The threads on which pools open their connections. One set serves any number of pools.
#[derive(Clone)]
pub struct PoolThreads(pub(super) Arc<ScheduledThreadPool>);

impl PoolThreads {
    pub fn start() -> Self {
        Self(Arc::new(ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("store-pool-{}").build()))
    }
}

impl std::fmt::Debug for PoolThreads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PoolThreads")
    }
}

/// How far the file may grow: a full disk that can be had, and ended, at will. Cheap to clone; all
/// clones are one limit.
#[derive(Debug, Clone, Default)]
pub struct PageLimit(Arc<AtomicU32>);

impl PageLimit {
    /// Pages of 4 KiB from the next commit on; None: as the disk allows.
    pub fn set(&self, pages_max: Option<u32>) {
        self.0.store(pages_max.unwrap_or_default(), Relaxed);
    }

    pub(super) fn current(&self) -> Option<u32> {
        Some(self.0.load(Relaxed)).filter(|pages| *pages > 0)
    }
}

/// When a commit is on the disk (sqlite.org/pragma.html#pragma_synchronous).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before it is acknowledged.
    Full,
    /// At the next checkpoint: what was acknowledged since is lost with the power. No command of the program
    /// chooses it; the power-loss test does, to prove that it would see the loss.
    Normal,
}

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    pub threads: PoolThreads,
    /// Connections that read for instances; the control plane has one more.
    pub readers: u32,
    /// The longest wait for one of them.
    pub reader_wait_max: Duration,
    /// The longest read; what takes longer is broken off.
    pub read_max: Duration,
    /// Jobs that may wait for the writer; beyond, callers are refused at once.
    pub queue_max: usize,
    /// A job that has waited longer is refused when its turn comes.
    pub queue_wait_max: Duration,
    pub page_limit: PageLimit,
    pub durability: Durability,
    /// What can be changed meanwhile.
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: PoolThreads::start(),
            readers: 4,
            reader_wait_max: Duration::from_secs(1),
            read_max: Duration::from_secs(1),
            queue_max: 1_024,
            queue_wait_max: Duration::from_secs(5),
            page_limit: PageLimit::default(),
            durability: Durability::Full,
            settings: Settings::default(),
        }
    }
}

/// Why a database was not opened. Nothing was changed in it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("SQLite {0} is too old: before 3.51.3 a reset of the write-ahead log could corrupt the file")]
    OldEngine(&'static str),
    #[error("{0} is not a database of this kind")]
    Foreign(PathBuf),
    #[error("{path} was written by a later Roundtrip (schema {found}; this one knows up to {known}): run that one")]
    Future { path: PathBuf, found: i64, known: i64 },
    #[error("{0} is damaged: {1}")]
    Damaged(PathBuf, String),
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] std::io::Error),
    #[error("{0}: {1}")]
    Sqlite(PathBuf, #[source] rusqlite::Error),
    #[error("{0}: {1}")]
    Pool(PathBuf, #[source] r2d2::Error),
}
