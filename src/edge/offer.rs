//! An answer that waits for its client, so that a client that takes nothing is cut: its connection in
//! HTTP/1.1, its stream alone in h2.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::task::AbortHandle;

use crate::observe::clock::Tick;

/// Streams that are gone are forgotten at the latest when so many are known.
const KNOWN_MAX: usize = 256;

tokio::task_local! {
    /// The answer of the h2 stream that the current task serves.
    static OF_STREAM: Arc<Offer>;
}

/// Since when an answer has been waiting for its client.
#[derive(Debug, Default)]
pub struct Offer {
    /// Nanoseconds of [`Tick`]; 0 while it does not wait.
    since: AtomicU64,
    /// The task of its h2 stream: ending it resets the stream.
    task: OnceLock<AbortHandle>,
}

impl Offer {
    /// There is more, and the client has not asked for it yet.
    pub fn stands(&self) {
        self.since.store(Tick::now().as_nanos(), Ordering::Relaxed);
    }

    /// The client would take more, and there is nothing; or it has taken all.
    pub fn is_taken(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// Whether it has been waiting for longer than `patience`. `taken`: when the client last took anything.
    pub fn is_ignored(&self, now: Tick, taken: Tick, patience: Duration) -> bool {
        let since = self.since.load(Ordering::Relaxed);
        since > 0 && now.since(Tick::from_nanos(since).max(taken)) > patience
    }

    /// That of the current h2 stream, if the current task serves one.
    pub fn of_stream() -> Option<Arc<Self>> {
        OF_STREAM.try_with(Arc::clone).ok()
    }
}

/// Runs the streams of one h2 connection, and knows their answers.
#[derive(Debug, Clone, Default)]
pub struct Streams(Arc<Mutex<Vec<Weak<Offer>>>>);

impl Streams {
    /// Resets those whose answer the client has ignored for longer than `patience`.
    pub fn reset_ignored(&self, now: Tick, patience: Duration) {
        let mut offers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        offers.retain(|offer| {
            let Some(offer) = offer.upgrade() else { return false };
            let ignored = offer.is_ignored(now, Tick::default(), patience);
            if ignored && let Some(task) = offer.task.get() {
                task.abort();
            }
            !ignored
        });
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let offer = Arc::new(Offer::default());
        let task = tokio::spawn(OF_STREAM.scope(Arc::clone(&offer), stream));
        // Set once, here.
        let _ = offer.task.set(task.abort_handle());
        let mut offers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if offers.len() >= KNOWN_MAX {
            offers.retain(|offer| offer.strong_count() > 0);
        }
        offers.push(Arc::downgrade(&offer));
    }
}
