//! The transaction of a change to an order: whose it is, which version was meant, what its state allows,
//! and what follows in the kitchen, the pantry and the ledger. All or nothing.

use rusqlite::{OptionalExtension, params};
use time::OffsetDateTime;

use super::super::engine::{Db, JobError, Touched, Transaction};
use super::super::rows::{millis, parsed};
use super::super::{Present, StoreError};
use super::booking::{self, Cause};
use super::keys::{self, Idempotency, KeyError};
use super::life::{self, AdvanceError};
use super::place::{INSERT_LINE, PlaceError, send_to_kitchen, write_lines};
use super::wakes::Wakes;
use super::{Bistro, orders, stock};
use crate::domain::ledger::Kind;
use crate::domain::money::Money;
use crate::domain::order::{Changed, Expected, LineRequest, OrderId, OrderLine, OrderRequest, TicketState};
use crate::domain::order_life::{Deed, Impossible};
use crate::domain::session::PersonId;
use crate::observe::span::Span;

const FIND: &str = "SELECT seq, person_id, version, total_cents, table_number FROM orders WHERE id = ?1";
const WANTED: &str = "SELECT menu_item_id, quantity FROM order_line WHERE order_seq = ?1 ORDER BY line";
const REWRITE: &str = "UPDATE orders SET table_number = ?2, total_cents = ?3 WHERE seq = ?1";
const DELETE_LINES: &str = "DELETE FROM order_line WHERE order_seq = ?1";
const PLACED_AT: &str = "UPDATE orders SET placed_at_ms = ?2 WHERE seq = ?1";
const TICKET: &str = "SELECT state FROM ticket WHERE order_seq = ?1";
const END_TICKET: &str = "UPDATE ticket SET state = 'cancelled', ended_at_ms = ?2 WHERE order_seq = ?1";
const ONE_LESS_WAITING: &str = "UPDATE kitchen SET waiting = waiting - 1 WHERE only_row = 1";
const ONE_LESS_DEAD: &str = "UPDATE kitchen SET dead = dead - 1 WHERE only_row = 1";

/// Something that somebody does to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub order: OrderId,
    pub deed: Deed,
    pub by: PersonId,
    /// Whether they may do it to another's.
    pub any: bool,
    pub expected: Expected,
    pub idempotency: Option<Idempotency>,
}

/// Why an order was not changed. Nothing was then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is none, or it is another's.
    #[error("there is no such order")]
    NotFound,
    #[error("the order has changed since: it is at version {version}")]
    Stale { version: i64 },
    #[error(transparent)]
    Impossible(#[from] Impossible),
    #[error(transparent)]
    Place(#[from] PlaceError),
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        ChangeError::Place(error.into())
    }
}

impl From<KeyError> for ChangeError {
    fn from(error: KeyError) -> Self {
        ChangeError::Place(error.into())
    }
}

impl From<AdvanceError> for ChangeError {
    fn from(error: AdvanceError) -> Self {
        match error {
            AdvanceError::Impossible(why) => why.into(),
            AdvanceError::Store(error) => error.into(),
        }
    }
}

impl JobError for ChangeError {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            ChangeError::Place(error) => error.of_store(),
            ChangeError::NotFound | ChangeError::Stale { .. } | ChangeError::Impossible(_) => None,
        }
    }
}

struct Job {
    change: Change,
    present: Present,
    wakes: Wakes,
}

/// What the order is before.
struct Before {
    seq: i64,
    owner: PersonId,
    version: i64,
    total: Money,
    table: u16,
}

impl Bistro {
    /// Does something to an order, or finds what the same idempotency key has done.
    pub async fn change_order(&self, span: &Span, change: Change) -> Result<Changed, ChangeError> {
        let job = Job { change, present: self.clock.present(), wakes: self.wakes() };
        self.engine.write(span, "Commit the change", move |transaction| job.run(transaction)).await
    }
}

impl Job {
    fn run(self, transaction: &mut Transaction<'_>) -> Result<Changed, ChangeError> {
        let (key, by) = (self.change.idempotency.as_ref(), self.change.by);
        if let Some(order) = keys::recall_order(&mut transaction.db, key, Some(by), self.present)? {
            return Ok(Changed { order, replayed: true, queue_waiting: None });
        }
        let before = self.find(&mut transaction.db)?;
        let seq = before.seq;
        if matches!(self.change.deed, Deed::Place) {
            // First, since only a draft goes without.
            transaction.db.step("Note when it was placed", &[PLACED_AT], |connection| {
                let changed = connection.prepare_cached(PLACED_AT)?.execute([seq, millis(self.present.now)])?;
                Ok(((), Touched::Changed(changed)))
            })?;
        }
        life::advance(&mut transaction.db, seq, self.change.deed.action(), Some(by), self.present.now)?;
        let queue_waiting = self.follow(transaction, &before)?;
        let order = orders::by_seq(&mut transaction.db, "Read the order", seq)?;
        keys::keep(&mut transaction.db, key, by, Some(seq), &order, self.present)?;
        Ok(Changed { order, replayed: false, queue_waiting })
    }

