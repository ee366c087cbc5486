//! What is bought for the pantry. A purchase is written with the order that made it necessary, held under a lease
//! while the supplier is asked, and ended once: delivered, or refused.

use std::convert::Infallible;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use time::OffsetDateTime;

use super::super::StoreError;
use super::super::cache::Availability;
use super::super::engine::{Db, Touched, Transaction, unwatched};
use super::super::rows::{horizon, millis, moment, money};
use super::booking::{self, Cause};
use super::stock::{DISHES, RECIPES, facts};
use super::{Bistro, availability};
use crate::domain::ledger::Kind;
use crate::domain::order::{LineRequest, OrderRequest};
use crate::domain::order_rule::DishFact;
use crate::domain::pantry::{
    Delivered, Delivery, OpenPurchase, PantryItem, PantryItemId, PurchaseClaim, Quantity, Shortage,
};
use crate::observe::span::Span;

/// As much as fills it up, or as is `?2`: needed now. Nothing while a purchase of it is open, or when nobody sells it.
const MISSING: &str = "SELECT max(initial, ?2) - stock FROM pantry_item WHERE id = ?1 AND reorder_at IS NOT NULL \
                       AND stock < max(initial, ?2) AND NOT EXISTS \
                       (SELECT 1 FROM purchase WHERE pantry_item_id = ?1 AND state IN ('wanted', 'asking'))";
/// One row of values: after an INSERT of many rows SQLite looks through the whole ledger for entries that wait for
/// this purchase (sqlite.org/foreignkeys.html, section 4.2).
const WANT: &str = "INSERT INTO purchase (key, pantry_item_id, quantity, state, wanted_at_ms, due_at_ms) \
                    VALUES (lower(hex(randomblob(16))), ?1, ?2, 'wanted', ?3, ?3)";
const DUE: &str = "SELECT id FROM purchase WHERE state = 'wanted' AND due_at_ms <= ?1 ORDER BY due_at_ms, id LIMIT 1";
const LAPSED: &str =
    "SELECT id FROM purchase WHERE state = 'asking' AND lease_until_ms <= ?1 ORDER BY lease_until_ms LIMIT 1";
/// Beyond the horizon: the clock was set back, and they would wait for as long.
const DUE_ASTRAY: &str =
    "SELECT id FROM purchase WHERE state = 'wanted' AND due_at_ms > ?1 ORDER BY due_at_ms, id LIMIT 1";
const LAPSED_ASTRAY: &str =
    "SELECT id FROM purchase WHERE state = 'asking' AND lease_until_ms > ?1 ORDER BY lease_until_ms LIMIT 1";
const NEXT_DUE: &str = "SELECT min(due_at_ms) FROM purchase WHERE state = 'wanted'";
const NEXT_LAPSE: &str = "SELECT min(lease_until_ms) FROM purchase WHERE state = 'asking'";
const CLAIM: &str = "UPDATE purchase SET state = 'asking', attempts = attempts + 1, lease = lease + 1, lease_until_ms = ?2 \
                     WHERE id = ?1 RETURNING lease, key, quantity, attempts, \
                     (SELECT name FROM pantry_item WHERE id = pantry_item_id)";
const OPEN: &str = "SELECT id, coalesce(lease_until_ms > ?2 AND lease_until_ms <= ?3, 0) FROM purchase \
                    WHERE pantry_item_id = ?1 AND state IN ('wanted', 'asking')";
const STOCK: &str = "SELECT name, stock, reorder_at IS NOT NULL FROM pantry_item WHERE id = ?1";
/// Held by whoever reports. The key too: after a restore purchases and leases are numbered again from the backup's
/// on, and a claim of before must not fit another purchase.
macro_rules! held {
    ($set:literal) => {
        concat!(
            "UPDATE purchase SET lease_until_ms = NULL, ",
            $set,
            " WHERE id = ?1 AND lease = ?2 AND key = ?3 AND state = 'asking' RETURNING pantry_item_id, quantity"
        )
    };
}
const END_DELIVERED: &str =
    held!("state = 'delivered', last_error = NULL, delivery = ?4, cost_cents = ?5, ended_at_ms = ?6");
const PUT_BACK: &str = held!("state = 'wanted', last_error = ?4, due_at_ms = ?5");
const END_REFUSED: &str = held!("state = 'refused', last_error = ?4, ended_at_ms = ?5");
const PUT_IN: &str = "UPDATE pantry_item SET delivered = delivered + ?2 WHERE id = ?1 RETURNING stock, reorder_at";
const NOT_SOLD: &str = "UPDATE pantry_item SET reorder_at = NULL WHERE id = ?1";
const PANTRY: &str = "SELECT item.id, name, unit, initial, stock, reorder_at, \
                      open.quantity, open.state = 'asking', open.attempts, open.wanted_at_ms, open.due_at_ms, open.last_error, \
                      last.quantity, last.cost_cents, last.ended_at_ms FROM pantry_item AS item \
                      LEFT JOIN purchase AS open ON open.pantry_item_id = item.id AND open.state IN ('wanted', 'asking') \
                      LEFT JOIN purchase AS last ON last.id = (SELECT id FROM purchase \
                      WHERE pantry_item_id = item.id AND state = 'delivered' ORDER BY id DESC LIMIT 1) ORDER BY item.id";

