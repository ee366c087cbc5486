//! What each upstream was asked and how it answered, for those who watch.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::InstanceView;
use crate::observe::metrics::classic::{self, Classic};
use crate::observe::metrics::histogram::{self, Histogram};

/// Counted with each attempt.
#[derive(Debug, Default)]
pub struct Counted {
    durations: Classic,
    fine: Histogram,
    failed: AtomicU64,
}

/// An upstream, and its figures since the start.
#[derive(Debug, Clone)]
pub struct Figures {
    pub upstream: InstanceView,
    /// Whether it is an instance of ours.
    pub own: bool,
    /// Until the head of its answer, or until it was known that none comes.
    pub durations: classic::Counts,
    pub fine: histogram::Counts,
    /// Attempts without an answer, or with a status of 500 or above.
    pub failed: u64,
}

impl Counted {
    /// An attempt ended: with this status, or without an answer.
    pub fn attempt(&self, took: Duration, status: Option<u16>) {
        self.durations.record(took);
        self.fine.record(took);
        if status.is_none_or(|status| status >= 500) {
            self.failed.fetch_add(1, Relaxed);
        }
    }

    pub fn figures(&self, upstream: InstanceView, own: bool) -> Figures {
        let (durations, fine) = (self.durations.counts(), self.fine.counts());
        Figures { upstream, own, durations, fine, failed: self.failed.load(Relaxed) }
    }
}
