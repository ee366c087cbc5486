//! A database file with a pool of readers and one writer.
//!
//! Reads run inline on the calling worker: a point read costs less than a hop to another thread.
//! Writes queue for one thread that commits whatever waits together:
//! one fsync for up to 64 requests. A write is answered only once its COMMIT succeeded.

mod connection;
pub mod copy;
mod counters;
mod db;
mod faults;
mod job;
mod log_size;
pub mod look;
mod migrate;
mod options;
mod plan;
mod readers;
mod slow;
mod watch;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{Cause, StoreError};
use crate::faults::Home;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::ids::SpanId;
use crate::observe::metrics::classic;
use crate::observe::span::{Context, Direction, Span, Status, Trace};
pub use connection::report;
use counters::Counters;
pub use counters::Figures;
use db::{Common, Extent};
pub use db::{Db, Touched};
use faults::DataFaults;
pub use faults::Droppable;
pub use job::{JobError, Transaction};
pub use migrate::Migration;
pub use options::{Durability, OpenError, Options, PageLimit, PoolThreads};
pub use readers::Figures as ReaderFigures;
use readers::Readers;
pub use slow::Slow;
use slow::SlowLog;
pub use writer::Swap;
use writer::{Message, Writer};

/// A caller waits at most this long for its COMMIT; then it may have happened or not.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What a kind of database is made of.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Marks the file as this kind (sqlite.org/pragma.html#pragma_application_id).
    pub application_id: i32,
    /// Numbered from 1, in order.
    pub migrations: &'static [Migration],
    /// Carried out in a new database, in the transaction that makes it.
    pub seed: Option<&'static str>,
    /// The index that a fault takes away.
    pub droppable: Option<Droppable>,
    /// Tables (and indexes) that don't grow with use: to read one of them whole costs the same for ever.
    pub fixed: &'static [&'static str],
}

/// A database file under management. Cheap to clone; without [`close`](Engine::close) the writer still
/// finishes its queue once the last clone is gone, but nobody waits for it.
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
    /// The instance that this clone works for; None is the control plane, which no fault delays or fails.
    home: Option<Home>,
}

#[derive(Debug)]
struct Inner {
    readers: Arc<Readers>,
    common: Arc<Common>,
    inbox: mpsc::Sender<Message>,
    counters: Arc<Counters>,
    /// Who wants the log left alone for now.
    holds: Arc<AtomicU32>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How much a database has to do.
#[derive(Debug, Clone)]
pub struct Use {
    pub readers: ReaderFigures,
    pub writer: Figures,
    /// Jobs that wait for the writer, and how many may.
    pub queue: usize,
    pub queue_max: usize,
    /// How long the writer has been at work since the start.
    pub writer_busy: Duration,
    /// Batches that were committed: from being taken up to the COMMIT.
    pub batches: classic::Counts,
    /// The file failed, and is closed until it was checked.
    pub fenced: bool,
}

impl Use {
    /// Why nothing can be read or written now.
    pub fn troubles(&self) -> Vec<String> {
        let ReaderFigures { size, in_use, .. } = self.readers;
        let fenced = self.fenced.then(|| "the database failed, and is closed until it was checked".to_owned());
        let unread = (!self.fenced && in_use >= size)
            .then(|| format!("all {size} connections that read the database are in use"));
        let unwritten =
            (self.queue >= self.queue_max).then(|| format!("{} changes wait for the database already", self.queue));
        [fenced, unread, unwritten].into_iter().flatten().collect()
    }
}

/// As long as it lives, the writer does not empty its log.
#[derive(Debug)]
pub struct Hold {
    holds: Arc<AtomicU32>,
    inbox: mpsc::Sender<Message>,
}

impl Hold {
    /// Empties the log that has grown meanwhile, at `path`, beside the writer. Where the disk fails at that,
    /// the writer is fenced before it may touch the log again: a sync that failed is tried again by nobody.
    /// Blocks.
    pub fn drain_log(&self, path: &Path) {
        let Err(error) = copy::drain_log(path) else { return };
        log::warn!("store: the log of {} is left to its writer: {error}", path.display());
        let (reply, fenced) = oneshot::channel();
        // Errors mean that the writer is gone.
        if writer::Lost::of(error).fence != writer::Fence::Nobody
            && self.inbox.blocking_send(Message::Fence(reply)).is_ok()
        {
            let _ = fenced.blocking_recv();
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.fetch_sub(1, Relaxed);
    }
}

impl Engine {
    /// Opens the file, makes it when there is none, checks it, brings it up to date and starts the writer.
    /// Blocks: for the start only.
    pub fn open(path: &Path, schema: Schema, options: Options) -> Result<Self, OpenError> {
        let connection = connection::prepare(path, schema, options.durability)?;
        let readers = Arc::new(Readers::open(path, &options)?);
        let common = Arc::new(Common {
            schema,
            slow: SlowLog::new(options.settings.clone()),
            faults: DataFaults::new(path, options.settings.clone()),
        });
        let (inbox, outbox) = mpsc::channel(options.queue_max);
        let counters = Arc::new(Counters::default());
        let holds = Arc::new(AtomicU32::new(0));
        let shared = (Arc::clone(&counters), Arc::clone(&holds));
        let writer = Writer::new(path, connection, Arc::clone(&readers), Arc::clone(&common), outbox, shared, &options);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| OpenError::Io(path.to_owned(), error))?;
        let inner = Inner { readers, common, inbox, counters, holds, thread: Mutex::new(Some(thread)) };
        Ok(Self { inner: Arc::new(inner), home: None })
    }

