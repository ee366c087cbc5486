//! The transaction of an order: read the facts, apply the rule, write what follows. All or nothing.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, ToSql, params};
use time::OffsetDateTime;

use super::super::cache::{Availability, Invalidation};
use super::super::engine::{JobError, Touched, Transaction};
use super::super::rows::{millis, money};
use super::super::{StoreError, new_secret};
use super::booking::{self, Cause};
use super::bus::{Bus, Topic};
use super::{Bistro, availability, orders, purchase, sessions};
use crate::domain::ledger::Kind;
use crate::domain::menu::MenuItemId;
use crate::domain::order::{Order, OrderId, OrderRequest, OrderState, Placed, Ticket, TicketState};
use crate::domain::order_rule::{self, DishFact, Facts, PantryFact, Plan, Refusal};
use crate::domain::pantry::{PantryItemId, Take};
use crate::domain::session::{PersonId, SessionSecret};
use crate::observe::hop::Hop;
use crate::observe::span::Span;
use crate::web::secret::random_bytes;

/// How long a key is remembered.
const KEY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

const FIND_KEY: &str = "SELECT fingerprint, order_seq FROM idempotency_key \
                        WHERE person_id = ?1 AND route = ?2 AND key = ?3 AND created_at_ms > ?4";
/// The key of a guest whose first answer was lost, and the cookie with it: known by key and request together.
const FIND_STRANGERS_KEY: &str = "SELECT fingerprint, order_seq FROM idempotency_key \
                                  JOIN person ON person.id = person_id AND person.role = 'guest' \
                                  WHERE route = ?2 AND key = ?3 AND fingerprint = ?1 \
                                  AND idempotency_key.created_at_ms > ?4";
const WAITING: &str = "SELECT waiting FROM kitchen WHERE only_row = 1";
pub(super) const DISH: &str = "SELECT name, price_cents FROM menu_item WHERE id = ?1";
pub(super) const RECIPE: &str = "SELECT pantry_item_id, quantity, stock FROM recipe_line \
                      JOIN pantry_item ON pantry_item.id = pantry_item_id WHERE menu_item_id = ?1";
const TAKE: &str = "UPDATE pantry_item SET used = used + ?2 WHERE id = ?1 RETURNING portion_max, reorder_at";
const INSERT_ORDER: &str = "INSERT INTO orders (id, person_id, table_number, state, total_cents, \
                            created_at_ms, placed_at_ms, changed_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6)";
const INSERT_LINE: &str = "INSERT INTO order_line (order_seq, line, menu_item_id, name, quantity, \
                           unit_price_cents, line_total_cents) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const INSERT_TICKET: &str = "INSERT INTO ticket (order_seq, state, queued_at_ms, due_at_ms) VALUES (?1, ?2, ?3, ?3)";
const LENGTHEN_QUEUE: &str = "UPDATE kitchen SET waiting = waiting + 1 WHERE only_row = 1 RETURNING waiting";
const INSERT_KEY: &str = "INSERT OR REPLACE INTO idempotency_key \
                          (person_id, route, key, fingerprint, order_seq, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const DELETE_OLD_KEYS: &str = "DELETE FROM idempotency_key WHERE (person_id, route, key) IN \
                               (SELECT person_id, route, key FROM idempotency_key WHERE created_at_ms <= ?1 LIMIT 32)";

/// Says that a request is the one of before, should it come again. Counts per person and route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    pub route: &'static str,
    pub key: String,
    /// SHA-256 of what was asked for.
    pub fingerprint: [u8; 32],
}

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
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobError for PlaceError {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            PlaceError::Store(error) => Some(error),
            PlaceError::Refused(_) | PlaceError::IdempotencyConflict => None,
        }
    }
}

/// What is known of an order before the writer's turn.
struct Job {
    new: NewOrder,
    id: OrderId,
    /// For a guest without a session.
    secret: Option<SessionSecret>,
    now: OffsetDateTime,
    invalidation: Invalidation,
    bus: Bus,
}

impl Bistro {
    /// Places an order, or finds the one that the same idempotency key has placed.
    pub async fn place_order(&self, span: &Span, new: NewOrder) -> Result<Placed, PlaceError> {
        let draw = span.child(Hop::Data, "Draw an id");
        let id = OrderId::from_bits(u128::from_be_bytes(random_bytes::<16>().map_err(StoreError::from)?));
        let secret = if new.person.is_none() { Some(new_secret()?) } else { None };
        draw.end();
        let job = Job { new, id, secret, now: self.clock.now(), invalidation: self.invalidation(), bus: self.bus() };
        self.engine.write(span, "Commit the order", move |transaction| job.run(transaction)).await
    }
}

