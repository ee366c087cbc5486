//! What can stand in the way, in the restaurant's words. The API gives each its status.

use std::time::Duration;

use crate::domain::menu::MenuItemId;
use crate::domain::order::TicketState;
use crate::domain::order_rule::Refusal;
use crate::store::StoreError;
use crate::store::bistro::{DirectError, PlaceError};
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
            PlaceError::Store(error) => error.into(),
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
