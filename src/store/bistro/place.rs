//! The transaction of an order: read the facts, apply the rule, write what follows. All or nothing.

use rusqlite::{Connection, params};
use time::OffsetDateTime;

use super::super::engine::{Db, JobError, Touched, Transaction};
use super::super::rows::millis;
use super::super::{Present, StoreError, new_secret};
use super::booking::{self, Cause};
use super::keys::{self, Idempotency, KeyError};
use super::wakes::Wakes;
use super::{Bistro, forget, life, sessions, stock};
use crate::domain::ledger::Kind;
use crate::domain::money::Money;
use crate::domain::order::{
    DRAFTS_MAX, Order, OrderId, OrderLine, OrderRequest, OrderState, Placed, Ticket, TicketState,
};
use crate::domain::order_life::Action;
use crate::domain::order_rule::{Plan, Refusal};
use crate::domain::session::{PersonId, SessionSecret};
use crate::observe::hop::Hop;
use crate::observe::span::Span;
use crate::web::secret::random_bytes;

const COUNT_DRAFTS: &str = "SELECT count(*) FROM orders WHERE person_id = ?1 AND state = 'draft'";
const INSERT_ORDER: &str = "INSERT INTO orders (id, person_id, table_number, state, total_cents, \
                            created_at_ms, placed_at_ms, changed_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6)";
pub(super) const INSERT_LINE: &str = "INSERT INTO order_line (order_seq, line, menu_item_id, name, quantity, \
                                      unit_price_cents, line_total_cents) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const INSERT_TICKET: &str = "INSERT INTO ticket (order_seq, state, queued_at_ms, due_at_ms) VALUES (?1, ?2, ?3, ?3)";
const LENGTHEN_QUEUE: &str = "UPDATE kitchen SET waiting = waiting + 1 WHERE only_row = 1 RETURNING waiting";

/// An order to place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// None: a guest who is not known yet gets a number and a session with the order.
    pub person: Option<PersonId>,
    pub request: OrderRequest,
    pub idempotency: Option<Idempotency>,
}

/// Why an order was not placed. Nothing was changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the idempotency key belongs to another request")]
    IdempotencyConflict,
    #[error("this person has {DRAFTS_MAX} drafts already")]
    TooManyDrafts,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<KeyError> for PlaceError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Conflict => PlaceError::IdempotencyConflict,
            KeyError::Store(error) => error.into(),
        }
    }
}

impl JobError for PlaceError {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            PlaceError::Store(error) => Some(error),
            PlaceError::Refused(_) | PlaceError::IdempotencyConflict | PlaceError::TooManyDrafts => None,
        }
    }
}

/// What is known of an order before the writer's turn.
struct Job {
    new: NewOrder,
    id: OrderId,
    /// For a guest without a session.
    secret: Option<SessionSecret>,
    present: Present,
    wakes: Wakes,
}

impl Bistro {
    /// Places an order, or finds the one that the same idempotency key has placed.
    pub async fn place_order(&self, span: &Span, new: NewOrder) -> Result<Placed, PlaceError> {
        let job = self.job(span, new)?;
        self.engine.write(span, "Commit the order", move |transaction| job.run(transaction, Job::place)).await
    }

    /// Begins a draft: an order that nobody cooks, with its lines at today's prices.
    pub async fn draft_order(&self, span: &Span, new: NewOrder) -> Result<Placed, PlaceError> {
        let job = self.job(span, new)?;
        self.engine.write(span, "Commit the draft", move |transaction| job.run(transaction, Job::draft)).await
    }

    fn job(&self, span: &Span, new: NewOrder) -> Result<Job, StoreError> {
        let _draw = span.child(Hop::Data, "Draw an id");
        let id = OrderId::from_bits(u128::from_be_bytes(random_bytes::<16>()?));
        let secret = if new.person.is_none() { Some(new_secret()?) } else { None };
        Ok(Job { new, id, secret, present: self.clock.present(), wakes: self.wakes() })
    }
}