    /// The same database, for an instance: its faults are aimed at what this clone does.
    pub fn of(&self, home: Home) -> Self {
        Self { home: Some(home), ..self.clone() }
    }

    /// Carries out `work` on one of the reader connections, here and now. Blocks up to the pool's bound
    /// when all are in use: their holders are at work on other threads and never suspend. The control plane has one
    /// of its own, so that it never waits for an instance that a fault holds up. Work that takes
    /// longer than [`Options::read_max`] is broken off: nobody is to hold a connection, and with it the
    /// write-ahead log, for long.
    pub fn read<T>(
        &self,
        span: &Span,
        work: impl FnOnce(&mut Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.read_extent(span, Extent::Part, work)
    }

    /// As [`read`](Self::read), for what must see every row by nature (an audit), however long it takes.
    pub fn survey<T>(
        &self,
        span: &Span,
        work: impl FnOnce(&mut Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.read_extent(span, Extent::Whole, work)
    }

    fn read_extent<T>(
        &self,
        span: &Span,
        extent: Extent,
        work: impl FnOnce(&mut Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let started = Tick::now();
        let lease = self.inner.lease(self.home.is_some());
        let wait = span.record(Hop::Data, "Wait for a connection", started, Tick::now());
        let lease = lease.inspect_err(|_| {
            wait.status(Status::Error);
        })?;
        self.inner.pool_of_one().into_iter().for_each(|strike| strike.mark(&wait));
        wait.attribute("roundtrip.pool.wait_us", || lease.waited_us(started))
            .attribute("roundtrip.pool.size", || lease.size)
            .attribute("roundtrip.pool.in_use", || lease.in_use);
        let _bound = (extent == Extent::Part).then(|| self.inner.readers.bound());
        let home = self.home.as_ref();
        work(&mut Db::new(&lease.connection, &self.inner.common, span, extent, home, Tick::now()))
    }

    /// Queues `work` for the writer and waits until it is committed (or refused). `name` is the span that
    /// its steps hang beneath. Dropping the future before the writer took the job up takes it back.
    pub async fn write<T, E, W>(&self, span: &Span, name: &'static str, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: JobError,
        W: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let queued = Tick::now();
        let (reply, answer) = oneshot::channel();
        let job = job::pending(span.child_at(Hop::Data, name, queued), queued, self.home.clone(), work, reply);
        if let Err(refused) = self.inner.inbox.try_send(Message::Job(job)) {
            let cause = match refused {
                mpsc::error::TrySendError::Full(_) => Cause::Busy,
                mpsc::error::TrySendError::Closed(_) => Cause::Closed,
            };
            span.record(Hop::Data, "Wait for the writer", queued, Tick::now()).status(Status::Error);
            return Err(StoreError::unavailable(cause).into());
        }
        match tokio::time::timeout(ANSWER_MAX, answer).await {
            Ok(Ok((result, answered))) => {
                span.record(Hop::Data, "Wake the request", answered, Tick::now()).direction(Direction::Back);
                result
            }
            // The writer is gone without an answer: it was closed with this job still queued.
            Ok(Err(_)) => Err(StoreError::unavailable(Cause::Closed).into()),
            Err(_) => Err(StoreError::unavailable(Cause::Busy).into()),
        }
    }

    /// Queues `work` and goes on: for what may be lost, such as when somebody was last seen.
    pub fn write_later<W>(&self, name: &'static str, work: W)
    where
        W: FnOnce(&mut Transaction<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        let job = job::unanswered(unwatched(name), Tick::now(), self.home.clone(), work);
        if self.inner.inbox.try_send(Message::Job(job)).is_err() {
            log::debug!("store: no room for {name:?}, left out");
        }
    }

    /// The latest steps that were slow, the newest last.
    pub fn slow(&self) -> Vec<Slow> {
        self.inner.common.slow.list()
    }

    /// What the writer has done since the start.
    pub fn figures(&self) -> Figures {
        self.inner.counters.figures()
    }

    /// How much it has to do.
    pub fn usage(&self) -> Use {
        let Inner { readers, inbox, counters, .. } = &*self.inner;
        Use {
            readers: readers.figures(),
            writer: counters.figures(),
            queue: inbox.max_capacity() - inbox.capacity(),
            queue_max: inbox.max_capacity(),
            writer_busy: counters.busy(),
            batches: counters.batches(),
            fenced: counters.is_fenced(),
        }
    }

    /// A look that never waits, of which no trace is made: None when no connection is free, or the look failed.
    pub fn glance<T>(&self, look: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Option<T> {
        let connection = self.inner.readers.free()?;
        let _bound = self.inner.readers.bound();
        look(&connection).ok()
    }

    /// How long the slowest commit took since this was asked last.
    pub fn take_longest_commit(&self) -> Duration {
        self.inner.counters.take_longest()
    }

    /// Has the writer leave its log alone: whoever makes a copy lets the log grow, and is to empty it
    /// ([`Hold::drain_log`]) rather than have the next commit pay for it.
    pub fn hold_checkpoints(&self) -> Hold {
        self.inner.holds.fetch_add(1, Relaxed);
        Hold { holds: Arc::clone(&self.inner.holds), inbox: self.inner.inbox.clone() }
    }

    /// Closes the file, has `swap` put another in its place, and opens that. Requests wait or are told to
    /// come again meanwhile. When `swap` fails, the file that is there then is opened.
    pub async fn replace(&self, swap: Swap) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let closed = || StoreError::unavailable(Cause::Closed).to_string();
        self.inner.inbox.send(Message::Replace(swap, reply)).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Finishes the queue, empties the write-ahead log into the file and ends the writer. Later calls
    /// of anything are refused with [`Cause::Closed`].
    pub async fn close(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        if self.inner.inbox.send(Message::Close(reply)).await.is_err() {
            return Ok(());
        }
        let result = answer.await.unwrap_or(Err(StoreError::unavailable(Cause::Closed)));
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            return Err(StoreError::Internal("the writer's thread panicked".to_owned()));
        }
        result
    }
}

/// Whether a database that is looked at is of this kind and up to date; else why not.
pub fn known(connection: &Connection, schema: Schema) -> rusqlite::Result<Result<(), String>> {
    let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let (kind, version) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let latest = schema.migrations.len() as i64;
    Ok(if kind != i64::from(schema.application_id) {
        Err("it is not a database of this kind".to_owned())
    } else if version > latest {
        Err(format!("it was written by a later Roundtrip (schema {version}; this one knows up to {latest})"))
    } else if version < latest {
        Err(format!("it has schema {version}; start this Roundtrip on it once, which brings it to {latest}"))
    } else {
        Ok(())
    })
}

/// Checks and migrates a file that nobody has open, and leaves no log beside it.
pub fn bring_up(path: &Path, schema: Schema) -> Result<(), OpenError> {
    let failed = |error| OpenError::Sqlite(path.to_owned(), error);
    let connection = connection::prepare(path, schema, Durability::Full)?;
    connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))
}

/// A span of a trace that nobody reads: for work that belongs to no request.
pub fn unwatched(name: &'static str) -> Span {
    Trace::start(Context::new_root(), SpanId::random(), Hop::Data, name, Tick::now())
}
