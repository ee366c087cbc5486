//! The kitchen's durable queue. A ticket is cooked under a lease with a number; what is reported under
//! another number than the ticket's changes nothing (Kleppmann, "How to do distributed locking", 2016:
//! fencing tokens). So a ticket has one outcome, whoever dies, sleeps or reports twice.

mod view;

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use time::OffsetDateTime;

use super::super::StoreError;
use super::super::engine::{JobError, Touched, Transaction};
use super::super::rows::{horizon, millis, moment, parsed};
use super::Bistro;
use super::life::{self, AdvanceError};
use crate::domain::kitchen::{Claim, Direction, Due};
use crate::domain::order::{OrderId, TicketState};
use crate::domain::order_life::Action;
use crate::observe::span::Span;
use crate::policy::backoff::Attempts;
use crate::policy::random;
use crate::web::secret::random_bytes;

/// Kept of an error.
const REASON_CHARS_MAX: usize = 200;

const PAUSED: &str = "SELECT paused FROM kitchen WHERE only_row = 1";
/// Bounded: the next claim takes the others.
macro_rules! expired {
    ($when:literal) => {
        concat!(
            "SELECT id, lease, attempts, worker, (SELECT id FROM orders WHERE seq = order_seq) FROM ticket ",
            "WHERE state = 'cooking' AND lease_until_ms ",
            $when,
            " ORDER BY lease_until_ms LIMIT 32"
        )
    };
}
const EXPIRED: &str = expired!("<= ?1");
/// Beyond the horizon: the clock was set back, and such a lease would hold for as long.
const EXPIRED_ASTRAY: &str = expired!("> ?1");
/// The first due of one priority: so that those which back off are never walked over.
const BEST: &str = "SELECT id, order_seq FROM ticket WHERE state = 'waiting' AND priority = ?1 AND due_at_ms <= ?2 \
                    ORDER BY due_at_ms, id LIMIT 1";
const BEST_ASTRAY: &str = "SELECT id, order_seq FROM ticket WHERE state = 'waiting' AND priority = ?1 \
                           AND due_at_ms > ?2 ORDER BY due_at_ms, id LIMIT 1";
const EARLIEST_DUE: &str = "SELECT due_at_ms FROM ticket WHERE state = 'waiting' AND priority = ?1 \
                            ORDER BY due_at_ms LIMIT 1";
const EARLIEST_EXPIRY: &str = "SELECT lease_until_ms FROM ticket WHERE state = 'cooking' \
                               ORDER BY lease_until_ms LIMIT 1";
const TAKE: &str = "UPDATE ticket SET state = 'cooking', worker = ?2, lease = lease + 1, lease_until_ms = ?3, \
                    attempts = attempts + 1 WHERE id = ?1 \
                    RETURNING lease, attempts, (SELECT id FROM orders WHERE seq = order_seq)";
/// Held by whoever reports. The order's id too: after a restore tickets and leases are numbered again from the
/// backup's on, and a claim of before must not fit another order's ticket.
macro_rules! held {
    ($set:literal) => {
        concat!(
            "UPDATE ticket SET ",
            $set,
            " WHERE id = ?1 AND lease = ?2 AND state = 'cooking' ",
            "AND order_seq = (SELECT seq FROM orders WHERE orders.id = ?3) RETURNING order_seq"
        )
    };
}
const EXTEND: &str = held!("lease_until_ms = ?4");
const DONE: &str = held!("state = 'done', worker = NULL, lease_until_ms = NULL, last_error = NULL, ended_at_ms = ?4");
const FAIL: &str = held!("state = 'waiting', worker = NULL, lease_until_ms = NULL, last_error = ?4, due_at_ms = ?5");
const DIE: &str = held!("state = 'dead', worker = NULL, lease_until_ms = NULL, last_error = ?4, ended_at_ms = ?5");
const HAND_BACK: &str = held!("state = 'waiting', worker = NULL, lease_until_ms = NULL, attempts = attempts - 1");
const STATE: &str = "SELECT state FROM ticket WHERE id = ?1";
const REQUEUE: &str = "UPDATE ticket SET state = 'waiting', attempts = 0, priority = ?2, due_at_ms = ?3, \
                       last_error = NULL, ended_at_ms = NULL WHERE id = ?1";
/// An order is shown with its ticket's state: what changes that is a new version of it, as `life::advance` makes one.
const NEW_VERSION: &str = "UPDATE orders SET version = version + 1, changed_at_ms = ?2 \
                           WHERE seq = (SELECT order_seq FROM ticket WHERE ticket.id = ?1)";
const PRIORITISE: &str = "UPDATE ticket SET priority = ?2 WHERE id = ?1";
const MOVE: &str = "UPDATE kitchen SET waiting = waiting + ?1, cooking = cooking + ?2, dead = dead + ?3 \
                    WHERE only_row = 1";
