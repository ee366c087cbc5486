//! The one writer: commits what waits together, and fences the store when the file fails.
//!
//! `synchronous=FULL` costs an fsync a commit; shared by the requests that wait anyway it costs each
//! a fraction (33 µs in place of 127).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::ffi::SQLITE_IOERR_WRITE;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::super::{Cause, StoreError};
use super::connection;
use super::counters::Counters;
use super::db::Common;
use super::job::{Job, Ran};
use super::log_size::LogSize;
use super::options::{Durability, Options, PageLimit};
use super::readers::Readers;
use crate::observe::clock::{Tick, micros};
use crate::observe::span::Status;

/// Jobs that share a commit at most; beyond, little is gained.
pub const BATCH_MAX: usize = 64;
/// Between two attempts to open a file that failed; doubles each time.
const REOPEN_FIRST: Duration = Duration::from_millis(20);
/// And at most so long: it is also how long a job may wait for its refusal.
const REOPEN_MAX: Duration = Duration::from_millis(500);

/// What comes in at the writer's door.
pub enum Message {
    Job(Box<dyn Job>),
    /// Finish what came before, then close.
    Close(oneshot::Sender<Result<(), StoreError>>),
    /// Finish what came before, then close the file, swap it and open it again.
    Replace(Swap, oneshot::Sender<Result<(), String>>),
    /// Somebody else's connection to the file failed: finish what came before, then open it anew.
    Fence(oneshot::Sender<()>),
}

/// Puts another file in the place of one that nobody has open.
pub type Swap = Box<dyn FnOnce() -> Result<(), String> + Send>;

/// What ends a batch.
enum End {
    Close(oneshot::Sender<Result<(), StoreError>>),
    Replace(Swap, oneshot::Sender<Result<(), String>>),
    Fence(oneshot::Sender<()>),
}

/// Who has to open the file anew before anything else is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fence {
    Nobody,
    /// A write failed: what is in the log is whole, and whoever reads it may go on.
    Writer,
    /// Perhaps a sync failed, or the file is damaged: what is read can't be trusted either.
    Everybody,
}

/// Why a batch came to nothing.
pub struct Lost {
    cause: Cause,
    pub fence: Fence,
}

impl Lost {
    /// A statement of the batch itself failed: full and busy pass, the rest is the file's fault.
    pub fn of(error: rusqlite::Error) -> Self {
        let extended = error.sqlite_error().map(|error| error.extended_code);
        match StoreError::from(error) {
            StoreError::Unavailable { cause: cause @ (Cause::Busy | Cause::Full), .. } => {
                Self { cause, fence: Fence::Nobody }
            }
            _ if extended == Some(SQLITE_IOERR_WRITE) => Self { cause: Cause::Broken, fence: Fence::Writer },
            _ => Self { cause: Cause::Broken, fence: Fence::Everybody },
        }
    }
}

type Batch = Vec<Box<dyn Job>>;

pub struct Writer {
    path: PathBuf,
    /// None while fenced.
    connection: Option<Connection>,
    readers: Arc<Readers>,
    common: Arc<Common>,
    inbox: mpsc::Receiver<Message>,
    counters: Arc<Counters>,
    queue_wait_max: Duration,
    durability: Durability,
    log_size: LogSize,
    page_limit: PageLimit,
    /// The limit that the connection has.
    limited_to: Option<u32>,
    /// Who wants the log left alone for now.
    holds: Arc<AtomicU32>,
}

impl Writer {
    pub fn new(
        path: &Path,
        connection: Connection,
        readers: Arc<Readers>,
        common: Arc<Common>,
        inbox: mpsc::Receiver<Message>,
        (counters, holds): (Arc<Counters>, Arc<AtomicU32>),
        options: &Options,
    ) -> Self {
        Self {
            path: path.to_owned(),
            connection: Some(connection),
            readers,
            common,
            inbox,
            counters,
            queue_wait_max: options.queue_wait_max,
            durability: options.durability,
            log_size: LogSize::default(),
            page_limit: options.page_limit.clone(),
            limited_to: None,
            holds,
        }
    }

    /// Until it is told to close, or nobody is left to tell it anything.
    pub fn run(mut self) {
        while let Some(message) = self.inbox.blocking_recv() {
            let (batch, end) = self.gather(message);
            if !batch.is_empty() {
                let began = Tick::now();
                self.commit_together(batch);
                self.shorten_log();
                self.counters.worked(Tick::now().since(began));
            }
            let mut end = end.or_else(|| self.recover());
            while let Some(ending) = end {
                end = match ending {
                    End::Replace(swap, reply) => {
                        let swapped = self.replace(swap);
                        let next = self.recover();
                        // Who asked may have left.
                        let _ = reply.send(swapped);
                        next
                    }
                    End::Fence(reply) => {
                        self.fence(Fence::Everybody);
                        let _ = reply.send(());
                        self.recover()
                    }
                    End::Close(reply) => {
                        self.inbox.close();
                        let closed = self.shut();
                        let _ = reply.send(closed);
                        return;
                    }
                };
            }
        }
        if let Err(error) = self.shut() {
            log::warn!("store: {} was not closed in order: {error}", self.path.display());
        }
    }

