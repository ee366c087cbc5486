//! Kept connections to one upstream, last in first out: the one used last is the least likely to be closed.
//!
//! Each thread has a shelf of its own: a connection is driven by the runtime that opened it, and to wake
//! another thread for each request costs more than one more connection.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connection::Connection;
use crate::observe::clock::Tick;

/// Connections kept per upstream and shelf.
const IDLE_MAX: usize = 64;
/// Below the 5 s after which actix closes: a connection is never taken at the moment it is being closed.
const IDLE_FOR: Duration = Duration::from_secs(4);

/// Threads beyond these share shelves.
const SHELVES: usize = 16;

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The shelf of this thread, in every pool.
    static SHELF: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHELVES;
}

#[derive(Debug, Default)]
pub struct Pool {
    shelves: [Mutex<Vec<Kept>>; SHELVES],
    /// Keeps nothing any more.
    closed: AtomicBool,
}

#[derive(Debug)]
struct Kept {
    connection: Connection,
    since: Tick,
}

impl Pool {
    /// The live connection used last, if there is one. Dead and stale ones are closed on the way.
    pub fn take(&self) -> Option<Connection> {
        let now = Tick::now();
        let mut kept = self.here();
        while let Some(Kept { connection, since }) = kept.pop() {
            if now.since(since) >= IDLE_FOR {
                // All the others have been idle for longer.
                kept.clear();
                return None;
            }
            if connection.is_usable() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose exchange has ended.
    pub fn put(&self, connection: Connection) {
        if !connection.is_usable() {
            return;
        }
        let mut kept = self.here();
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        if kept.len() >= IDLE_MAX {
            kept.remove(0);
        }
        kept.push(Kept { connection, since: Tick::now() });
    }

    pub fn clear(&self) {
        self.all().for_each(|mut kept| kept.clear());
    }

    /// Closes all of them, and keeps none from now on.
    pub fn close(&self) {
        // Who puts one back looks at this with its shelf in hand.
        self.closed.store(true, Ordering::SeqCst);
        self.clear();
    }

    /// Closes what has been idle for too long; called by the health checks, so that nothing lies about.
    pub fn sweep(&self) {
        let now = Tick::now();
        let is_good = |kept: &Kept| now.since(kept.since) < IDLE_FOR && kept.connection.is_usable();
        self.all().for_each(|mut kept| kept.retain(is_good));
    }

    fn here(&self) -> MutexGuard<'_, Vec<Kept>> {
        locked(&self.shelves[SHELF.with(|shelf| *shelf)])
    }

    fn all(&self) -> impl Iterator<Item = MutexGuard<'_, Vec<Kept>>> {
        self.shelves.iter().map(locked)
    }
}

fn locked(shelf: &Mutex<Vec<Kept>>) -> MutexGuard<'_, Vec<Kept>> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}
