//! Reads of the ledger.

use rusqlite::{Connection, Row};

use super::super::StoreError;
use super::super::engine::Touched;
use super::super::rows::{moment, money, parsed};
use super::{Bistro, orders};
use crate::domain::ledger::{Account, Entry, Kind, Ledger};
use crate::domain::order::OrderId;
use crate::domain::page::{Cut, Position};
use crate::observe::span::Span;

const BALANCES: &str = "SELECT id, balance_cents, entries FROM account ORDER BY id";
const ENTRIES: &str = "SELECT entry.id, kind, orders.id, account, amount_cents, at_ms FROM entry \
                       LEFT JOIN orders ON orders.seq = order_seq \
                       WHERE entry.id < ?1 ORDER BY entry.id DESC LIMIT ?2";

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
