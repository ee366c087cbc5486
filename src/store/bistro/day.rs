//! Closing the business day, and the reports of those closed.
//!
//! A day's entries may be many, and entries are never changed: they are added up by a reader, and the
//! writer only notes where the day ends, if no other day has ended meanwhile.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use time::OffsetDateTime;

use super::super::engine::{JobError, Touched, Transaction};
use super::super::rows::{millis, moment, money, parsed};
use super::super::{Cause, StoreError};
use super::keys::{self, Idempotency, KeyError};
use super::{Bistro, orders};
use crate::domain::ledger::{Account, Day, DayLine, Kind};
use crate::domain::money::Money;
use crate::domain::page::{Cut, Page, Position};
use crate::domain::session::PersonId;
use crate::observe::span::Span;

/// Two that close at once: the second adds up anew, and finds nothing more.
const ATTEMPTS_MAX: usize = 3;

const LAST_DAY: &str = "SELECT id, last_entry FROM business_day WHERE id = (SELECT max(id) FROM business_day)";
const LAST_ENTRY: &str = "SELECT max(id) FROM entry";
const ADD_UP: &str = "SELECT kind, account, count(*), sum(amount_cents) FROM entry \
                      WHERE id > ?1 AND id <= ?2 GROUP BY kind, account";
const RECEIVABLE: &str = "SELECT coalesce(sum(amount_cents), 0) FROM business_day_line \
                          WHERE day_id <= ?1 AND account = 'receivable'";
const INSERT_DAY: &str = "INSERT INTO business_day (id, last_entry, closed_at_ms, person_id) VALUES (?1, ?2, ?3, ?4)";
const INSERT_LINE: &str = "INSERT INTO business_day_line (day_id, kind, account, entries, amount_cents) \
                           VALUES (?1, ?2, ?3, ?4, ?5)";
const DAYS: &str = "SELECT id, last_entry, closed_at_ms FROM business_day WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
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

/// What the writer makes of a day that was added up.
enum Closed {
    Now(Day),
    /// The same idempotency key had closed it before.
    Before(Day),
    /// Another day was closed since it was added up.
    Overtaken,
}

impl Bistro {
    /// Ends the business day. The bool: the same idempotency key had done so before, this is its answer.
    pub async fn close_day(
        &self,
        span: &Span,
        by: PersonId,
        idempotency: Option<Idempotency>,
    ) -> Result<(Day, bool), CloseError> {
        for _ in 0..ATTEMPTS_MAX {
            let (now, key) = (self.clock.now(), idempotency.clone());
            let day = self.engine.read(span, |db| {
                db.step("Add up the day", &[LAST_DAY, LAST_ENTRY, ADD_UP, RECEIVABLE], |connection| {
                    let transaction = connection.unchecked_transaction()?;
                    let day = add_up(&transaction, now)?;
                    let rows = day.lines.len();
                    Ok((day, Touched::Returned(rows)))
                })
            })?;
            let close = move |transaction: &mut Transaction<'_>| close(transaction, day, by, key.as_ref(), now);
            match self.engine.write(span, "Close the day", close).await? {
                Closed::Now(day) => return Ok((day, false)),
                Closed::Before(day) => return Ok((day, true)),
                Closed::Overtaken => {}
            }
        }
        Err(StoreError::unavailable(Cause::Busy).into())
    }

    /// The reports of the days closed, newest first.
    pub async fn days(&self, span: &Span, cut: &Cut) -> Result<Page<Day>, StoreError> {
        self.engine.read(span, |db| {
            db.step("Read the days", &[DAYS, LINES, RECEIVABLE], |connection| {
                let transaction = connection.unchecked_transaction()?;
                let days = days(&transaction, cut)?;
                let rows = days.items.len();
                Ok((days, Touched::Returned(rows)))
            })
        })
    }
}

/// The day that would be closed now.
fn add_up(connection: &Connection, now: OffsetDateTime) -> rusqlite::Result<Day> {
    let last = connection.prepare_cached(LAST_DAY)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)));
    let (last_day, ended): (i64, i64) = last.optional()?.unwrap_or_default();
    let last_entry = connection.prepare_cached(LAST_ENTRY)?.query_row([], |row| row.get(0))?;
    let last_entry = Option::<i64>::unwrap_or_default(last_entry);
    let mut sums = connection.prepare_cached(ADD_UP)?;
    let lines: Vec<DayLine> = sums.query_map([ended, last_entry], line)?.collect::<rusqlite::Result<_>>()?;
    let before = connection.prepare_cached(RECEIVABLE)?.query_row([last_day], |row| money(row, 0))?;
    Ok(Day { id: last_day + 1, closed_at: now, last_entry, receivable: before + receivable(&lines), lines })
}

fn close(
    transaction: &mut Transaction<'_>,
    day: Day,
    by: PersonId,
    key: Option<&Idempotency>,
    now: OffsetDateTime,
) -> Result<Closed, CloseError> {
    if let Some(day) = keys::recall_answer(&mut transaction.db, key, by, now)? {
        return Ok(Closed::Before(day));
    }
    let last: i64 = transaction.db.step("Is it still the day that was added up?", &[LAST_DAY], |connection| {
        let last = connection.prepare_cached(LAST_DAY)?.query_row([], |row| row.get(0)).optional()?;
        Ok((last.unwrap_or_default(), Touched::Returned(1)))
    })?;
    if day.id != last + 1 {
        return Ok(Closed::Overtaken);
    }
    if day.lines.is_empty() {
        return Err(CloseError::Nothing);
    }
    transaction.db.step("Write the day's report", &[INSERT_DAY, INSERT_LINE], |connection| {
        let row = params![day.id, day.last_entry, millis(now), by.0];
        let mut changed = connection.prepare_cached(INSERT_DAY)?.execute(row)?;
        let mut insert = connection.prepare_cached(INSERT_LINE)?;
        for line in &day.lines {
            let row = params![day.id, line.kind.id(), line.account.id(), line.entries, line.amount.cents()];
            changed += insert.execute(row)?;
        }
        Ok(((), Touched::Changed(changed)))
    })?;
    keys::keep(&mut transaction.db, key, by, None, &day, now)?;
    Ok(Closed::Now(day))
}

fn days(connection: &Connection, cut: &Cut) -> rusqlite::Result<Page<Day>> {
    let before = cut.after.map_or(i64::MAX, |after| after.number);
    let day = |row: &Row<'_>| {
        let (lines, receivable) = (Vec::new(), Money::ZERO);
        Ok(Day { id: row.get(0)?, last_entry: row.get(1)?, closed_at: moment(row, 2)?, lines, receivable })
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
    let mut owed = connection.prepare_cached(RECEIVABLE)?.query_row([oldest.id - 1], |row| money(row, 0))?;
    for day in page.items.iter_mut().rev() {
        day.lines = lines.remove(&day.id).unwrap_or_default();
        owed = owed + receivable(&day.lines);
        day.receivable = owed;
    }
    Ok(page)
}

fn receivable(lines: &[DayLine]) -> Money {
    lines.iter().filter(|line| line.account == Account::Receivable).map(|line| line.amount).sum()
}

fn line(row: &Row<'_>) -> rusqlite::Result<DayLine> {
    Ok(DayLine {
        kind: parsed(row, 0, Kind::from_id)?,
        account: parsed(row, 1, Account::from_id)?,
        entries: row.get(2)?,
        amount: money(row, 3)?,
    })
}