impl Job {
    fn run(self, transaction: &mut Transaction<'_>) -> Result<Placed, PlaceError> {
        if let Some(placed) = self.replay(transaction)? {
            return Ok(placed);
        }
        let request = &self.new.request;
        let facts = transaction
            .db
            .step("Read the dishes and the pantry", &[DISH, RECIPE], |connection| facts(connection, request))?;
        let price = || order_rule::price(request, &facts);
        let (lines, total) =
            transaction.db.rule("Price the dishes", price, |(lines, total)| order_rule::sum_in_words(lines, *total))?;
        let take = || order_rule::take_stock(request, &facts);
        let takes = transaction.db.rule("Check the stock through the recipes", take, |takes| scarcest(takes))?;
        let plan = Plan { lines, total, takes };

        let (person, new_session) = self.person(transaction)?;
        let taken = transaction.db.step("Take stock from the pantry", &[TAKE, availability::ENDS], |connection| {
            take_stock(connection, &plan.takes)
        })?;
        self.follow(transaction, taken)?;
        let seq = self.write_order(transaction, person, &plan)?;
        let (ticket, queue_waiting) = self.queue_ticket(transaction, seq)?;
        let bus = self.bus.clone();
        transaction.after_commit(move || bus.fire(Topic::Tickets));
        booking::book(&mut transaction.db, Kind::Sale, Cause::Order(seq), plan.total, self.now)?;
        let order = Order {
            id: self.id,
            table: request.table,
            state: OrderState::Placed,
            version: 1,
            lines: plan.lines,
            total: plan.total,
            created_at: self.now,
            placed_at: Some(self.now),
            changed_at: self.now,
            ticket: Some(ticket),
            owner: person,
        };
        Ok(Placed { order, replayed: false, new_session, queue_waiting })
    }

    /// What follows from what was taken: caches hear of what ran out, and more is bought of what runs low.
    fn follow(&self, transaction: &mut Transaction<'_>, taken: Taken) -> Result<(), StoreError> {
        if !taken.ended.is_empty() {
            let (invalidation, bus) = (self.invalidation.clone(), self.bus.clone());
            transaction.after_commit(move || {
                invalidation.changed(&taken.ended);
                bus.fire(Topic::Menu);
            });
        }
        if !taken.low.is_empty() && purchase::want(&mut transaction.db, &taken.low, self.now)? {
            let bus = self.bus.clone();
            transaction.after_commit(move || bus.fire(Topic::Purchases));
        }
        Ok(())
    }

