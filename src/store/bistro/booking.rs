//! The one way into the ledger: both entries of a transaction, and the balances and totals beside them.

use rusqlite::params;
use time::OffsetDateTime;

use super::super::StoreError;
use super::super::engine::{Db, Touched};
use super::super::rows::millis;
use crate::domain::ledger::Kind;
use crate::domain::money::Money;

const INSERT_ENTRY: &str = "INSERT INTO entry (kind, order_seq, purchase_id, account, amount_cents, at_ms) \
                            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const BALANCE: &str = "UPDATE account SET balance_cents = balance_cents + ?2, entries = entries + 1 WHERE id = ?1";
const TOTAL: &str = "INSERT INTO open_day_line (kind, account, entries, amount_cents) VALUES (?1, ?2, 1, ?3) \
                     ON CONFLICT DO UPDATE SET entries = entries + 1, amount_cents = amount_cents + ?3";

/// What money moves for, by the number of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Order(i64),
    Purchase(i64),
}

/// Books `amount` on the two accounts of `kind`, in the transaction of whoever calls.
pub fn book(db: &mut Db<'_>, kind: Kind, cause: Cause, amount: Money, now: OffsetDateTime) -> Result<(), StoreError> {
    let (order, purchase) = match cause {
        Cause::Order(seq) => (Some(seq), None),
        Cause::Purchase(id) => (None, Some(id)),
    };
    db.step("Book the ledger", &[INSERT_ENTRY, BALANCE, TOTAL], |connection| {
        let mut entry = connection.prepare_cached(INSERT_ENTRY)?;
        let mut balance = connection.prepare_cached(BALANCE)?;
        let mut total = connection.prepare_cached(TOTAL)?;
        let mut changed = 0;
        for (account, amount) in kind.entries(amount) {
            let row = params![kind.id(), order, purchase, account.id(), amount.cents(), millis(now)];
            changed += entry.execute(row)?;
            changed += balance.execute(params![account.id(), amount.cents()])?;
            changed += total.execute(params![kind.id(), account.id(), amount.cents()])?;
        }
        Ok(((), Touched::Changed(changed)))
    })
}
