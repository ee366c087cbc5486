//! The one way from a state of an order to the next, whoever takes it there.

use rusqlite::{Connection, OptionalExtension, params};
use time::OffsetDateTime;

use super::super::StoreError;
use super::super::engine::{Db, JobError, Touched};
use super::super::rows::{millis, parsed};
use crate::domain::order::OrderState;
use crate::domain::order_life::{Action, Impossible};
use crate::domain::session::PersonId;

const STATE: &str = "SELECT state FROM orders WHERE seq = ?1";
const ADVANCE: &str = "UPDATE orders SET state = ?2, version = version + 1, changed_at_ms = ?3 WHERE seq = ?1";
pub(super) const NOTE: &str = "INSERT INTO order_event (order_seq, action, person_id, at_ms) VALUES (?1, ?2, ?3, ?4)";

/// Why an order stays where it is. Nothing was changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdvanceError {
    #[error(transparent)]
    Impossible(#[from] Impossible),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobError for AdvanceError {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            AdvanceError::Store(error) => Some(error),
            AdvanceError::Impossible(_) => None,
        }
    }
}

/// Does `action` to the order of that number, in the transaction of whoever calls, and notes who did it
/// (None: the kitchen's workers). What else the action means (stock, ticket, ledger) is the caller's.
pub fn advance(
    db: &mut Db<'_>,
    seq: i64,
    action: Action,
    by: Option<PersonId>,
    now: OffsetDateTime,
) -> Result<OrderState, AdvanceError> {
    let state = db.step("Read the order's state", &[STATE], |connection| {
        let state =
            connection.prepare_cached(STATE)?.query_row([seq], |row| parsed(row, 0, OrderState::from_id)).optional()?;
        Ok((state, Touched::Returned(usize::from(state.is_some()))))
    })?;
    let state = state.ok_or_else(|| StoreError::Internal(format!("there is no order number {seq}")))?;
    let next = db.rule(
        "Apply the rule of an order's life",
        || action.from(state),
        |next| format!("{} to {}", state.id(), next.id()),
    )?;
    db.step("Change the order's state", &[ADVANCE, NOTE], |connection| {
        let mut changed = connection.prepare_cached(ADVANCE)?.execute(params![seq, next.id(), millis(now)])?;
        // A draft may be edited without end, and its history is nobody's business.
        if action != Action::Edit {
            changed += note(connection, seq, action, by, now)?;
        }
        Ok(((), Touched::Changed(changed)))
    })?;
    Ok(next)
}

/// Notes what was done to an order, and by whom.
pub(super) fn note(
    connection: &Connection,
    seq: i64,
    action: Action,
    by: Option<PersonId>,
    now: OffsetDateTime,
) -> rusqlite::Result<usize> {
    let by = by.map(|person| person.0);
    connection.prepare_cached(NOTE)?.execute(params![seq, action.id(), by, millis(now)])
}