    /// The order that this key has placed before. A stranger's repeats find it too, but not its session:
    /// a key may be guessed. Looked up under the writer's lock: two requests with
    /// one key at once are one order.
    fn replay(&self, transaction: &mut Transaction<'_>) -> Result<Option<Placed>, PlaceError> {
        let Some(idempotency) = &self.new.idempotency else { return Ok(None) };
        let since = millis(self.now - KEY_LIFETIME);
        let (statement, whose): (_, &dyn ToSql) = match &self.new.person {
            Some(person) => (FIND_KEY, &person.0),
            None => (FIND_STRANGERS_KEY, &idempotency.fingerprint),
        };
        let found = transaction.db.step("Look for the idempotency key", &[statement], |connection| {
            let mut find = connection.prepare_cached(statement)?;
            let row = params![whose, idempotency.route, idempotency.key, since];
            let found: Option<([u8; 32], i64)> =
                find.query_row(row, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            Ok((found, Touched::Returned(usize::from(found.is_some()))))
        })?;
        let Some((fingerprint, seq)) = found else { return Ok(None) };
        if fingerprint != idempotency.fingerprint {
            return Err(PlaceError::IdempotencyConflict);
        }
        let (order, queue_waiting) =
            transaction.db.step("Read the order of before", &[orders::BY_SEQ, WAITING], |connection| {
                let (mut orders, touched) = orders::select(connection, orders::BY_SEQ, [seq])?;
                let waiting = connection.prepare_cached(WAITING)?.query_row([], |row| row.get(0))?;
                Ok(((orders.pop(), waiting), touched))
            })?;
        let order = order.ok_or_else(|| StoreError::Internal("an idempotency key without its order".to_owned()))?;
        Ok(Some(Placed { order, replayed: true, new_session: None, queue_waiting }))
    }

    fn person(&self, transaction: &mut Transaction<'_>) -> Result<(PersonId, Option<SessionSecret>), StoreError> {
        let secret = match (self.new.person, &self.secret) {
            (Some(person), _) => return Ok((person, None)),
            (None, Some(secret)) => secret,
            (None, None) => return Err(StoreError::Internal("a guest without a secret".to_owned())),
        };
        let person = transaction.db.step("Welcome the guest", &sessions::WELCOME_ALL, |connection| {
            let (person, changed) = sessions::welcome(connection, secret, false, self.now)?;
            Ok((person, Touched::Changed(changed)))
        })?;
        Ok((person, Some(secret.clone())))
    }

    fn write_order(&self, transaction: &mut Transaction<'_>, person: PersonId, plan: &Plan) -> Result<i64, StoreError> {
        let key = self.new.idempotency.as_ref();
        let with_key = [INSERT_ORDER, INSERT_LINE, INSERT_KEY, DELETE_OLD_KEYS];
        let statements = if key.is_some() { &with_key[..] } else { &with_key[..2] };
        transaction.db.step("Write the order", statements, |connection| {
            let seq = connection.prepare_cached(INSERT_ORDER)?.insert(params![
                self.id.as_str(),
                person.0,
                self.new.request.table,
                OrderState::Placed.id(),
                plan.total.cents(),
                millis(self.now),
            ])?;
            let mut insert = connection.prepare_cached(INSERT_LINE)?;
            for (number, line) in (1_i64..).zip(&plan.lines) {
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
            let mut changed = 1 + plan.lines.len();
            if let Some(Idempotency { route, key, fingerprint }) = key {
                let row = params![person.0, route, key, fingerprint, seq, millis(self.now)];
                changed += connection.prepare_cached(INSERT_KEY)?.execute(row)?;
                let expired = millis(self.now - KEY_LIFETIME);
                changed += connection.prepare_cached(DELETE_OLD_KEYS)?.execute([expired])?;
            }
            Ok((seq, Touched::Changed(changed)))
        })
    }

    fn queue_ticket(&self, transaction: &mut Transaction<'_>, seq: i64) -> Result<(Ticket, i64), StoreError> {
        transaction.db.step("Queue the ticket", &[INSERT_TICKET, LENGTHEN_QUEUE], |connection| {
            let state = TicketState::Waiting;
            let id = connection.prepare_cached(INSERT_TICKET)?.insert(params![seq, state.id(), millis(self.now)])?;
            let waiting = connection.prepare_cached(LENGTHEN_QUEUE)?.query_row([], |row| row.get(0))?;
            Ok(((Ticket { id, state }, waiting), Touched::Changed(2)))
        })
    }
}

/// Each dish once, however many lines name it. What is not on the menu is left out: the rule names it.
pub(super) fn facts(connection: &Connection, request: &OrderRequest) -> rusqlite::Result<(Facts, Touched)> {
    let mut ids: Vec<MenuItemId> = request.lines.iter().map(|line| line.menu_item_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let (mut facts, mut rows) = (Facts::default(), 0);
    let mut dish = connection.prepare_cached(DISH)?;
    let mut recipe = connection.prepare_cached(RECIPE)?;
    for id in ids {
        let named = dish.query_row([id], |row| Ok((row.get(0)?, money(row, 1)?))).optional()?;
        let Some((name, price)) = named else { continue };
        let mut portions = Vec::new();
        let mut items = recipe.query([id])?;
        while let Some(row) = items.next()? {
            let (item, quantity, stock) = (row.get(0)?, row.get(1)?, row.get(2)?);
            portions.push((item, quantity));
            if facts.pantry.iter().all(|known| known.id != item) {
                facts.pantry.push(PantryFact { id: item, stock });
            }
        }
        rows += 1 + portions.len();
        facts.dishes.push(DishFact { id, name, price, recipe: portions });
    }
    Ok((facts, Touched::Returned(rows)))
}

/// What taking stock led to.
struct Taken {
    /// Dishes that can't be had any more.
    ended: Vec<Availability>,
    /// Items that fell to the point at which more is bought.
    low: Vec<PantryItemId>,
}

fn take_stock(connection: &Connection, takes: &[Take]) -> rusqlite::Result<(Taken, Touched)> {
    let mut update = connection.prepare_cached(TAKE)?;
    let mut taken = Taken { ended: Vec::new(), low: Vec::new() };
    for take in takes {
        let id = take.pantry_item_id;
        let (portion_max, reorder_at): (i64, Option<i64>) =
            update.query_row([id, take.quantity], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if take.left < portion_max {
            availability::ended(connection, id, take.left + take.quantity, take.left, &mut taken.ended)?;
        }
        if reorder_at.is_some_and(|reorder_at| take.left <= reorder_at) {
            taken.low.push(id);
        }
    }
    Ok((taken, Touched::Changed(takes.len())))
}

/// What the check found, in words.
fn scarcest(takes: &[Take]) -> String {
    let portions = |take: &Take| take.left / take.quantity.max(1);
    match takes.iter().min_by_key(|take| portions(take)) {
        Some(take) => {
            format!("{} ingredients, enough for {} such orders more", takes.len(), portions(take))
        }
        None => "no ingredients".to_owned(),
    }
}
