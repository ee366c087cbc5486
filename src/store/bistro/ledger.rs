//! Reads of the ledger, and the audit of everything that must be true.

use rusqlite::{Connection, Row};

use super::super::StoreError;
use super::super::engine::{Touched, unwatched};
use super::super::rows::{moment, money, parsed};
use super::{Bistro, orders};
use crate::domain::ledger::{Account, Entry, Kind, Ledger};
use crate::domain::money::Money;
use crate::domain::order::OrderId;
use crate::domain::page::{Cut, Position};
use crate::observe::span::Span;

const BALANCES: &str = "SELECT id, balance_cents, entries FROM account ORDER BY id";
const ENTRIES: &str = "SELECT entry.id, kind, orders.id, account, amount_cents, at_ms FROM entry \
                       LEFT JOIN orders ON orders.seq = order_seq \
                       WHERE entry.id < ?1 ORDER BY entry.id DESC LIMIT ?2";

/// The invariants of the restaurant, worked out from every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    pub orders: i64,
    /// Of all ledger entries.
    pub ledger_sum: Money,
    pub stock_min: i64,
    /// What is not as it must be, in words; empty when all is well.
    pub wrong: Vec<String>,
}

/// Each finds the number of rows that break a rule, in one pass over its tables.
const RULES: [(&str, &str); 12] = [
    (
        "placed orders without a ticket",
        "SELECT count(*) FROM orders LEFT JOIN ticket ON order_seq = seq WHERE (placed_at_ms IS NULL) <> (ticket.id IS NULL)",
    ),
    (
        "orders whose state is not that of their ticket",
        "SELECT count(*) FROM orders JOIN ticket ON order_seq = seq WHERE ticket.state <> CASE orders.state \
         WHEN 'placed' THEN iif(ticket.state = 'dead', 'dead', 'waiting') WHEN 'cooking' THEN 'cooking' \
         WHEN 'cancelled' THEN 'cancelled' ELSE 'done' END",
    ),
    (
        "orders whose lines don't add up",
        "SELECT count(*) FROM orders LEFT JOIN (SELECT order_seq, sum(line_total_cents) AS sum FROM order_line \
         GROUP BY order_seq) ON order_seq = seq WHERE total_cents <> coalesce(sum, 0)",
    ),
    (
        "lines that are not price times quantity",
        "SELECT count(*) FROM order_line WHERE line_total_cents <> quantity * unit_price_cents",
    ),
    (
        "transactions that do not sum to zero",
        "SELECT count(*) FROM (SELECT 1 FROM entry GROUP BY kind, order_seq, purchase_id \
         HAVING sum(amount_cents) <> 0 OR count(*) <> 2)",
    ),
    (
        "orders that are not booked as their state says",
        "SELECT count(*) FROM orders LEFT JOIN (SELECT order_seq, \
         total(CASE WHEN kind = 'sale' AND account = 'sales' THEN -amount_cents END) AS sale, \
         total(CASE WHEN kind = 'cancellation' AND account = 'sales' THEN amount_cents END) AS cancelled, \
         total(CASE WHEN kind = 'payment' AND account = 'cash' THEN amount_cents END) AS paid, \
         total(CASE WHEN kind = 'refund' AND account = 'cash' THEN -amount_cents END) AS refunded \
         FROM entry WHERE order_seq IS NOT NULL GROUP BY order_seq) ON order_seq = seq \
         WHERE coalesce(sale, 0) <> iif(placed_at_ms IS NULL, 0, total_cents) \
         OR coalesce(cancelled, 0) <> iif(state = 'cancelled' AND placed_at_ms IS NOT NULL, total_cents, 0) \
         OR coalesce(paid, 0) <> iif(state IN ('paid', 'refunded'), total_cents, 0) \
         OR coalesce(refunded, 0) <> iif(state = 'refunded', total_cents, 0)",
    ),
    (
        "accounts whose balance is not that of their entries",
        "SELECT count(*) FROM account LEFT JOIN (SELECT account, sum(amount_cents) AS sum, count(*) AS count \
         FROM entry GROUP BY account) AS booked ON booked.account = account.id \
         WHERE balance_cents <> coalesce(sum, 0) OR entries <> coalesce(count, 0)",
    ),
    (
        "queues whose lengths are not those of their tickets",
        "SELECT count(*) FROM kitchen WHERE waiting <> (SELECT count(*) FROM ticket WHERE state = 'waiting') \
         OR cooking <> (SELECT count(*) FROM ticket WHERE state = 'cooking') \
         OR dead <> (SELECT count(*) FROM ticket WHERE state = 'dead')",
    ),
    ("pantry items below zero", "SELECT count(*) FROM pantry_item WHERE stock < 0"),
    (
        "pantry items whose use is not that of the orders",
        "SELECT count(*) FROM pantry_item LEFT JOIN (SELECT pantry_item_id, \
         sum(recipe_line.quantity * dishes.quantity) AS sum FROM recipe_line JOIN (SELECT menu_item_id, \
         sum(order_line.quantity) AS quantity FROM order_line JOIN orders ON seq = order_seq \
         WHERE state NOT IN ('draft', 'cancelled') GROUP BY menu_item_id) AS dishes USING (menu_item_id) \
         GROUP BY pantry_item_id) AS taken ON taken.pantry_item_id = pantry_item.id WHERE used <> coalesce(sum, 0)",
    ),
    (
        "pantry items whose deliveries are not those of the purchases",
        "SELECT count(*) FROM pantry_item LEFT JOIN (SELECT pantry_item_id, sum(quantity) AS sum FROM purchase \
         WHERE state = 'delivered' GROUP BY pantry_item_id) AS bought ON bought.pantry_item_id = pantry_item.id \
         WHERE delivered <> coalesce(sum, 0)",
    ),
    (
        "business days whose report is not that of their entries",
        "SELECT count(*) FROM business_day AS day WHERE \
         (SELECT coalesce(sum(entries), 0) FROM business_day_line WHERE day_id = day.id) <> (SELECT count(*) FROM entry \
         WHERE id <= day.last_entry AND id > coalesce((SELECT max(last_entry) FROM business_day WHERE id < day.id), 0)) \
         OR (SELECT coalesce(sum(amount_cents), 0) FROM business_day_line WHERE day_id = day.id) <> 0",
    ),
];

