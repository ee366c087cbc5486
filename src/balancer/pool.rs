//! Kept connections to one upstream, last in first out: the one used last is the least likely to be closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connection::Connection;
use crate::observe::clock::Tick;

/// Connections kept per upstream.
const IDLE_MAX: usize = 64;
/// Below the 5 s after which actix closes: a connection is never taken at the moment it is being closed.
const IDLE_FOR: Duration = Duration::from_secs(4);

#[derive(Debug, Default)]
pub struct Pool {
    kept: Mutex<Vec<Kept>>,
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
        let mut kept = self.kept();
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
        let mut kept = self.kept();
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        if kept.len() >= IDLE_MAX {
            kept.remove(0);
        }
        kept.push(Kept { connection, since: Tick::now() });
    }

    pub fn clear(&self) {
        self.kept().clear();
    }

    /// Closes all of them, and keeps none from now on.
    pub fn close(&self) {
        let mut kept = self.kept();
        self.closed.store(true, Ordering::Relaxed);
        kept.clear();
    }

    /// Closes what has been idle for too long; called by the health checks, so that nothing lies about.
    pub fn sweep(&self) {
        let now = Tick::now();
        self.kept().retain(|kept| now.since(kept.since) < IDLE_FOR && kept.connection.is_usable());
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