    /// The first job and what else waits already.
    fn gather(&mut self, first: Message) -> (Batch, Option<End>) {
        let mut batch = Batch::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Job(job) => batch.push(job),
                Message::Close(reply) => return (batch, Some(End::Close(reply))),
                Message::Replace(swap, reply) => return (batch, Some(End::Replace(swap, reply))),
                Message::Fence(reply) => return (batch, Some(End::Fence(reply))),
            }
            next = if batch.len() < BATCH_MAX { self.inbox.try_recv().ok() } else { None };
        }
        (batch, None)
    }

    fn commit_together(&mut self, batch: Batch) {
        let taken = Tick::now();
        let overdue = |queued| taken.since(queued) > self.queue_wait_max;
        let (overdue, mut batch): (Batch, Batch) =
            batch.into_iter().filter(|job| job.is_wanted()).partition(|job| overdue(job.queued()));
        fail_all(overdue, Cause::Busy);
        if batch.is_empty() {
            return;
        }
        let size = batch.len();
        for job in &mut batch {
            let waited = taken.since(job.queued());
            let span = job.lap("Wait for the writer", taken);
            span.attribute("roundtrip.writer.wait_us", || micros(waited)).attribute("roundtrip.writer.batch", || size);
            self.common.faults.mark_writer(&span);
        }
        let Some(connection) = &self.connection else { return fail_all(batch, Cause::Broken) };
        let limit = self.common.faults.page_limit().or_else(|| self.page_limit.current());
        if limit != self.limited_to {
            match connection::limit_pages(connection, limit) {
                Ok(()) => self.limited_to = limit,
                Err(error) => log::warn!("store: {} keeps its limit: {error}", self.path.display()),
            }
        }
        let transacted = transact(connection, &self.common, &mut batch);
        let took = Tick::now().since(taken);
        self.counters.batch_took(took);
        match transacted {
            Ok(kept) => {
                if kept > 0 {
                    self.counters.committed(kept as u64, took);
                }
                batch.iter_mut().for_each(|job| job.committed());
                batch.into_iter().for_each(Job::answer);
            }
            Err(lost) => {
                let stuck = !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err();
                self.fence(if stuck { Fence::Everybody } else { lost.fence });
                fail_all(batch, lost.cause);
            }
        }
    }

    /// Moves the log into the file once it is long. After the answers: nobody waits for it but the next batch.
    fn shorten_log(&mut self) {
        if self.holds.load(Relaxed) > 0 {
            return;
        }
        let Some(connection) = &self.connection else { return };
        let Some(shorten) = self.log_size.due() else { return };
        let began = Tick::now();
        match connection::checkpoint_within(connection, shorten.cut, shorten.wait) {
            Ok(()) => log::info!("store: checkpoint: took {:.0} µs", micros(Tick::now().since(began))),
            Err(error) => {
                log::warn!("store: {}: the log stays as long as it is: {error}", self.path.display());
                self.fence(Lost::of(error).fence);
            }
        }
    }

    /// After a failed fsync what the page cache holds is no longer what the disk holds, and a second
    /// fsync that succeeds proves nothing (Rebello et al., "Can Applications Recover from fsync
    /// Failures?", USENIX ATC 2020). So all connections go, and with them all they remember. After a failed
    /// write the readers stay: a commit is in what they see only once its sync has succeeded.
    fn fence(&mut self, whom: Fence) {
        if whom == Fence::Nobody {
            return;
        }
        log::error!("store: {} failed; fenced until it is checked", self.path.display());
        self.counters.failed();
        self.give_up(whom);
    }

    /// Closes connections, and with the writer's what it was told.
    fn give_up(&mut self, whose: Fence) {
        self.counters.closed(true);
        self.common.faults.close();
        if whose == Fence::Everybody {
            self.readers.withdraw();
        }
        self.connection = None;
        self.limited_to = None;
    }

    fn replace(&mut self, swap: Swap) -> Result<(), String> {
        log::warn!("store: {} is closed, to be replaced", self.path.display());
        self.give_up(Fence::Everybody);
        catch_unwind(AssertUnwindSafe(swap)).unwrap_or_else(|_| Err("the swap panicked".to_owned()))
    }

    /// Opens the file anew, as often as it takes; jobs that come meanwhile are refused. Returns early
    /// when it is told to close, or given another file.
    fn recover(&mut self) -> Option<End> {
        let (mut pause, mut reported) = (REOPEN_FIRST, String::new());
        while self.connection.is_none() {
            let reopened = connection::reopen(&self.path, self.durability)
                .and_then(|connection| self.readers.restore().map(|()| connection).map_err(|e| e.to_string()));
            match reopened {
                Ok(connection) => {
                    log::warn!("store: {} checked, accepted again", self.path.display());
                    self.connection = Some(connection);
                    self.common.faults.open();
                    self.counters.closed(false);
                    return None;
                }
                Err(why) if why == reported => {}
                Err(why) => {
                    log::error!("store: {} stays fenced: {why}", self.path.display());
                    reported = why;
                }
            }
            loop {
                match self.inbox.try_recv() {
                    Ok(Message::Job(job)) => job.fail(StoreError::unavailable(Cause::Broken)),
                    Ok(Message::Close(reply)) => return Some(End::Close(reply)),
                    Ok(Message::Replace(swap, reply)) => return Some(End::Replace(swap, reply)),
                    // It is.
                    Ok(Message::Fence(reply)) => drop(reply.send(())),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return None,
                }
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(REOPEN_MAX);
        }
        None
    }

    /// Refuses what still waits and empties the log into the file.
    fn shut(&mut self) -> Result<(), StoreError> {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Message::Job(job) => job.fail(StoreError::unavailable(Cause::Closed)),
                Message::Close(reply) => drop(reply.send(Ok(()))),
                Message::Replace(_, reply) => drop(reply.send(Err("the store is being closed".to_owned()))),
                Message::Fence(reply) => drop(reply.send(())),
            }
        }
        self.common.faults.close();
        // Readers first: the log can't be emptied while one of them stands in it.
        self.readers.withdraw();
        let connection = self.connection.take().ok_or(StoreError::unavailable(Cause::Broken))?;
        if let (true, Some(index)) = (self.common.faults.index_is_gone(), self.common.schema.droppable) {
            connection.execute_batch(index.create)?;
        }
        connection::checkpoint(&connection)?;
        connection.close().map_err(|(_, error)| error.into())
    }
}