impl Bistro {
    /// Balances and a page of the entries, newest first, of one moment.
    pub async fn ledger(&self, span: &Span, cut: &Cut) -> Result<Ledger, StoreError> {
        self.engine.read(span, |db| {
            db.step("Read the ledger", &[BALANCES, ENTRIES], |connection| {
                // One read transaction: without it an order could slip in between the two.
                let transaction = connection.unchecked_transaction()?;
                let ledger = ledger(&transaction, cut)?;
                transaction.commit()?;
                let rows = ledger.entries.items.len() + ledger.balances.len();
                Ok((ledger, Touched::Returned(rows)))
            })
        })
    }

    /// Checks every invariant against every row. Slow by nature: for tests and drills.
    pub async fn audit(&self) -> Result<Audit, StoreError> {
        self.engine.read(&unwatched("Audit"), |db| {
            db.step("Audit", &[], |connection| {
                let transaction = connection.unchecked_transaction()?;
                Ok((audit(&transaction)?, Touched::Returned(1)))
            })
        })
    }
}

fn ledger(connection: &Connection, cut: &Cut) -> rusqlite::Result<Ledger> {
    let account = |row: &Row<'_>| Ok((parsed(row, 0, Account::from_id)?, money(row, 1)?, row.get::<_, i64>(2)?));
    let accounts: Vec<_> =
        connection.prepare_cached(BALANCES)?.query_map([], account)?.collect::<rusqlite::Result<_>>()?;
    let entry = |row: &Row<'_>| {
        Ok(Entry {
            id: row.get(0)?,
            kind: parsed(row, 1, Kind::from_id)?,
            order_id: row.get::<_, Option<String>>(2)?.map(|_| parsed(row, 2, OrderId::parse)).transpose()?,
            account: parsed(row, 3, Account::from_id)?,
            amount: money(row, 4)?,
            at: moment(row, 5)?,
        })
    };
    let before = cut.after.map_or(i64::MAX, |after| after.number);
    let mut entries = connection.prepare_cached(ENTRIES)?;
    // One more than asked for tells whether there is a next page.
    let entries = entries.query_map([before, cut.limit as i64 + 1], entry)?.collect::<rusqlite::Result<_>>()?;
    Ok(Ledger {
        entries: orders::page(entries, cut.limit, |entry| Position { key: 0, number: entry.id }),
        count: accounts.iter().map(|(_, _, count)| count).sum(),
        sum: accounts.iter().map(|(_, balance, _)| *balance).sum(),
        balances: accounts.into_iter().map(|(account, balance, _)| (account, balance)).collect(),
    })
}

fn audit(connection: &Connection) -> rusqlite::Result<Audit> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let mut wrong = Vec::new();
    for (what, sql) in RULES {
        match number(sql)? {
            0 => {}
            count => wrong.push(format!("{count} {what}")),
        }
    }
    Ok(Audit {
        orders: number("SELECT count(*) FROM orders")?,
        ledger_sum: Money::from_cents(number("SELECT coalesce(sum(amount_cents), 0) FROM entry")?),
        stock_min: number("SELECT min(stock) FROM pantry_item")?,
        wrong,
    })
}
