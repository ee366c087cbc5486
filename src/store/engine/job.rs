//! What waits for the writer: a piece of work, the span it is recorded in, and who wants the answer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::super::{Cause, StoreError};
use super::db::{Common, Db, Extent};
use crate::faults::Home;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::span::{Span, Status};

/// An error of a job: its own refusals, and those of the store.
pub trait JobError: From<StoreError> + Send + 'static {
    /// The store's error in it, if it is one.
    fn of_store(&self) -> Option<&StoreError>;
}

impl JobError for StoreError {
    fn of_store(&self) -> Option<&StoreError> {
        Some(self)
    }
}

type AfterCommit = Vec<Box<dyn FnOnce() + Send>>;

/// A job's part of the common transaction.
pub struct Transaction<'a> {
    pub db: Db<'a>,
    after_commit: &'a mut AfterCommit,
}

impl Transaction<'_> {
    /// Calls `done` once the job is committed, before anybody hears of it; never when it is not.
    pub fn after_commit(&mut self, done: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(done));
    }
}

/// What became of a job's savepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    Kept,
    Undone,
    /// The file failed beneath it: nothing of the batch may be trusted.
    Broken,
}

/// One job, whatever its types.
pub trait Job: Send {
    /// Whether anybody still waits for it.
    fn is_wanted(&self) -> bool;
    fn queued(&self) -> Tick;
    /// Ends the step under way at `end` and gives it a name.
    fn lap(&mut self, name: &'static str, end: Tick) -> Span;
    fn run(&mut self, connection: &Connection, common: &Common) -> Ran;
    /// Committed: carries out what was to follow.
    fn committed(&mut self);
    /// Gives the caller the outcome.
    fn answer(self: Box<Self>);
    /// Gives the caller an error in its place.
    fn fail(self: Box<Self>, error: StoreError);
}

type Answer<T, E> = (Result<T, E>, Tick);

struct Pending<T, E, W> {
    span: Span,
    queued: Tick,
    /// Whose work it is.
    home: Option<Home>,
    /// Where the last step ended.
    at: Tick,
    work: Option<W>,
    outcome: Option<Result<T, E>>,
    after_commit: AfterCommit,
    reply: Option<oneshot::Sender<Answer<T, E>>>,
}

/// A job whose caller waits for `reply`.
pub fn pending<T, E, W>(
    span: Span,
    queued: Tick,
    home: Option<Home>,
    work: W,
    reply: oneshot::Sender<Answer<T, E>>,
) -> Box<dyn Job>
where
    T: Send + 'static,
    E: JobError,
    W: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
{
    boxed(span, queued, home, work, Some(reply))
}

/// A job that nobody waits for.
pub fn unanswered<W>(span: Span, queued: Tick, home: Option<Home>, work: W) -> Box<dyn Job>
where
    W: FnOnce(&mut Transaction<'_>) -> Result<(), StoreError> + Send + 'static,
{
    boxed(span, queued, home, work, None)
}

fn boxed<T, E, W>(
    span: Span,
    queued: Tick,
    home: Option<Home>,
    work: W,
    reply: Option<oneshot::Sender<Answer<T, E>>>,
) -> Box<dyn Job>
where
    T: Send + 'static,
    E: JobError,
    W: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
{
    let (work, after_commit) = (Some(work), Vec::new());
    Box::new(Pending { span, queued, home, at: queued, work, outcome: None, after_commit, reply })
}

impl<T, E, W> Pending<T, E, W> {
    /// The span ends where its last step did; what follows is the way back.
    fn reply(self, outcome: Option<Result<T, E>>) {
        let Self { span, at, reply, .. } = self;
        if !matches!(outcome, Some(Ok(_))) {
            span.status(Status::Error);
        }
        span.end_at(at);
        if let (Some(reply), Some(outcome)) = (reply, outcome) {
            // An error means that the caller has left: its work is done all the same.
            let _ = reply.send((outcome, at));
        }
    }
}

impl<T, E, W> Job for Pending<T, E, W>
where
    T: Send,
    E: JobError,
    W: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send,
{
    fn is_wanted(&self) -> bool {
        !self.reply.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    fn queued(&self) -> Tick {
        self.queued
    }

    fn lap(&mut self, name: &'static str, end: Tick) -> Span {
        let span = self.span.record(Hop::Data, name, self.at, end);
        self.at = end;
        span
    }

    fn run(&mut self, connection: &Connection, common: &Common) -> Ran {
        let Some(work) = self.work.take() else { return Ran::Undone };
        let db = Db::new(connection, common, &self.span, Extent::Part, self.home.as_ref(), self.at);
        let mut transaction = Transaction { db, after_commit: &mut self.after_commit };
        // A fault in one job must not take the writer, and with it the store, from all others. What it
        // left behind is undone with its savepoint.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut transaction)))
            .unwrap_or_else(|_| Err(StoreError::Internal("a job of the writer panicked".to_owned()).into()));
        self.at = transaction.db.at();
        let ran = match &outcome {
            Ok(_) => Ran::Kept,
            Err(error) if error.of_store().is_some_and(|error| error.is(Cause::Broken)) => Ran::Broken,
            Err(_) => Ran::Undone,
        };
        self.outcome = Some(outcome);
        ran
    }

    fn committed(&mut self) {
        if matches!(self.outcome, Some(Ok(_))) {
            self.after_commit.drain(..).for_each(|done| done());
        }
    }

    fn answer(mut self: Box<Self>) {
        let outcome = self.outcome.take();
        self.reply(outcome);
    }

    fn fail(self: Box<Self>, error: StoreError) {
        self.reply(Some(Err(error.into())));
    }
}
