//! Closing the business day, and the reports of those closed.
//!
//! A day's entries may be many: nobody adds them up. The totals of the open day are kept beside the entries
//! ([`super::booking`]), and to close it is to move them.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};

use super::super::engine::{JobError, Touched, Transaction};
use super::super::rows::{millis, moment, money, parsed};
use super::super::{Present, StoreError};
use super::keys::{self, Idempotency, KeyError};
use super::{Bistro, orders};
use crate::domain::ledger::{Account, Day, DayLine, Kind};
use crate::domain::page::{Cut, Page, Position};
use crate::domain::session::PersonId;
use crate::observe::span::Span;

const OPEN: &str = "SELECT EXISTS (SELECT 1 FROM open_day_line)";
const LAST_ENTRY: &str = "SELECT coalesce(max(id), 0) FROM entry";
const OWED: &str = "SELECT balance_cents FROM account WHERE id = 'receivable'";
const INSERT_DAY: &str = "INSERT INTO business_day (last_entry, receivable_cents, closed_at_ms, person_id) \
                          VALUES (?1, ?2, ?3, ?4)";
const MOVE_LINES: &str = "INSERT INTO business_day_line (day_id, kind, account, entries, amount_cents) \
                          SELECT ?1, kind, account, entries, amount_cents FROM open_day_line";
const CLEAR: &str = "DELETE FROM open_day_line";
const DAYS: &str = "SELECT id, last_entry, closed_at_ms, receivable_cents FROM business_day WHERE id < ?1 \
                    ORDER BY id DESC LIMIT ?2";
const LINES: &str = "SELECT kind, account, entries, amount_cents, day_id FROM business_day_line \
                     WHERE day_id BETWEEN ?1 AND ?2";

/// Why a day was not closed. Nothing was changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    #[error("nothing was booked since the last day was closed")]
    Nothing,
    #[error("the idempotency key belongs to another request")]
    IdempotencyConflict,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<KeyError> for CloseError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Conflict => CloseError::IdempotencyConflict,
            KeyError::Store(error) => error.into(),
        }
    }
}

impl JobError for CloseError {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            CloseError::Store(error) => Some(error),
            CloseError::Nothing | CloseError::IdempotencyConflict => None,
        }
    }
}

impl Bistro {
    /// Ends the business day. The bool: the same idempotency key had done so before, this is its answer.
    pub async fn close_day(
        &self,
        span: &Span,
        by: PersonId,
        idempotency: Option<Idempotency>,
    ) -> Result<(Day, bool), CloseError> {
        let present = self.clock.present();
        let close = move |transaction: &mut Transaction<'_>| close(transaction, by, idempotency.as_ref(), present);
        self.engine.write(span, "Close the day", close).await
    }

    /// The reports of the days closed, newest first.
    pub async fn days(&self, span: &Span, cut: &Cut) -> Result<Page<Day>, StoreError> {
        self.engine.read(span, |db| {
            db.step("Read the days", &[DAYS, LINES], |connection| {
                let transaction = connection.unchecked_transaction()?;
                let days = days(&transaction, cut)?;
                let rows = days.items.len();
                Ok((days, Touched::Returned(rows)))
            })
        })
    }
}

fn close(
    transaction: &mut Transaction<'_>,
    by: PersonId,
    key: Option<&Idempotency>,
    present: Present,
) -> Result<(Day, bool), CloseError> {
    let now = present.now;
    if let Some(day) = keys::recall_answer(&mut transaction.db, key, by, present)? {
        return Ok((day, true));
    }
    let any = transaction.db.step("Was anything booked?", &[OPEN], |connection| {
        let any: bool = connection.prepare_cached(OPEN)?.query_row([], |row| row.get(0))?;
        Ok((any, Touched::Returned(1)))
    })?;
    if !any {
        return Err(CloseError::Nothing);
    }
    let statements = [LAST_ENTRY, OWED, INSERT_DAY, MOVE_LINES, CLEAR, LINES];
    let day = transaction.db.step("Write the day's report", &statements, |connection| {
        let last_entry = connection.prepare_cached(LAST_ENTRY)?.query_row([], |row| row.get(0))?;
        let receivable = connection.prepare_cached(OWED)?.query_row([], |row| money(row, 0))?;
        let row = params![last_entry, receivable.cents(), millis(now), by.0];
        let id = connection.prepare_cached(INSERT_DAY)?.insert(row)?;
        let mut changed = 1 + connection.prepare_cached(MOVE_LINES)?.execute([id])?;
        changed += connection.prepare_cached(CLEAR)?.execute([])?;
        let mut lines = connection.prepare_cached(LINES)?;
        let lines = lines.query_map([id, id], line)?.collect::<rusqlite::Result<_>>()?;
        Ok((Day { id, closed_at: now, last_entry, lines, receivable }, Touched::Changed(changed)))
    })?;
    keys::keep(&mut transaction.db, key, by, None, &day, present)?;
    Ok((day, false))
}

fn days(connection: &Connection, cut: &Cut) -> rusqlite::Result<Page<Day>> {
    let before = cut.after.map_or(i64::MAX, |after| after.number);
    let day = |row: &Row<'_>| {
        let (id, last_entry, closed_at) = (row.get(0)?, row.get(1)?, moment(row, 2)?);
        Ok(Day { id, last_entry, closed_at, lines: Vec::new(), receivable: money(row, 3)? })
    };
    let mut found = connection.prepare_cached(DAYS)?;
    let found = found.query_map([before, cut.limit as i64 + 1], day)?.collect::<rusqlite::Result<_>>()?;
    let mut page: Page<Day> = orders::page(found, cut.limit, |day: &Day| Position { key: 0, number: day.id });
    let (Some(newest), Some(oldest)) = (page.items.first(), page.items.last()) else { return Ok(page) };
    let mut lines = BTreeMap::<i64, Vec<DayLine>>::new();
    let mut statement = connection.prepare_cached(LINES)?;
    let mut rows = statement.query([oldest.id, newest.id])?;
    while let Some(row) = rows.next()? {
        lines.entry(row.get(4)?).or_default().push(line(row)?);
    }
    for day in &mut page.items {
        day.lines = lines.remove(&day.id).unwrap_or_default();
    }
    Ok(page)
}

fn line(row: &Row<'_>) -> rusqlite::Result<DayLine> {
    Ok(DayLine {
        kind: parsed(row, 0, Kind::from_id)?,
        account: parsed(row, 1, Account::from_id)?,
        entries: row.get(2)?,
        amount: money(row, 3)?,
    })
}
