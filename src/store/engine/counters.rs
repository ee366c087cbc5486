//! What the writer counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::observe::metrics::classic::{self, Classic};

/// What the writer has done since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    pub commits: u64,
    /// Jobs whose work is in one of those commits.
    pub jobs: u64,
    pub batch_max: u64,
    /// Times that the file failed and was opened anew.
    pub fences: u64,
}

#[derive(Debug, Default)]
pub struct Counters {
    commits: AtomicU64,
    jobs: AtomicU64,
    batch_max: AtomicU64,
    fences: AtomicU64,
    longest_us: AtomicU64,
    /// Of those that came to something, from being taken up to the COMMIT.
    batches: Classic,
    busy_ns: AtomicU64,
    fenced: AtomicBool,
}

impl Counters {
    pub fn worked(&self, took: Duration) {
        self.busy_ns.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// A batch, whatever came of it.
    pub fn batch_took(&self, took: Duration) {
        self.longest_us.fetch_max(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub fn committed(&self, jobs: u64, took: Duration) {
        self.batches.record(took);
        self.commits.fetch_add(1, Relaxed);
        self.jobs.fetch_add(jobs, Relaxed);
        self.batch_max.fetch_max(jobs, Relaxed);
    }

    pub fn failed(&self) {
        self.fences.fetch_add(1, Relaxed);
    }

    pub fn closed(&self, closed: bool) {
        self.fenced.store(closed, Relaxed);
    }

    /// What the slowest batch took since this was asked last: from being taken up to its COMMIT.
    pub fn take_longest(&self) -> Duration {
        Duration::from_micros(self.longest_us.swap(0, Relaxed))
    }

    pub fn batches(&self) -> classic::Counts {
        self.batches.counts()
    }

    /// How long the writer has been at work since the start.
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy_ns.load(Relaxed))
    }

    /// Whether the file is closed until it was checked.
    pub fn is_fenced(&self) -> bool {
        self.fenced.load(Relaxed)
    }

    pub fn figures(&self) -> Figures {
        Figures {
            commits: self.commits.load(Relaxed),
            jobs: self.jobs.load(Relaxed),
            batch_max: self.batch_max.load(Relaxed),
            fences: self.fences.load(Relaxed),
        }
    }
}
