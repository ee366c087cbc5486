//! The connections that read.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use r2d2::{Pool, PooledConnection};
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::Connection;

use super::super::{Cause, StoreError};
use super::connection;
use super::options::{OpenError, Options};
use crate::observe::clock::Tick;

/// How long a start waits for its connections: a machine that is busy is slow, not broken.
const OPENING_MAX: Duration = Duration::from_secs(30);
/// How long a fence waits for reads under way before it goes on without them.
const EMPTYING_MAX: Duration = Duration::from_secs(1);

/// Steps of SQLite's machine between two looks at the clock: some tens of microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1_000;

thread_local! {
    /// When the read under way on this thread is broken off. A read never leaves its thread.
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// As long as it lives, reads of this thread end at its time.
pub struct Bound;

impl Drop for Bound {
    fn drop(&mut self) {
        UNTIL.set(None);
    }
}

/// Gives a read of this thread that was held up as much more time.
pub fn extend(by: Duration) {
    UNTIL.set(UNTIL.get().map(|until| until + by));
}

/// A pool that can be taken away while the store is fenced, and put back.
#[derive(Debug)]
pub struct Readers {
    path: PathBuf,
    options: Options,
    pool: ArcSwapOption<Pool<SqliteConnectionManager>>,
    /// Taken out of the pool by a fault. The control plane, which no fault may harm, still reads with them.
    held: Mutex<Vec<PooledConnection<SqliteConnectionManager>>>,
    /// Reads for which no connection was free at once, what they waited in all, and how many waited in vain.
    waits: AtomicU64,
    waited_ns: AtomicU64,
    refused: AtomicU64,
}

/// How the readers are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub size: u32,
    pub in_use: u32,
    /// Reads for which no connection was free at once, since the start.
    pub waits: u64,
    pub waited: Duration,
    /// Of those, how many got none in time.
    pub refused: u64,
}

/// A connection on loan, with the state of the pool when it was lent.
pub struct Lease {
    pub connection: PooledConnection<SqliteConnectionManager>,
    pub size: u32,
    pub in_use: u32,
    lent: Tick,
    /// Of those that a fault holds.
    held: bool,
}

impl Lease {
    pub fn waited_us(&self, since: Tick) -> f64 {
        crate::observe::clock::micros(self.lent.since(since))
    }
}

impl Readers {
    pub fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        let readers = Self {
            path: path.to_owned(),
            options: options.clone(),
            pool: ArcSwapOption::empty(),
            held: Mutex::default(),
            waits: AtomicU64::new(0),
            waited_ns: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        readers.fill(OPENING_MAX).map_err(|error| OpenError::Pool(path.to_owned(), error))?;
        Ok(readers)
    }

    /// A connection, at once or within the bound.
    pub fn lease(&self, for_instance: bool) -> Result<Lease, StoreError> {
        let pool = self.pool.load();
        let pool = pool.as_ref().ok_or(StoreError::unavailable(Cause::Broken))?;
        let held = if for_instance { None } else { self.held().pop() };
        let from_held = held.is_some();
        let lent = match held.or_else(|| pool.try_get()) {
            Some(connection) => Some(connection),
            None => self.wait(pool),
        };
        let connection = lent.ok_or(StoreError::unavailable(Cause::Busy))?;
        let state = pool.state();
        Ok(Lease {
            connection,
            size: state.connections,
            in_use: state.connections - state.idle_connections,
            lent: Tick::now(),
            held: from_held,
        })
    }

    /// Back to where it was taken from. One that is dropped instead goes to the pool.
    pub fn give_back(&self, lease: Lease) {
        if lease.held {
            self.held().push(lease.connection);
        }
    }

    /// Takes idle connections out of the pool until it has but one to lend.
    pub fn hold_all_but_one(&self) {
        let Some(pool) = &*self.pool.load() else { return };
        let mut held = self.held();
        while held.len() + 1 < self.options.readers as usize {
            let Some(connection) = pool.try_get() else { return };
            held.push(connection);
        }
    }

    /// Puts them all back.
    pub fn release(&self) {
        self.held().clear();
    }

    /// Connections are whole values: a panic elsewhere leaves none half-taken.
    fn held(&self) -> MutexGuard<'_, Vec<PooledConnection<SqliteConnectionManager>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, pool: &Pool<SqliteConnectionManager>) -> Option<PooledConnection<SqliteConnectionManager>> {
        let began = Tick::now();
        let lent = pool.get_timeout(self.options.reader_wait_max).ok();
        self.waits.fetch_add(1, Relaxed);
        self.waited_ns.fetch_add(u64::try_from(Tick::now().since(began).as_nanos()).unwrap_or(u64::MAX), Relaxed);
        self.refused.fetch_add(lent.is_none().into(), Relaxed);
        lent
    }

    /// A connection that is free now, for those who would rather not know than wait.
    pub fn free(&self) -> Option<PooledConnection<SqliteConnectionManager>> {
        self.pool.load().as_ref()?.try_get()
    }

    pub fn figures(&self) -> Figures {
        let state = self.pool.load().as_ref().map(|pool| pool.state());
        Figures {
            size: self.options.readers,
            in_use: state.map_or(0, |state| state.connections - state.idle_connections),
            waits: self.waits.load(Relaxed),
            waited: Duration::from_nanos(self.waited_ns.load(Relaxed)),
            refused: self.refused.load(Relaxed),
        }
    }

    /// Bounds the reads of this thread from now on.
    pub fn bound(&self) -> Bound {
        UNTIL.set(Some(Instant::now() + self.options.read_max));
        Bound
    }

    /// Opens the pool (again), unless it is there. Its connections don't expire: they are files, not sockets.
    pub fn restore(&self) -> Result<(), r2d2::Error> {
        if self.pool.load().is_some() {
            return Ok(());
        }
        self.fill(self.options.reader_wait_max)
    }

    fn fill(&self, within: Duration) -> Result<(), r2d2::Error> {
        let manager = SqliteConnectionManager::file(&self.path).with_flags(connection::flags()).with_init(configure);
        let pool = Pool::builder()
            .max_size(self.options.readers)
            .thread_pool(Arc::clone(&self.options.threads.0))
            .connection_timeout(within)
            .max_lifetime(None)
            .idle_timeout(None)
            .test_on_check_out(false)
            .build(manager)?;
        self.pool.store(Some(Arc::new(pool)));
        Ok(())
    }

    /// Takes the pool away: new reads are refused, those under way are waited for, connections are closed.
    pub fn withdraw(&self) {
        let Some(pool) = self.pool.swap(None) else { return };
        self.release();
        let until = Instant::now() + EMPTYING_MAX;
        while pool.state().idle_connections < pool.state().connections && Instant::now() < until {
            std::thread::yield_now();
        }
    }
}

/// A reader's pragmas, and the look at the clock that breaks a long read off (SQLITE_INTERRUPT). Readers
/// alone have it: an interrupt within a transaction would roll back others' work.
fn configure(connection: &mut Connection) -> rusqlite::Result<()> {
    connection::configure_reader(connection)?;
    let overdue = || UNTIL.get().is_some_and(|until| Instant::now() >= until);
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(overdue))
}
