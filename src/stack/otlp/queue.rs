//! What waits to be exported, bounded by spans.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::observe::journey::Journey;

/// Spans that wait at most; the oldest journeys go first.
const WAITING_MAX: u64 = 2_048;
/// Spans that make a batch; the last journey of one may go beyond.
const BATCH: u64 = 512;

#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    came: Notify,
    full: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    journeys: VecDeque<Arc<Journey>>,
    spans: u64,
}

pub fn spans_of(journeys: &[Arc<Journey>]) -> u64 {
    journeys.iter().map(|journey| journey.spans.len() as u64).sum()
}

impl Queue {
    /// Returns how many spans had to go.
    pub fn push(&self, journey: Arc<Journey>) -> u64 {
        let mut waiting = self.waiting();
        waiting.spans += journey.spans.len() as u64;
        waiting.journeys.push_back(journey);
        let mut dropped = 0;
        while waiting.spans > WAITING_MAX {
            let Some(oldest) = waiting.journeys.pop_front() else { break };
            waiting.spans -= oldest.spans.len() as u64;
            dropped += oldest.spans.len() as u64;
        }
        if waiting.spans >= BATCH {
            self.full.notify_one();
        }
        self.came.notify_one();
        dropped
    }

    /// Waits until there is a batch, or something has waited for `linger`.
    pub async fn ready(&self, linger: Duration) {
        while self.waiting().journeys.is_empty() {
            self.came.notified().await;
        }
        if self.waiting().spans < BATCH {
            // Time over is as good as full.
            let _ = tokio::time::timeout(linger, self.full.notified()).await;
        }
    }

    /// The oldest that make a batch; None when nothing waits.
    pub fn take(&self) -> Option<Vec<Arc<Journey>>> {
        let mut waiting = self.waiting();
        let mut batch = Vec::new();
        let mut spans = 0;
        while spans < BATCH
            && let Some(journey) = waiting.journeys.pop_front()
        {
            spans += journey.spans.len() as u64;
            batch.push(journey);
        }
        waiting.spans -= spans;
        (!batch.is_empty()).then_some(batch)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