/// All jobs in one transaction, each in its savepoint. Returns how many of them stand.
fn transact(connection: &Connection, common: &Common, batch: &mut Batch) -> Result<usize, Lost> {
    let size = batch.len();
    let begin = execute(connection, "BEGIN IMMEDIATE");
    let begun = Tick::now();
    if let Err(error) = begin {
        // What took the time was the wait for somebody else's lock.
        for job in batch.iter_mut() {
            job.lap("BEGIN IMMEDIATE", begun).status(Status::Error);
        }
        return Err(Lost::of(error));
    }
    let mut kept = 0;
    for job in batch.iter_mut() {
        job.lap("BEGIN IMMEDIATE", begun).attribute("roundtrip.writer.batch", || size);
    }
    for (index, job) in batch.iter_mut().enumerate() {
        if index > 0 {
            job.lap("Wait for others in the batch", Tick::now());
        }
        execute(connection, "SAVEPOINT job").map_err(Lost::of)?;
        job.lap("Open a savepoint", Tick::now());
        let ran = job.run(connection, common);
        // SQLITE_FULL, IOERR, NOMEM and BUSY may have rolled back the whole transaction, not the
        // statement alone: only autocommit tells (sqlite.org/lang_transaction.html, section 3).
        if connection.is_autocommit() || ran == Ran::Broken {
            return Err(match ran {
                Ran::Broken => Lost { cause: Cause::Broken, fence: Fence::Everybody },
                _ => Lost { cause: Cause::Full, fence: Fence::Nobody },
            });
        }
        if ran == Ran::Kept {
            kept += 1;
            execute(connection, "RELEASE job").map_err(Lost::of)?;
            job.lap("Release the savepoint", Tick::now());
        } else {
            execute(connection, "ROLLBACK TO job").map_err(Lost::of)?;
            execute(connection, "RELEASE job").map_err(Lost::of)?;
            job.lap("Roll back to the savepoint", Tick::now());
        }
    }
    let finishing = Tick::now();
    let (sql, name) = if kept > 0 { ("COMMIT", "COMMIT to the WAL") } else { ("ROLLBACK", "ROLLBACK") };
    execute(connection, sql).map_err(Lost::of)?;
    let finished = Tick::now();
    for job in batch.iter_mut() {
        if size > 1 {
            job.lap("Wait for others in the batch", finishing);
        }
        job.lap(name, finished)
            .attribute("db.system.name", || "sqlite")
            .attribute("db.query.text", || sql)
            .attribute("roundtrip.writer.batch", || size);
    }
    Ok(kept)
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn fail_all(batch: Batch, cause: Cause) {
    batch.into_iter().for_each(|job| job.fail(StoreError::unavailable(cause)));
}