    fn find(&self, db: &mut Db<'_>) -> Result<Before, ChangeError> {
        let Change { order, by, any, expected, .. } = &self.change;
        let found = db.step("Find the order", &[FIND], |connection| {
            let found = connection.prepare_cached(FIND)?.query_row([order.as_str()], |row| {
                let total = Money::from_cents(row.get(3)?);
                let owner = PersonId(row.get(1)?);
                Ok(Before { seq: row.get(0)?, owner, version: row.get(2)?, total, table: row.get(4)? })
            });
            let found = found.optional()?;
            let rows = usize::from(found.is_some());
            Ok((found, Touched::Returned(rows)))
        })?;
        let whose = || found.filter(|before| *any || before.owner == *by).ok_or(ChangeError::NotFound);
        let before = db.rule("Check whose it is", whose, |before| match before.owner == *by {
            true => "the visitor's own".to_owned(),
            false => "another's, by permission".to_owned(),
        })?;
        let version = before.version;
        db.rule(
            "Is it the version that was meant?",
            || if expected.allows(version) { Ok(()) } else { Err(ChangeError::Stale { version }) },
            |()| format!("version {version}"),
        )?;
        Ok(before)
    }

    /// What else the deed means. Returns the length of the kitchen's queue when it grew.
    fn follow(&self, transaction: &mut Transaction<'_>, before: &Before) -> Result<Option<i64>, ChangeError> {
        let (seq, now) = (before.seq, self.present.now);
        let book = |transaction: &mut Transaction<'_>, kind| {
            booking::book(&mut transaction.db, kind, Cause::Order(seq), before.total, now)
        };
        match &self.change.deed {
            Deed::Serve => {}
            Deed::Pay => book(transaction, Kind::Payment)?,
            Deed::Refund => book(transaction, Kind::Refund)?,
            Deed::Cancel => {
                if end_ticket(&mut transaction.db, seq, now)? {
                    stock::give_back(transaction, seq, &self.wakes)?;
                    self.wakes.tickets(transaction);
                    book(transaction, Kind::Cancellation)?;
                }
            }
            Deed::Edit(request) => {
                let (lines, total) = stock::price(&mut transaction.db, request)?;
                rewrite(&mut transaction.db, seq, request.table, &lines, total)?;
            }
            Deed::Place => {
                let request = OrderRequest { table: before.table, lines: wanted(&mut transaction.db, seq)? };
                let plan = stock::plan(&mut transaction.db, &request)?;
                rewrite(&mut transaction.db, seq, request.table, &plan.lines, plan.total)?;
                let (_, waiting) = send_to_kitchen(transaction, seq, &plan, &self.wakes, now)?;
                return Ok(Some(waiting));
            }
        }
        Ok(None)
    }
}

/// What a draft asks for.
fn wanted(db: &mut Db<'_>, seq: i64) -> Result<Vec<LineRequest>, StoreError> {
    db.step("Read the draft's lines", &[WANTED], |connection| {
        let line = |row: &rusqlite::Row<'_>| Ok(LineRequest { menu_item_id: row.get(0)?, quantity: row.get(1)? });
        let lines: Vec<_> =
            connection.prepare_cached(WANTED)?.query_map([seq], line)?.collect::<rusqlite::Result<_>>()?;
        let rows = lines.len();
        Ok((lines, Touched::Returned(rows)))
    })
}

/// The lines anew, with the names and prices of now.
fn rewrite(db: &mut Db<'_>, seq: i64, table: u16, lines: &[OrderLine], total: Money) -> Result<(), StoreError> {
    db.step("Write the lines anew", &[REWRITE, DELETE_LINES, INSERT_LINE], |connection| {
        let mut changed = connection.prepare_cached(REWRITE)?.execute(params![seq, table, total.cents()])?;
        changed += connection.prepare_cached(DELETE_LINES)?.execute([seq])?;
        changed += write_lines(connection, seq, lines)?;
        Ok(((), Touched::Changed(changed)))
    })
}

/// Takes the order's ticket from the kitchen; false when there is none, since it was never placed.
fn end_ticket(db: &mut Db<'_>, seq: i64, now: OffsetDateTime) -> Result<bool, StoreError> {
    let state = db.step("Find the ticket", &[TICKET], |connection| {
        let state = connection.prepare_cached(TICKET)?.query_row([seq], |row| parsed(row, 0, TicketState::from_id));
        let state = state.optional()?;
        Ok((state, Touched::Returned(usize::from(state.is_some()))))
    })?;
    let one_less = match state {
        None => return Ok(false),
        Some(TicketState::Waiting) => ONE_LESS_WAITING,
        Some(TicketState::Dead) => ONE_LESS_DEAD,
        Some(other) => return Err(StoreError::Internal(format!("a placed order's ticket is {}", other.id()))),
    };
    db.step("Take the ticket from the kitchen", &[END_TICKET, one_less], |connection| {
        let mut changed = connection.prepare_cached(END_TICKET)?.execute([seq, millis(now)])?;
        changed += connection.prepare_cached(one_less)?.execute([])?;
        Ok((true, Touched::Changed(changed)))
    })
}
