//! Reads of the ledger, and the audit of everything that must be true.

use rusqlite::{Connection, Row};

use super::super::StoreError;
use super::super::engine::{Touched, unwatched};
use super::super::rows::{moment, money, parsed};
use super::Bistro;
use crate::domain::ledger::{Account, Entry, Ledger};
use crate::domain::money::Money;
use crate::domain::order::OrderId;
use crate::observe::span::Span;

const BALANCES: &str = "SELECT id, balance_cents, entries FROM account ORDER BY id";
/// Entries are never deleted: the latest two hundred are a range.
const LATEST: &str = "SELECT entry.id, orders.id, account, amount_cents, at_ms FROM entry \
                      JOIN orders ON orders.seq = order_seq \
                      WHERE entry.id > (SELECT max(id) FROM entry) - 200 ORDER BY entry.id DESC";

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

/// Each finds the number of rows that break a rule.
const RULES: [(&str, &str); 8] = [
    (
        "orders without exactly one ticket",
        "SELECT count(*) FROM orders WHERE (SELECT count(*) FROM ticket WHERE order_seq = seq) <> 1",
    ),
    (
        "orders whose lines don't add up",
        "SELECT count(*) FROM orders WHERE total_cents IS NOT (SELECT sum(line_total_cents) FROM order_line WHERE order_seq = seq)",
    ),
    (
        "lines that are not price times quantity",
        "SELECT count(*) FROM order_line WHERE line_total_cents <> quantity * unit_price_cents",
    ),
    (
        "orders not booked on both sides",
        "SELECT count(*) FROM orders WHERE (SELECT count(*) FROM entry WHERE order_seq = seq) <> 2 OR (SELECT sum(amount_cents) FROM entry WHERE order_seq = seq) <> 0",
    ),
    (
        "accounts whose balance is not that of their entries",
        "SELECT count(*) FROM account WHERE balance_cents <> (SELECT coalesce(sum(amount_cents), 0) FROM entry WHERE account = account.id) OR entries <> (SELECT count(*) FROM entry WHERE account = account.id)",
    ),
    (
        "queues whose length is not that of their tickets",
        "SELECT count(*) FROM kitchen WHERE waiting <> (SELECT count(*) FROM ticket WHERE state = 'waiting')",
    ),
    ("pantry items below zero", "SELECT count(*) FROM pantry_item WHERE stock < 0"),
    (
        "pantry items whose use is not that of the orders",
        "SELECT count(*) FROM pantry_item WHERE used <> (SELECT coalesce(sum(recipe_line.quantity * order_line.quantity), 0) FROM order_line JOIN recipe_line USING (menu_item_id) WHERE pantry_item_id = pantry_item.id)",
    ),
];

impl Bistro {
    /// Balances and the latest entries, of one moment.
    pub async fn ledger(&self, span: &Span) -> Result<Ledger, StoreError> {
        self.engine.read(span, |db| {
            db.step("Read the ledger", &[BALANCES, LATEST], |connection| {
                // One read transaction: without it an order could slip in between the two.
                let transaction = connection.unchecked_transaction()?;
                let ledger = ledger(&transaction)?;
                transaction.commit()?;
                let rows = ledger.entries.len() + ledger.balances.len();
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

fn ledger(connection: &Connection) -> rusqlite::Result<Ledger> {
    let account = |row: &Row<'_>| Ok((parsed(row, 0, Account::from_id)?, money(row, 1)?, row.get::<_, i64>(2)?));
    let accounts: Vec<_> =
        connection.prepare_cached(BALANCES)?.query_map([], account)?.collect::<rusqlite::Result<_>>()?;
    let entry = |row: &Row<'_>| {
        Ok(Entry {
            id: row.get(0)?,
            order_id: parsed(row, 1, OrderId::parse)?,
            account: parsed(row, 2, Account::from_id)?,
            amount: money(row, 3)?,
            at: moment(row, 4)?,
        })
    };
    let entries = connection.prepare_cached(LATEST)?.query_map([], entry)?.collect::<rusqlite::Result<_>>()?;
    Ok(Ledger {
        entries,
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