/// Whether an item is being had in a hurry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Express {
    /// There is enough of it by now.
    Enough,
    Claimed(PurchaseClaim),
    /// Somebody else asks the supplier for it already.
    Asked,
    /// Nobody sells it.
    NotSold,
}

/// Notes that more of `items` is to be bought, in the transaction of whoever calls, unless it is noted already.
/// Whether anything was new.
pub fn want(db: &mut Db<'_>, items: &[PantryItemId], now: OffsetDateTime) -> Result<bool, StoreError> {
    let wanted = db.step("Note what to buy", &[MISSING, WANT], |connection| {
        let mut wanted = 0;
        for item in items {
            wanted += want_one(connection, *item, 0, now)?;
        }
        Ok((wanted, Touched::Changed(wanted)))
    })?;
    // The order has what it needs and waits for nobody: the trace says so.
    let fact = |_: &()| match wanted {
        0 => "accepted; a purchase of it is under way already".to_owned(),
        1 => "accepted; 1 item is delivered later".to_owned(),
        items => format!("accepted; {items} items are delivered later"),
    };
    let Ok(()) = db.rule("Accept now, deliver later", || Ok::<_, Infallible>(()), fact);
    Ok(wanted > 0)
}

/// How many purchases were noted: one or none.
fn want_one(
    connection: &Connection,
    item: PantryItemId,
    needed: Quantity,
    now: OffsetDateTime,
) -> rusqlite::Result<usize> {
    let missing = connection.prepare_cached(MISSING)?.query_row([item, needed], |row| row.get::<_, Quantity>(0));
    match missing.optional()? {
        Some(quantity) => connection.prepare_cached(WANT)?.execute(params![item, quantity, millis(now)]),
        None => Ok(0),
    }
}

impl Bistro {
    /// The purchase that is due for longest, or whose holder lost its lease, held by the caller from now on.
    /// `longest`: for no longer a purchase is put back.
    pub async fn claim_purchase(
        &self,
        span: &Span,
        lease: Duration,
        longest: Duration,
    ) -> Result<Option<PurchaseClaim>, StoreError> {
        let now = self.now();
        let looks = [
            (DUE_ASTRAY, horizon(now, longest)),
            (DUE, millis(now)),
            (LAPSED, millis(now)),
            (LAPSED_ASTRAY, horizon(now, lease)),
        ];
        self.engine
            .write(span, "Claim a purchase", move |transaction| {
                let statements = [DUE_ASTRAY, DUE, LAPSED, LAPSED_ASTRAY, CLAIM];
                transaction.db.step("Claim a purchase", &statements, |connection| {
                    let mut id: Option<i64> = None;
                    for (statement, at) in looks {
                        if id.is_none() {
                            id = connection.prepare_cached(statement)?.query_row([at], |row| row.get(0)).optional()?;
                        }
                    }
                    let claim = id.map(|id| claim(connection, id, now + lease)).transpose()?;
                    let changed = usize::from(claim.is_some());
                    Ok((claim, Touched::Changed(changed)))
                })
            })
            .await
    }

    /// Holds the purchase of an item of which `needed` is needed at once, whether or not it is due.
    pub async fn claim_express(
        &self,
        span: &Span,
        item: PantryItemId,
        needed: Quantity,
        lease: Duration,
    ) -> Result<Express, StoreError> {
        let now = self.now();
        self.engine
            .write(span, "Claim an express purchase", move |transaction| {
                transaction.db.step("Claim an express purchase", &[STOCK, OPEN, MISSING, WANT, CLAIM], |connection| {
                    let express = express(connection, item, needed, now, lease)?;
                    let changed = usize::from(matches!(express, Express::Claimed(_)));
                    Ok((express, Touched::Changed(changed)))
                })
            })
            .await
    }

