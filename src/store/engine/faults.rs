//! What faults do to a database. Real locks, limits and indexes. What works for an instance alone is delayed and failed,
//! and the control plane has a reader that no instance is lent. Of writers there is but one: what the control plane
//! writes to the same file meets a lock and a full disk, too, and waits for a write that is held up.
//!
//! A delay holds its reader or the writer, as a slow query does. Reads run on the thread of their caller, so that an
//! instance, which has one, answers nothing else meanwhile.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::super::{Cause, StoreError};
use super::db::Touched;
use super::readers::{self, Lease};
use super::{Engine, Inner, connection, unwatched};
use crate::faults::{self, Follow, Home, Place, Strike, is_on, strike};
use crate::observe::span::Span;
use crate::settings::fault::Fault;
use crate::settings::runtime::Settings;

/// A limit below what a file has means: as it is (sqlite.org/pragma.html#pragma_max_page_count).
const NO_GROWTH: u32 = 1;
/// Between two attempts to undo what a fault did, while the store can't take it.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// An index that a fault takes away.
#[derive(Debug, Clone, Copy)]
pub struct Droppable {
    pub drop: &'static str,
    /// As its migration made it, where it is not there: then the schema is what it was.
    pub create: &'static str,
}

/// Somebody else's hold on the file.
#[derive(Debug)]
enum Lock {
    Free,
    /// In the midst of a transaction that writes.
    Held(Connection),
    /// The file is closed, for good or until it was checked: nobody opens it beside the writer.
    Closed,
}

#[derive(Debug)]
pub struct DataFaults {
    path: PathBuf,
    settings: Settings,
    lock: Mutex<Lock>,
    /// From before the index is dropped until after it is made again.
    index_gone: AtomicBool,
}

impl DataFaults {
    pub fn new(path: &Path, settings: Settings) -> Self {
        Self { path: path.to_owned(), settings, lock: Mutex::new(Lock::Free), index_gone: AtomicBool::new(false) }
    }

    /// Fails a step, or holds it up: then says so.
    pub fn before_step(&self, home: &Home) -> Result<Option<Strike>, Strike> {
        if self.settings.snapshot().faults.none() {
            return Ok(None);
        }
        let place = home.place();
        if let Some(fails) = strike(&self.settings, Fault::DataFails, place) {
            return Err(fails);
        }
        let late = strike(&self.settings, Fault::DataDelay, place);
        if let Some(late) = late {
            faults::block(&self.settings, late, place);
            // The bound of a read is on its work.
            readers::extend(late.delay());
        }
        Ok(late)
    }

    /// How far the file may grow while the disk is "full".
    pub fn page_limit(&self) -> Option<u32> {
        is_on(&self.settings, Fault::DataFull, Place::ANYWHERE).map(|_| NO_GROWTH)
    }

    /// Says in the trace that the writer meets one.
    pub fn mark_writer(&self, span: &Span) {
        if self.settings.snapshot().faults.none() {
            return;
        }
        let met = [Fault::DataLocked, Fault::DataFull];
        met.into_iter()
            .filter_map(|fault| is_on(&self.settings, fault, Place::ANYWHERE))
            .for_each(|met| met.mark(span));
    }

    /// Whether statements read tables whole because a fault wants it.
    pub fn index_is_gone(&self) -> bool {
        self.index_gone.load(SeqCst)
    }

    /// Takes the lock for writing on a connection of its own, unless it has it. Blocks.
    fn lock(&self) {
        // Held meanwhile: whoever closes the file waits for this.
        let mut lock = self.slot();
        let on = is_on(&self.settings, Fault::DataLocked, Place::ANYWHERE).is_some();
        if !on || !matches!(*lock, Lock::Free) {
            return;
        }
        let taken = connection::open(&self.path).and_then(|connection| {
            connection.execute_batch("BEGIN IMMEDIATE")?;
            Ok(connection)
        });
        match taken {
            Ok(connection) => *lock = Lock::Held(connection),
            Err(error) => log::warn!("store: {} was not locked: {error}", self.path.display()),
        }
    }

    /// Lets go of it.
    fn unlock(&self) {
        let mut lock = self.slot();
        if let Lock::Held(connection) = &*lock {
            self.roll_back(connection);
            *lock = Lock::Free;
        }
    }

    /// Nobody locks it from now on, until it is open again.
    pub fn close(&self) {
        let mut lock = self.slot();
        if let Lock::Held(connection) = &*lock {
            self.roll_back(connection);
        }
        *lock = Lock::Closed;
    }