const PAUSE: &str = "UPDATE kitchen SET paused = ?1 WHERE only_row = 1";

/// Why what a worker reports does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// The ticket was put back, given to another or ended: nothing was changed.
    #[error("the lease is lost")]
    Lost,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobError for LeaseError {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            LeaseError::Store(error) => Some(error),
            LeaseError::Lost => None,
        }
    }
}

/// Why a ticket is not directed. Nothing was changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectError {
    #[error("there is no such ticket")]
    NoTicket,
    #[error("the ticket is {}", .0.id())]
    State(TicketState),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobError for DirectError {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            DirectError::Store(error) => Some(error),
            DirectError::NoTicket | DirectError::State(_) => None,
        }
    }
}

/// What becomes of a ticket whose worker has it no more.
enum Outcome {
    Done,
    /// The attempt failed: again then, or never.
    Failed {
        reason: String,
        again_at: Option<OffsetDateTime>,
    },
    /// Not tried to the end, through no fault of its own: the attempt does not count.
    HandedBack,
}

impl Bistro {
    /// When a worker has something to do: a look without the writer, for those who wait.
    /// `lease` and `attempts` are those of [`Bistro::claim`].
    pub async fn kitchen_due(&self, span: &Span, lease: Duration, attempts: Attempts) -> Result<Due, StoreError> {
        let now = self.clock.now();
        let (lease_horizon, due_horizon) = (horizon(now, lease), horizon(now, attempts.longest));
        self.engine.read(span, |db| {
            let statements = [PAUSED, EARLIEST_EXPIRY, EXPIRED_ASTRAY, EARLIEST_DUE, BEST_ASTRAY];
            db.step("Look when something is due", &statements, |connection| {
                let transaction = connection.unchecked_transaction()?;
                let first = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, moment(row, 0)?));
                let expiry = transaction.prepare_cached(EARLIEST_EXPIRY)?.query_row([], first).optional()?;
                let mut earliest = expiry;
                let mut astray = transaction.prepare_cached(EXPIRED_ASTRAY)?.exists([lease_horizon])?;
                if !transaction.prepare_cached(PAUSED)?.query_row([], |row| row.get::<_, bool>(0))? {
                    let mut due = transaction.prepare_cached(EARLIEST_DUE)?;
                    let mut due_astray = transaction.prepare_cached(BEST_ASTRAY)?;
                    for priority in PRIORITIES {
                        astray |= due_astray.exists(params![priority, due_horizon])?;
                        let found = due.query_row([priority], first).optional()?;
                        earliest = [earliest, found].into_iter().flatten().min();
                    }
                }
                let due = match earliest {
                    Some((at, _)) if astray || at <= millis(now) => Due::Now,
                    Some((_, at)) => Due::At(at),
                    None => Due::Never,
                };
                Ok((due, Touched::Returned(usize::from(earliest.is_some()))))
            })
        })
    }

    /// Gives the best due ticket to `worker` for `lease`; None when none is due or the kitchen is paused.
    /// Tickets whose lease has run out are put back first: that attempt has failed.
    pub async fn claim(
        &self,
        span: &Span,
        worker: &str,
        lease: Duration,
        attempts: Attempts,
    ) -> Result<Option<Claim>, StoreError> {
        let (worker, now, wakes) = (worker.to_owned(), self.clock.now(), self.wakes());
        let seed = u64::from_le_bytes(random_bytes::<8>()?);
        self.engine
            .write(span, "Claim a ticket", move |transaction| {
                let expired = put_expired_back(transaction, lease, attempts, seed, now)?;
                let claim = take_best(transaction, &worker, lease, attempts, now)?;
                if expired > 0 || claim.is_some() {
                    wakes.tickets(transaction);
                }
                Ok(claim)
            })
            .await
    }

    /// The heartbeat: the lease holds for `lease` from now.
    pub async fn extend(&self, span: &Span, claim: &Claim, lease: Duration) -> Result<(), LeaseError> {
        let (claim, until) = (claim.clone(), millis(self.clock.now() + lease));
        self.engine
            .write(span, "Extend the lease", move |transaction| {
                let kept = transaction.db.step("Extend the lease", &[EXTEND], |connection| {
                    let row = params![claim.ticket, claim.lease, claim.order.as_str(), until];
                    let kept = connection.prepare_cached(EXTEND)?.query_row(row, |_| Ok(())).optional()?.is_some();
                    Ok((kept, Touched::Changed(usize::from(kept))))
                })?;
                if kept { Ok(()) } else { Err(LeaseError::Lost) }
            })
            .await
    }

    /// The ticket is cooked and its order ready.
    pub async fn finish(&self, span: &Span, claim: &Claim) -> Result<(), LeaseError> {
        self.end_attempt(span, "Finish the ticket", claim, Outcome::Done).await
    }

    /// The attempt failed: the ticket waits for `retry` and is tried again; with None it is dead.
    pub async fn give_up(
        &self,
        span: &Span,
        claim: &Claim,
        reason: &str,
        retry: Option<Duration>,
    ) -> Result<(), LeaseError> {
        let again_at = retry.map(|wait| self.clock.now() + wait);
        let outcome = Outcome::Failed { reason: reason.to_owned(), again_at };
        self.end_attempt(span, "Give the ticket up", claim, outcome).await
    }

    /// A worker that stops leaves the ticket to another, at once and as it was.
    pub async fn hand_back(&self, span: &Span, claim: &Claim) -> Result<(), LeaseError> {
        self.end_attempt(span, "Hand the ticket back", claim, Outcome::HandedBack).await
    }

    async fn end_attempt(
        &self,
        span: &Span,
        name: &'static str,
        claim: &Claim,
        outcome: Outcome,
    ) -> Result<(), LeaseError> {
        let (claim, now, wakes) = (claim.clone(), self.clock.now(), self.wakes());
        self.engine
            .write(span, name, move |transaction| {
                end(transaction, &claim, &outcome, now)?;
                wakes.tickets(transaction);
                Ok(())
            })
            .await
    }

    /// Moves one ticket as the chef says.
    pub async fn direct(&self, span: &Span, ticket: i64, direction: Direction) -> Result<(), DirectError> {
        let (now, wakes) = (self.clock.now(), self.wakes());
        self.engine
            .write(span, "Direct a ticket", move |transaction| {
                let state = transaction.db.step("Read the ticket's state", &[STATE], |connection| {
                    let state = connection
                        .prepare_cached(STATE)?
                        .query_row([ticket], |row| parsed(row, 0, TicketState::from_id))
                        .optional()?;
                    Ok((state, Touched::Returned(usize::from(state.is_some()))))
                })?;
                let state = state.ok_or(DirectError::NoTicket)?;
                if state != direction.from() {
                    return Err(DirectError::State(state));
                }
                let priority = direction.priority();
                if direction == Direction::Requeue {
                    transaction.db.step("Queue the ticket again", &[REQUEUE, NEW_VERSION, MOVE], |connection| {
                        connection.prepare_cached(REQUEUE)?.execute(params![ticket, priority, millis(now)])?;
                        connection.prepare_cached(NEW_VERSION)?.execute([ticket, millis(now)])?;
                        shift(connection, [1, 0, -1])?;
                        Ok(((), Touched::Changed(3)))
                    })?;
                } else {
                    transaction.db.step("Change the ticket's priority", &[PRIORITISE], |connection| {
                        let changed = connection.prepare_cached(PRIORITISE)?.execute(params![ticket, priority])?;
                        Ok(((), Touched::Changed(changed)))
                    })?;
                }
                wakes.tickets(transaction);
                Ok(())
            })
            .await
    }

    /// Stops the kitchen from taking up tickets, or lets it again. What is being cooked goes on.
    pub async fn pause_kitchen(&self, span: &Span, paused: bool) -> Result<(), StoreError> {
        let wakes = self.wakes();
        self.engine
            .write(span, "Pause the kitchen", move |transaction| {
                transaction.db.step("Note whether it is paused", &[PAUSE], |connection| {
                    let changed = connection.prepare_cached(PAUSE)?.execute([paused])?;
                    Ok(((), Touched::Changed(changed)))
                })?;
                wakes.tickets(transaction);
                Ok(())
            })
            .await
    }
}

