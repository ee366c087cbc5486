//! Idempotency keys: the answer to a request is kept, and a repeat gets it again, whatever has happened since. Their age
//! is told by the clock as it would be if no fault had set it wrong: a key that is forgotten early is an order twice.

use std::time::Duration;

use rusqlite::{OptionalExtension, ToSql, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::engine::{Db, Touched};
use super::super::rows::millis;
use super::super::{Present, StoreError};
use super::orders;
use crate::domain::order::Order;
use crate::domain::session::PersonId;

/// How long a key is remembered.
pub(super) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

const FIND: &str = "SELECT fingerprint, order_seq, answer FROM idempotency_key \
                    WHERE person_id = ?1 AND route = ?2 AND key = ?3 AND created_at_ms > ?4";
/// The key of a guest whose first answer was lost, and the cookie with it: known by key and request together.
const FIND_STRANGERS: &str = "SELECT fingerprint, order_seq, answer FROM idempotency_key \
                              JOIN person ON person.id = person_id AND person.role = 'guest' \
                              WHERE route = ?2 AND key = ?3 AND fingerprint = ?1 \
                              AND idempotency_key.created_at_ms > ?4";
const INSERT: &str = "INSERT OR REPLACE INTO idempotency_key \
                      (person_id, route, key, fingerprint, order_seq, answer, created_at_ms) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const DELETE_OLD: &str = "DELETE FROM idempotency_key WHERE (person_id, route, key) IN \
                          (SELECT person_id, route, key FROM idempotency_key WHERE created_at_ms <= ?1 LIMIT 32)";

/// Says that a request is the one of before, should it come again. Counts per person and route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    pub route: &'static str,
    pub key: String,
    /// SHA-256 of what was asked for, and of what: the order of a change.
    pub fingerprint: [u8; 32],
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the idempotency key belongs to another request")]
    Conflict,
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Kept {
    fingerprint: [u8; 32],
    order: Option<i64>,
    answer: Option<String>,
}

/// The order that the same request was answered with. A stranger's repeats find it too, but not its
/// session: a key may be guessed. Looked up under the writer's lock: two requests with one key at once
/// are one order.
pub fn recall_order(
    db: &mut Db<'_>,
    idempotency: Option<&Idempotency>,
    person: Option<PersonId>,
    present: Present,
) -> Result<Option<Order>, KeyError> {
    let Some(kept) = recall(db, idempotency, person, present)? else { return Ok(None) };
    match (kept.answer, kept.order) {
        (Some(answer), _) => Ok(Some(read(&answer)?)),
        (None, Some(seq)) => Ok(Some(orders::by_seq(db, "Read the order of before", seq)?)),
        (None, None) => Err(StoreError::Internal("an idempotency key without its answer".to_owned()).into()),
    }
}

/// What else the same request of that person was answered with.
pub fn recall_answer<T: DeserializeOwned>(
    db: &mut Db<'_>,
    idempotency: Option<&Idempotency>,
    person: PersonId,
    present: Present,
) -> Result<Option<T>, KeyError> {
    let kept = recall(db, idempotency, Some(person), present)?;
    Ok(kept.and_then(|kept| kept.answer).map(|answer| read(&answer)).transpose()?)
}

fn recall(
    db: &mut Db<'_>,
    idempotency: Option<&Idempotency>,
    person: Option<PersonId>,
    present: Present,
) -> Result<Option<Kept>, KeyError> {
    let Some(idempotency) = idempotency else { return Ok(None) };
    let (statement, whose): (_, &dyn ToSql) = match &person {
        Some(person) => (FIND, &person.0),
        None => (FIND_STRANGERS, &idempotency.fingerprint),
    };
    let found = db.step("Look for the idempotency key", &[statement], |connection| {
        let mut find = connection.prepare_cached(statement)?;
        let row = params![whose, idempotency.route, idempotency.key, millis(present.unskewed - LIFETIME)];
        let kept =
            find.query_row(row, |row| Ok(Kept { fingerprint: row.get(0)?, order: row.get(1)?, answer: row.get(2)? }));
        let kept = kept.optional()?;
        let rows = usize::from(kept.is_some());
        Ok((kept, Touched::Returned(rows)))
    })?;
    match found {
        Some(kept) if kept.fingerprint != idempotency.fingerprint => Err(KeyError::Conflict),
        found => Ok(found),
    }
}

/// Keeps the answer to a request that has a key; some that are too old give way.
pub fn keep(
    db: &mut Db<'_>,
    idempotency: Option<&Idempotency>,
    person: PersonId,
    order: Option<i64>,
    answer: &impl Serialize,
    present: Present,
) -> Result<(), StoreError> {
    let Some(Idempotency { route, key, fingerprint }) = idempotency else { return Ok(()) };
    let answer = serde_json::to_string(answer).map_err(|error| StoreError::Internal(error.to_string()))?;
    db.step("Keep the answer for a repeat", &[INSERT, DELETE_OLD], |connection| {
        let row = params![person.0, route, key, fingerprint, order, answer, millis(present.unskewed)];
        let mut changed = connection.prepare_cached(INSERT)?.execute(row)?;
        changed += connection.prepare_cached(DELETE_OLD)?.execute([millis(present.unskewed - LIFETIME)])?;
        Ok(((), Touched::Changed(changed)))
    })
}

fn read<T: DeserializeOwned>(answer: &str) -> Result<T, StoreError> {
    serde_json::from_str(answer).map_err(|error| StoreError::Internal(format!("a kept answer: {error}")))
}