    /// When a purchase is due next; None when nothing is to be bought.
    /// `lease` and `longest` are those of [`Bistro::claim_purchase`].
    pub async fn next_purchase(
        &self,
        lease: Duration,
        longest: Duration,
    ) -> Result<Option<OffsetDateTime>, StoreError> {
        let now = self.now();
        self.engine.read(&unwatched("Look for purchases"), |db| {
            let statements = [DUE_ASTRAY, LAPSED_ASTRAY, NEXT_DUE, NEXT_LAPSE];
            db.step("Look for purchases", &statements, |connection| {
                for (statement, longest) in [(DUE_ASTRAY, longest), (LAPSED_ASTRAY, lease)] {
                    if connection.prepare_cached(statement)?.exists([horizon(now, longest)])? {
                        return Ok((Some(now), Touched::Returned(1)));
                    }
                }
                let first = |sql| -> rusqlite::Result<Option<OffsetDateTime>> {
                    connection
                        .prepare_cached(sql)?
                        .query_row([], |row| row.get::<_, Option<i64>>(0)?.map(|_| moment(row, 0)).transpose())
                };
                let next = [first(NEXT_DUE)?, first(NEXT_LAPSE)?].into_iter().flatten().min();
                Ok((next, Touched::Returned(1)))
            })
        })
    }

    /// It came: into the pantry and into the books, once, whoever reports it. False when another had the lease.
    pub async fn deliver_purchase(
        &self,
        span: &Span,
        claim: &PurchaseClaim,
        delivered: Delivered,
    ) -> Result<bool, StoreError> {
        let (claim, now, wakes) = (claim.clone(), self.now(), self.wakes());
        self.engine
            .write(span, "Take the delivery in", move |transaction| {
                let Some(back) = put_in(transaction, &claim, &delivered, now)? else { return Ok(false) };
                booking::book(&mut transaction.db, Kind::Delivery, Cause::Purchase(claim.id), delivered.cost, now)?;
                wakes.menu(transaction, back);
                wakes.purchases(transaction);
                Ok(true)
            })
            .await
    }

    /// It did not come: asked for again after `wait`.
    pub async fn put_back_purchase(
        &self,
        span: &Span,
        claim: &PurchaseClaim,
        why: String,
        wait: Duration,
    ) -> Result<bool, StoreError> {
        let (claim, due, wakes) = (claim.clone(), self.now() + wait, self.wakes());
        self.engine
            .write(span, "Put the purchase back", move |transaction| {
                let back = transaction.db.step("Put the purchase back", &[PUT_BACK], |connection| {
                    let row = params![claim.id, claim.lease, claim.key, why, millis(due)];
                    let back = connection.prepare_cached(PUT_BACK)?.query_row(row, |_| Ok(())).optional()?.is_some();
                    Ok((back, Touched::Changed(usize::from(back))))
                })?;
                wakes.purchases(transaction);
                Ok(back)
            })
            .await
    }

    /// It never comes. Not `sold`: the supplier does not have such a thing, so it is not wanted again.
    pub async fn refuse_purchase(
        &self,
        span: &Span,
        claim: &PurchaseClaim,
        why: String,
        sold: bool,
    ) -> Result<bool, StoreError> {
        let (claim, now, wakes) = (claim.clone(), self.now(), self.wakes());
        self.engine
            .write(span, "End the purchase", move |transaction| {
                let ended = transaction.db.step("End the purchase", &[END_REFUSED, NOT_SOLD], |connection| {
                    let mut end = connection.prepare_cached(END_REFUSED)?;
                    let row = params![claim.id, claim.lease, claim.key, why, millis(now)];
                    let item: Option<PantryItemId> = end.query_row(row, |row| row.get(0)).optional()?;
                    if let Some(item) = item.filter(|_| !sold) {
                        connection.prepare_cached(NOT_SOLD)?.execute([item])?;
                    }
                    Ok((item.is_some(), Touched::Changed(usize::from(item.is_some()))))
                })?;
                wakes.purchases(transaction);
                Ok(ended)
            })
            .await
    }

    /// Everything in the pantry, and what is on its way.
    pub async fn pantry(&self, span: &Span) -> Result<Vec<PantryItem>, StoreError> {
        self.engine.read(span, |db| {
            db.step("Read the pantry", &[PANTRY], |connection| {
                let mut pantry = connection.prepare_cached(PANTRY)?;
                let items: Vec<_> = pantry.query_map([], pantry_item)?.collect::<rusqlite::Result<_>>()?;
                let rows = items.len();
                Ok((items, Touched::Returned(rows)))
            })
        })
    }

    /// What an order needs more of than there is, in the order of its lines.
    pub async fn shortages(&self, span: &Span, request: &OrderRequest) -> Result<Vec<Shortage>, StoreError> {
        self.engine.read(span, |db| {
            db.step("Find what is short", &[DISHES, RECIPES, STOCK], |connection| {
                let (facts, _) = facts(connection, request)?;
                let mut short = Vec::new();
                for item in &facts.pantry {
                    let needed = needed(request, &facts.dishes, item.id);
                    if needed > item.stock {
                        let mut stock = connection.prepare_cached(STOCK)?;
                        let (name, sold) = stock.query_row([item.id], |row| Ok((row.get(0)?, row.get(2)?)))?;
                        short.push(Shortage { id: item.id, name, needed, sold });
                    }
                }
                let rows = short.len();
                Ok((short, Touched::Returned(rows)))
            })
        })
    }
}

