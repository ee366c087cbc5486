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

type Connections = Pool<SqliteConnectionManager>;
type Reader = PooledConnection<SqliteConnectionManager>;

/// Whose reads go over which connections.
#[derive(Debug)]
struct Pools {
    instances: Connections,
    /// One that no instance is ever lent: what the control plane reads waits behind no fault.
    control: Connections,
}

impl Pools {
    /// For the control plane, which takes an instance's rather than wait.
    fn free(&self) -> Option<(Reader, &Connections)> {
        let free = |pool| Connections::try_get(pool).map(|reader| (reader, pool));
        free(&self.control).or_else(|| free(&self.instances))
    }

    fn are_idle(&self) -> bool {
        [&self.instances, &self.control].iter().all(|pool| pool.state().idle_connections == pool.state().connections)
    }
}

/// What a fault has taken out of the instances' pool.
#[derive(Debug, Default)]
struct Held {
    /// Set by who follows the fault alone: nobody who saw it a moment ago takes anything once it is over.
    on: bool,
    readers: Vec<Reader>,
}

/// Pools that can be taken away while the store is fenced, and put back.
#[derive(Debug)]
pub struct Readers {
    path: PathBuf,
    options: Options,
    pools: ArcSwapOption<Pools>,
    held: Mutex<Held>,
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
    pub connection: Reader,
    pub size: u32,
    pub in_use: u32,
    lent: Tick,
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
            pools: ArcSwapOption::empty(),
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
        let pools = self.pools.load();
        let pools = pools.as_ref().ok_or(StoreError::unavailable(Cause::Broken))?;
        let own = if for_instance { &pools.instances } else { &pools.control };
        let free = if for_instance { own.try_get().map(|reader| (reader, own)) } else { pools.free() };
        let lent = free.or_else(|| self.wait(own).map(|reader| (reader, own)));
        let (connection, pool) = lent.ok_or(StoreError::unavailable(Cause::Busy))?;
        let state = pool.state();
        Ok(Lease {
            connection,
            size: state.connections,
            in_use: state.connections - state.idle_connections,
            lent: Tick::now(),
        })
    }

    /// From now on instances are lent one connection at a time.
    pub fn begin_pool_of_one(&self) {
        self.held().on = true;
        self.hold_all_but_one();
    }

    pub fn end_pool_of_one(&self) {
        *self.held() = Held::default();
    }

    /// While the pool is one of one: takes idle connections out of it until it has but one to lend.
    pub fn hold_all_but_one(&self) {
        let mut held = self.held();
        // Under the lock: those of pools that are being withdrawn are not held back.
        let pools = self.pools.load();
        let Some(pools) = pools.as_ref().filter(|_| held.on) else { return };
        while held.readers.len() + 1 < self.options.readers as usize {
            let Some(reader) = pools.instances.try_get() else { return };
            held.readers.push(reader);
        }
    }

    /// Connections are whole values: a panic elsewhere leaves none half-taken.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, pool: &Connections) -> Option<Reader> {
        let began = Tick::now();
        let lent = pool.get_timeout(self.options.reader_wait_max).ok();
        self.waits.fetch_add(1, Relaxed);
        self.waited_ns.fetch_add(u64::try_from(Tick::now().since(began).as_nanos()).unwrap_or(u64::MAX), Relaxed);
        self.refused.fetch_add(lent.is_none().into(), Relaxed);
        lent
    }

    /// A connection that is free now, for those who would rather not know than wait.
    pub fn free(&self) -> Option<Reader> {
        self.pools.load().as_ref()?.free().map(|(reader, _)| reader)
    }

    pub fn figures(&self) -> Figures {
        let state = self.pools.load().as_ref().map(|pools| pools.instances.state());
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

    /// Opens the pools (again), unless they are there. Their connections don't expire: they are files, not sockets.
    pub fn restore(&self) -> Result<(), r2d2::Error> {
        if self.pools.load().is_some() {
            return Ok(());
        }
        self.fill(self.options.reader_wait_max)
    }

    fn fill(&self, within: Duration) -> Result<(), r2d2::Error> {
        let open = |size| {
            let manager =
                SqliteConnectionManager::file(&self.path).with_flags(connection::flags()).with_init(configure);
            Pool::builder()
                .max_size(size)
                .thread_pool(Arc::clone(&self.options.threads.0))
                .connection_timeout(within)
                .max_lifetime(None)
                .idle_timeout(None)
                .test_on_check_out(false)
                .build(manager)
        };
        let pools = Pools { instances: open(self.options.readers)?, control: open(1)? };
        self.pools.store(Some(Arc::new(pools)));
        Ok(())
    }

    /// Takes the pools away: new reads are refused, those under way are waited for, connections are closed.
    pub fn withdraw(&self) {
        let pools = {
            let mut held = self.held();
            held.readers.clear();
            self.pools.swap(None)
        };
        let Some(pools) = pools else { return };
        let until = Instant::now() + EMPTYING_MAX;
        while !pools.are_idle() && Instant::now() < until {
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