/// The highest first.
const PRIORITIES: [i8; 3] = [1, 0, -1];

/// Counts the queue's lengths up and down: waiting, cooking, dead.
fn shift(connection: &Connection, by: [i64; 3]) -> rusqlite::Result<usize> {
    connection.prepare_cached(MOVE)?.execute(by)
}

/// An order that can't follow its ticket is a fault of the program: they move in one transaction.
fn follow(transaction: &mut Transaction<'_>, seq: i64, action: Action, now: OffsetDateTime) -> Result<(), StoreError> {
    match life::advance(&mut transaction.db, seq, action, None, now) {
        Ok(_) => Ok(()),
        Err(AdvanceError::Store(error)) => Err(error),
        Err(AdvanceError::Impossible(error)) => Err(StoreError::Internal(format!("order number {seq}: {error}"))),
    }
}

/// How many there were.
fn put_expired_back(
    transaction: &mut Transaction<'_>,
    lease: Duration,
    attempts: Attempts,
    seed: u64,
    now: OffsetDateTime,
) -> Result<usize, StoreError> {
    let expired = transaction.db.step("Look for leases that ran out", &[EXPIRED, EXPIRED_ASTRAY], |connection| {
        let row = |row: &Row<'_>| {
            let order = parsed(row, 4, OrderId::parse)?;
            let claim = Claim { ticket: row.get(0)?, order, lease: row.get(1)?, attempt: row.get(2)? };
            Ok((claim, row.get::<_, String>(3)?))
        };
        let mut found = Vec::new();
        for (statement, at) in [(EXPIRED, millis(now)), (EXPIRED_ASTRAY, horizon(now, lease))] {
            for expired in connection.prepare_cached(statement)?.query_map([at], row)? {
                found.push(expired?);
            }
        }
        let count = found.len();
        Ok((found, Touched::Returned(count)))
    })?;
    for (position, (claim, worker)) in (0_u64..).zip(&expired) {
        let random = random::split_mix(seed.wrapping_add(position.wrapping_mul(random::STEP)));
        let reason = format!("{worker} did not report before its lease ran out");
        let again_at = attempts.wait_after(claim.attempt, random).map(|wait| now + wait);
        match end(transaction, claim, &Outcome::Failed { reason, again_at }, now) {
            Ok(()) => {}
            Err(LeaseError::Store(error)) => return Err(error),
            Err(LeaseError::Lost) => {
                let reason = format!("ticket {} changed under the lock", claim.ticket);
                return Err(StoreError::Internal(reason));
            }
        }
    }
    Ok(expired.len())
}