fn needed(request: &OrderRequest, dishes: &[DishFact], item: PantryItemId) -> Quantity {
    let of_dish = |id| dishes.iter().filter(move |dish| dish.id == id).flat_map(|dish| &dish.recipe);
    let of_line = |line: &LineRequest| -> Quantity {
        let portion: Quantity =
            of_dish(line.menu_item_id).filter(|(id, _)| *id == item).map(|(_, portion)| portion).sum();
        portion.saturating_mul(line.quantity.into())
    };
    request.lines.iter().map(of_line).fold(0, Quantity::saturating_add)
}

fn claim(connection: &Connection, id: i64, until: OffsetDateTime) -> rusqlite::Result<PurchaseClaim> {
    connection.prepare_cached(CLAIM)?.query_row(params![id, millis(until)], |row| {
        Ok(PurchaseClaim {
            id,
            lease: row.get(0)?,
            key: row.get(1)?,
            quantity: row.get(2)?,
            attempts: row.get(3)?,
            item: row.get(4)?,
        })
    })
}

fn express(
    connection: &Connection,
    item: PantryItemId,
    needed: Quantity,
    now: OffsetDateTime,
    lease: Duration,
) -> rusqlite::Result<Express> {
    let mut stock = connection.prepare_cached(STOCK)?;
    let stock: Option<(Quantity, bool)> = stock.query_row([item], |row| Ok((row.get(1)?, row.get(2)?))).optional()?;
    match stock {
        Some((stock, _)) if stock >= needed => return Ok(Express::Enough),
        Some((_, true)) => {}
        Some((_, false)) | None => return Ok(Express::NotSold),
    }
    want_one(connection, item, needed, now)?;
    let mut open = connection.prepare_cached(OPEN)?;
    let row = params![item, millis(now), horizon(now, lease)];
    let (id, held) = open.query_row(row, |row| Ok((row.get(0)?, row.get::<_, bool>(1)?)))?;
    if held { Ok(Express::Asked) } else { claim(connection, id, now + lease).map(Express::Claimed) }
}

/// The dishes that can be had again; None when the lease was another's.
fn put_in(
    transaction: &mut Transaction<'_>,
    claim: &PurchaseClaim,
    delivered: &Delivered,
    now: OffsetDateTime,
) -> Result<Option<Vec<Availability>>, StoreError> {
    let statements = [END_DELIVERED, PUT_IN, MISSING, WANT, availability::COMES_BACK];
    transaction.db.step("Put it into the pantry", &statements, |connection| {
        let mut end = connection.prepare_cached(END_DELIVERED)?;
        let (delivery, cost) = (&delivered.delivery, delivered.cost.cents());
        let row = params![claim.id, claim.lease, claim.key, delivery, cost, millis(now)];
        let ended: Option<(PantryItemId, Quantity)> =
            end.query_row(row, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((item, quantity)) = ended else { return Ok((None, Touched::Changed(0))) };
        let mut put_in = connection.prepare_cached(PUT_IN)?;
        let (stock, reorder_at): (Quantity, Option<Quantity>) =
            put_in.query_row([item, quantity], |row| Ok((row.get(0)?, row.get(1)?)))?;
        // Orders went on while it was on its way, and noted nothing as long as it was open.
        let mut changed = 2;
        if reorder_at.is_some_and(|reorder_at| stock <= reorder_at) {
            changed += want_one(connection, item, 0, now)?;
        }
        let mut back = Vec::new();
        availability::came_back(connection, item, stock - quantity, stock, &mut back)?;
        Ok((Some(back), Touched::Changed(changed)))
    })
}

fn pantry_item(row: &Row<'_>) -> rusqlite::Result<PantryItem> {
    let open = row.get::<_, Option<Quantity>>(6)?.map(|quantity| {
        Ok::<_, rusqlite::Error>(OpenPurchase {
            quantity,
            asking: row.get(7)?,
            attempts: row.get(8)?,
            wanted_at: moment(row, 9)?,
            due_at: moment(row, 10)?,
            last_error: row.get(11)?,
        })
    });
    let last = row
        .get::<_, Option<Quantity>>(12)?
        .map(|quantity| Ok::<_, rusqlite::Error>(Delivery { quantity, cost: money(row, 13)?, at: moment(row, 14)? }));
    Ok(PantryItem {
        id: row.get(0)?,
        name: row.get(1)?,
        unit: row.get(2)?,
        initial: row.get(3)?,
        stock: row.get(4)?,
        reorder_at: row.get(5)?,
        open: open.transpose()?,
        last_delivery: last.transpose()?,
    })
}
