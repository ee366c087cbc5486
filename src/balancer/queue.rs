//! Where requests wait while all upstreams are full: first in, first out, bounded in length and time.
//!
//! The line stands at a semaphore of one permit, which tokio hands out in order. Its holder is at the head of
//! the line and waits for a place. Whoever leaves (a dropped future) is out of it at once.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

#[derive(Debug)]
pub struct Queue {
    head: Semaphore,
    waiting: AtomicU64,
}

impl Default for Queue {
    fn default() -> Self {
        Self { head: Semaphore::new(1), waiting: AtomicU64::new(0) }
    }
}

/// A place in the line.
#[derive(Debug)]
pub struct Waiting<'a>(&'a Queue);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Queue {
    /// Requests that wait.
    pub fn len(&self) -> u64 {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Joins the line; None when there are `max` in it already.
    pub fn join(&self, max: u64) -> Option<Waiting<'_>> {
        let one_more = |count: u64| (count < max).then_some(count + 1);
        self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        Some(Waiting(self))
    }
}

impl Waiting<'_> {
    /// Waits for the head of the line, and there until `take` has found something. `news` wakes it to look
    /// again.
    pub async fn until<T>(&self, news: &tokio::sync::Notify, mut take: impl FnMut() -> Option<T>) -> Option<T> {
        // Never closed, so this never fails.
        let _head = self.0.head.acquire().await.ok()?;
        loop {
            if let Some(found) = take() {
                return Some(found);
            }
            news.notified().await;
        }
    }
}