fn take_best(
    transaction: &mut Transaction<'_>,
    worker: &str,
    lease: Duration,
    attempts: Attempts,
    now: OffsetDateTime,
) -> Result<Option<Claim>, StoreError> {
    let best = transaction.db.step("Choose the best due ticket", &[PAUSED, BEST_ASTRAY, BEST], |connection| {
        if connection.prepare_cached(PAUSED)?.query_row([], |row| row.get(0))? {
            return Ok((None, Touched::Returned(1)));
        }
        let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        for priority in PRIORITIES {
            // What is beyond the horizon has waited since before the clock was set back.
            for (statement, at) in [(BEST_ASTRAY, horizon(now, attempts.longest)), (BEST, millis(now))] {
                let mut find = connection.prepare_cached(statement)?;
                let found = find.query_row(params![priority, at], row).optional()?;
                if found.is_some() {
                    return Ok((found, Touched::Returned(1)));
                }
            }
        }
        Ok((None, Touched::Returned(0)))
    })?;
    let Some((id, seq)) = best else { return Ok(None) };
    let claim = transaction.db.step("Take the ticket", &[TAKE, MOVE], |connection| {
        let until = millis(now + lease);
        let claim = connection.prepare_cached(TAKE)?.query_row(params![id, worker, until], |row| {
            let order = parsed(row, 2, OrderId::parse)?;
            Ok(Claim { ticket: id, order, lease: row.get(0)?, attempt: row.get(1)? })
        })?;
        shift(connection, [-1, 1, 0])?;
        Ok((claim, Touched::Changed(2)))
    })?;
    follow(transaction, seq, Action::Cook, now)?;
    Ok(Some(claim))
}

/// Ends the attempt of that claim, with its order and the lengths.
fn end(
    transaction: &mut Transaction<'_>,
    claim: &Claim,
    outcome: &Outcome,
    now: OffsetDateTime,
) -> Result<(), LeaseError> {
    let (statement, by, action) = match outcome {
        Outcome::Done => (DONE, [0, -1, 0], Action::Finish),
        Outcome::Failed { again_at: Some(_), .. } => (FAIL, [1, -1, 0], Action::PutBack),
        Outcome::Failed { again_at: None, .. } => (DIE, [0, -1, 1], Action::PutBack),
        Outcome::HandedBack => (HAND_BACK, [1, -1, 0], Action::PutBack),
    };
    let seq = transaction.db.step("End the attempt", &[statement, MOVE], |connection| {
        let mut update = connection.prepare_cached(statement)?;
        let seq = |row: &Row<'_>| row.get::<_, i64>(0);
        let (id, lease, order) = (claim.ticket, claim.lease, claim.order.as_str());
        let ended = match outcome {
            Outcome::Done => update.query_row(params![id, lease, order, millis(now)], seq),
            Outcome::Failed { reason, again_at } => {
                let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
                update.query_row(params![id, lease, order, reason, millis(again_at.unwrap_or(now))], seq)
            }
            Outcome::HandedBack => update.query_row(params![id, lease, order], seq),
        };
        let ended = ended.optional()?;
        if ended.is_some() {
            shift(connection, by)?;
        }
        Ok((ended, Touched::Changed(2 * usize::from(ended.is_some()))))
    })?;
    let seq = seq.ok_or(LeaseError::Lost)?;
    Ok(follow(transaction, seq, action, now)?)
}