impl Job {
    fn run(
        self,
        transaction: &mut Transaction<'_>,
        write: impl FnOnce(&Self, &mut Transaction<'_>) -> Result<(i64, Placed), PlaceError>,
    ) -> Result<Placed, PlaceError> {
        let key = self.new.idempotency.as_ref();
        if let Some(order) = keys::recall_order(&mut transaction.db, key, self.new.person, self.present)? {
            return Ok(Placed { order, replayed: true, new_session: None, queue_waiting: None });
        }
        let (seq, placed) = write(&self, transaction)?;
        keys::keep(&mut transaction.db, key, placed.order.owner, Some(seq), &placed.order, self.present)?;
        Ok(placed)
    }

    fn place(&self, transaction: &mut Transaction<'_>) -> Result<(i64, Placed), PlaceError> {
        let plan = stock::plan(&mut transaction.db, &self.new.request)?;
        let (person, new_session) = self.person(transaction)?;
        let order = self.order(OrderState::Placed, person, &plan.lines, plan.total);
        let seq = write_order(&mut transaction.db, &order)?;
        let (ticket, waiting) = send_to_kitchen(transaction, seq, &plan, &self.wakes, self.present.now)?;
        let order = Order { ticket: Some(ticket), ..order };
        Ok((seq, Placed { order, replayed: false, new_session, queue_waiting: Some(waiting) }))
    }

    fn draft(&self, transaction: &mut Transaction<'_>) -> Result<(i64, Placed), PlaceError> {
        let (lines, total) = stock::price(&mut transaction.db, &self.new.request)?;
        if let Some(person) = self.new.person {
            count_drafts(&mut transaction.db, person)?;
        }
        let (person, new_session) = self.person(transaction)?;
        let order = self.order(OrderState::Draft, person, &lines, total);
        let seq = write_order(&mut transaction.db, &order)?;
        forget::idle_drafts(&mut transaction.db, self.present.over_by_either())?;
        Ok((seq, Placed { order, replayed: false, new_session, queue_waiting: None }))
    }

    fn order(&self, state: OrderState, owner: PersonId, lines: &[OrderLine], total: Money) -> Order {
        Order {
            id: self.id.clone(),
            table: self.new.request.table,
            state,
            version: 1,
            lines: lines.to_vec(),
            total,
            created_at: self.present.now,
            placed_at: (state == OrderState::Placed).then_some(self.present.now),
            changed_at: self.present.now,
            ticket: None,
            owner,
        }
    }

    fn person(&self, transaction: &mut Transaction<'_>) -> Result<(PersonId, Option<SessionSecret>), StoreError> {
        let secret = match (self.new.person, &self.secret) {
            (Some(person), _) => return Ok((person, None)),
            (None, Some(secret)) => secret,
            (None, None) => return Err(StoreError::Internal("a guest without a secret".to_owned())),
        };
        let person = transaction.db.step("Welcome the guest", &sessions::WELCOME_ALL, |connection| {
            let (person, changed) = sessions::welcome(connection, secret, false, self.present)?;
            Ok((person, Touched::Changed(changed)))
        })?;
        Ok((person, Some(secret.clone())))
    }
}

fn count_drafts(db: &mut Db<'_>, person: PersonId) -> Result<(), PlaceError> {
    let drafts: i64 = db.step("Count the person's drafts", &[COUNT_DRAFTS], |connection| {
        let count = connection.prepare_cached(COUNT_DRAFTS)?.query_row([person.0], |row| row.get(0))?;
        Ok((count, Touched::Returned(1)))
    })?;
    db.rule(
        "Is there room for another draft?",
        || if drafts < DRAFTS_MAX as i64 { Ok(()) } else { Err(PlaceError::TooManyDrafts) },
        |()| format!("{drafts} of {DRAFTS_MAX}"),
    )
}

fn write_order(db: &mut Db<'_>, order: &Order) -> Result<i64, StoreError> {
    let statements = [INSERT_ORDER, INSERT_LINE, life::NOTE];
    let statements = if order.placed_at.is_some() { &statements[..] } else { &statements[..2] };
    db.step("Write the order", statements, |connection| {
        let seq = connection.prepare_cached(INSERT_ORDER)?.insert(params![
            order.id.as_str(),
            order.owner.0,
            order.table,
            order.state.id(),
            order.total.cents(),
            millis(order.created_at),
            order.placed_at.map(millis),
        ])?;
        let mut changed = 1 + write_lines(connection, seq, &order.lines)?;
        if let Some(at) = order.placed_at {
            changed += life::note(connection, seq, Action::Place, Some(order.owner), at)?;
        }
        Ok((seq, Touched::Changed(changed)))
    })
}

/// Returns how many there are.
pub(super) fn write_lines(connection: &Connection, seq: i64, lines: &[OrderLine]) -> rusqlite::Result<usize> {
    let mut insert = connection.prepare_cached(INSERT_LINE)?;
    for (number, line) in (1_i64..).zip(lines) {
        insert.execute(params![
            seq,
            number,
            line.menu_item_id,
            line.name,
            line.quantity,
            line.unit_price.cents(),
            line.line_total.cents(),
        ])?;
    }
    Ok(lines.len())
}

/// What it means that an order is placed: its stock is taken, its ticket queued, the sale booked.
/// Returns the ticket and the length of the queue.
pub(super) fn send_to_kitchen(
    transaction: &mut Transaction<'_>,
    seq: i64,
    plan: &Plan,
    wakes: &Wakes,
    now: OffsetDateTime,
) -> Result<(Ticket, i64), StoreError> {
    stock::take(transaction, &plan.takes, wakes, now)?;
    let queued = queue_ticket(&mut transaction.db, seq, now)?;
    wakes.tickets(transaction);
    booking::book(&mut transaction.db, Kind::Sale, Cause::Order(seq), plan.total, now)?;
    Ok(queued)
}

fn queue_ticket(db: &mut Db<'_>, seq: i64, now: OffsetDateTime) -> Result<(Ticket, i64), StoreError> {
    db.step("Queue the ticket", &[INSERT_TICKET, LENGTHEN_QUEUE], |connection| {
        let state = TicketState::Waiting;
        let id = connection.prepare_cached(INSERT_TICKET)?.insert(params![seq, state.id(), millis(now)])?;
        let waiting = connection.prepare_cached(LENGTHEN_QUEUE)?.query_row([], |row| row.get(0))?;
        Ok(((Ticket { id, state }, waiting), Touched::Changed(2)))
    })
}