    /// It may be locked again.
    pub fn open(&self) {
        let mut lock = self.slot();
        if matches!(*lock, Lock::Closed) {
            *lock = Lock::Free;
        }
    }

    fn roll_back(&self, connection: &Connection) {
        if let Err(error) = connection.execute_batch("ROLLBACK") {
            // It is closed next, which ends its transaction, too.
            log::warn!("store: {}: the lock of a fault: {error}", self.path.display());
        }
    }

    /// A whole value: a panic elsewhere leaves no half of one.
    fn slot(&self) -> MutexGuard<'_, Lock> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    pub(super) fn lease(&self, for_instance: bool) -> Result<Lease, StoreError> {
        if self.pool_of_one().is_some() {
            self.readers.hold_all_but_one();
        }
        self.readers.lease(for_instance)
    }

    pub(super) fn pool_of_one(&self) -> Option<Strike> {
        is_on(&self.common.faults.settings, Fault::DataPoolOfOne, Place::ANYWHERE)
    }
}

impl Engine {
    /// Does what begins and ends with a fault, for as long as it is polled.
    pub async fn keep_faults(&self) {
        tokio::join!(self.keep_lock(), self.keep_pool(), self.keep_index());
    }

    fn follow(&self, fault: Fault) -> Follow {
        Follow::new(&self.inner.common.faults.settings, fault)
    }

    /// Lets go of what faults hold, once nobody follows them any more and all are over: a lock would outlast them.
    pub async fn let_go(&self) {
        self.inner.readers.end_pool_of_one();
        self.with_lock(DataFaults::unlock).await;
    }

    async fn keep_lock(&self) {
        let mut follow = self.follow(Fault::DataLocked);
        let mut on = false;
        loop {
            on = tokio::select! {
                spec = follow.next() => spec.is_some(),
                // A store that failed or was replaced let go of it, and whoever wrote just then had it first.
                () = tokio::time::sleep(AGAIN_AFTER), if on => true,
            };
            self.with_lock(if on { DataFaults::lock } else { DataFaults::unlock }).await;
        }
    }

    async fn with_lock(&self, act: fn(&DataFaults)) {
        let common = Arc::clone(&self.inner.common);
        if let Err(error) = tokio::task::spawn_blocking(move || act(&common.faults)).await {
            log::error!("store: the lock of a fault: {error}");
        }
    }

    async fn keep_pool(&self) {
        let mut follow = self.follow(Fault::DataPoolOfOne);
        loop {
            match follow.next().await {
                Some(_) => self.inner.readers.begin_pool_of_one(),
                None => self.inner.readers.end_pool_of_one(),
            }
        }
    }

    async fn keep_index(&self) {
        let Some(index) = self.inner.common.schema.droppable else { return };
        let mut follow = self.follow(Fault::DataNoIndex);
        loop {
            let on = follow.next().await.is_some();
            let gone = || self.inner.common.faults.index_is_gone();
            while on != gone() {
                let done = if on { self.drop_index(index).await } else { self.make_index(index).await };
                match done {
                    Ok(()) => {}
                    Err(error) if error.is(Cause::Closed) => return,
                    // What it does is undone as soon as the store can; what it did not do in time it leaves.
                    Err(_)
                        if on
                            && is_on(&self.inner.common.faults.settings, Fault::DataNoIndex, Place::ANYWHERE)
                                .is_none() =>
                    {
                        break;
                    }
                    Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
                }
            }
        }
    }

    async fn drop_index(&self, index: Droppable) -> Result<(), StoreError> {
        let gone = &self.inner.common.faults.index_gone;
        // Before: whoever reads at that moment is to know.
        gone.store(true, SeqCst);
        let dropped = self.change_schema("Drop an index", index.drop, || {}).await;
        if dropped.is_err() {
            // It may have been carried out all the same; to make one that is there does nothing.
            self.make_index(index).await?;
        }
        dropped
    }

    async fn make_index(&self, index: Droppable) -> Result<(), StoreError> {
        let common = Arc::clone(&self.inner.common);
        self.change_schema("Make an index", index.create, move || common.faults.index_gone.store(false, SeqCst)).await
    }

    async fn change_schema(
        &self,
        name: &'static str,
        sql: &'static str,
        committed: impl FnOnce() + Send + 'static,
    ) -> Result<(), StoreError> {
        let span = unwatched(name);
        let change = self.write(&span, name, move |transaction| {
            transaction.db.step(name, &[sql], |connection| {
                connection.execute_batch(sql)?;
                Ok(((), Touched::Changed(0)))
            })?;
            transaction.after_commit(committed);
            Ok(())
        });
        change.await
    }
}
