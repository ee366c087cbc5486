//! What can stand in the way, in the restaurant's words. The API gives each its status.

use std::time::Duration;

use crate::domain::menu::MenuItemId;
use crate::domain::order::{DRAFTS_MAX, TicketState};
use crate::domain::order_life::Impossible;
use crate::domain::order_rule::Refusal;
use crate::store::StoreError;
use crate::store::bistro::{ChangeError, CloseError, DirectError, PlaceError};
use crate::store::hasher::HasherError;

/// After so long the hasher's queue has moved on.
const HASHER_RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// It is not there, or not the visitor's to see: the two look alike.
    #[error("there is no such {what}")]
    NotFound { what: &'static str },
    /// `line` counts from 0.
    #[error("there is no dish {id}")]
    UnknownDish { line: usize, id: MenuItemId },
    #[error("the pantry does not hold enough for {name}")]
    OutOfStock { line: usize, name: String },
    /// Nor could it be had in time: `why` says what the supplier did.
    #[error("the pantry does not hold enough for {name}, and {why}")]
    NotSupplied { line: usize, name: String, why: String },
    /// `pointer` is a JSON pointer into the request (RFC 6901), or `idempotency-key`.
    #[error("{pointer}: {detail}")]
    Invalid { pointer: String, detail: String },
    /// A ticket that is elsewhere than the wish needs it.
    #[error("the ticket is {}", .0.id())]
    TicketState(TicketState),
    #[error("the idempotency key belongs to another request")]
    IdempotencyConflict,
    #[error("{DRAFTS_MAX} drafts are open already")]
    TooManyDrafts,
    #[error(transparent)]
    WrongState(#[from] Impossible),
    /// It is not the version that the change was meant for.
    #[error("changed since: version {version}")]
    Stale { version: i64 },
    #[error("nothing was booked since the last day was closed")]
    NothingToClose,
    /// Which of name and password was wrong is not said.
    #[error("name or password is wrong")]
    SignInFailed,
    #[error("too many attempts")]
    Throttled { retry_after: Duration },
    #[error("the service is unavailable")]
    Unavailable { retry_after: Duration },
    /// For the log, not for the visitor.
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { retry_after, .. } => ServiceError::Unavailable { retry_after },
            StoreError::Internal(what) => ServiceError::Internal(what),
        }
    }
}

impl From<PlaceError> for ServiceError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Refused(Refusal::UnknownDish { line, id }) => ServiceError::UnknownDish { line, id },
            PlaceError::Refused(Refusal::OutOfStock { line, name }) => ServiceError::OutOfStock { line, name },
            PlaceError::Refused(Refusal::TooMuch { line }) => ServiceError::Invalid {
                pointer: format!("/lines/{line}/quantity"),
                detail: "The total is beyond what can be counted.".to_owned(),
            },
            PlaceError::IdempotencyConflict => ServiceError::IdempotencyConflict,
            PlaceError::TooManyDrafts => ServiceError::TooManyDrafts,
            PlaceError::Store(error) => error.into(),
        }
    }
}

impl From<ChangeError> for ServiceError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => ServiceError::NotFound { what: "order" },
            ChangeError::Stale { version } => ServiceError::Stale { version },
            ChangeError::Impossible(why) => why.into(),
            ChangeError::Place(error) => error.into(),
        }
    }
}

impl From<CloseError> for ServiceError {
    fn from(error: CloseError) -> Self {
        match error {
            CloseError::Nothing => ServiceError::NothingToClose,
            CloseError::IdempotencyConflict => ServiceError::IdempotencyConflict,
            CloseError::Store(error) => error.into(),
        }
    }
}

impl From<DirectError> for ServiceError {
    fn from(error: DirectError) -> Self {
        match error {
            DirectError::NoTicket => ServiceError::NotFound { what: "ticket" },
            DirectError::State(state) => ServiceError::TicketState(state),
            DirectError::Store(error) => error.into(),
        }
    }
}

impl From<HasherError> for ServiceError {
    fn from(error: HasherError) -> Self {
        match error {
            HasherError::Busy => ServiceError::Unavailable { retry_after: HASHER_RETRY_AFTER },
            HasherError::Internal(what) => ServiceError::Internal(what),
        }
    }
}
