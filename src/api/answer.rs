//! Answers: JSON, problem documents, and the one place where the service's errors become statuses.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ContentType, ETAG, IF_NONE_MATCH};
use serde::Serialize;

use super::call::Call;
use crate::observe::hop::Hop;
use crate::observe::span::{Direction, Span};
use crate::service::ServiceError;
use crate::web::etag;
use crate::web::problem::Problem;

/// The name of the span in which an answer is made.
pub const WRITING: &str = "Write the answer";

/// That span.
pub fn writing(parent: &Span) -> Span {
    let span = parent.child(Hop::Api, WRITING);
    span.direction(Direction::Back);
    span
}

/// `value` as JSON.
pub fn json(call: &Call, status: StatusCode, value: &impl Serialize) -> HttpResponse {
    let _span = writing(call.span());
    HttpResponse::build(status).insert_header((CACHE_CONTROL, "no-store")).json(value)
}

/// `value` as JSON that is the same for everybody: caches that many share may answer with it for `ttl`, and a
/// client that has it already is told so. A `ttl` of zero forbids to keep it.
pub fn shared_json(call: &Call, ttl: Duration, value: &impl Serialize) -> Result<HttpResponse, Problem> {
    if ttl.is_zero() {
        return Ok(json(call, StatusCode::OK, value));
    }
    let _span = writing(call.span());
    let body = serde_json::to_vec(value).map_err(|error| call.failed(&ServiceError::Internal(error.to_string())))?;
    let tag = etag::strong(&body);
    let known = call.request().headers().get_all(IF_NONE_MATCH);
    let known = known.into_iter().any(|line| etag::names(line.as_bytes(), Some(tag.as_bytes())));
    let mut response = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    // A browser asks each time: what it has kept nobody can take back.
    let control = format!("public, max-age=0, s-maxage={}", ttl.as_secs());
    response.insert_header((CACHE_CONTROL, control)).insert_header((ETAG, tag));
    Ok(if known { response.finish() } else { response.content_type(ContentType::json()).body(body) })
}

/// What the service refused, as a client reads it.
pub fn of_service(error: &ServiceError) -> Problem {
    let seconds = |wait: &std::time::Duration| wait.as_secs_f64().ceil().max(1.0) as u64;
    match error {
        ServiceError::NotFound { what } => Problem::new(
            Hop::Service,
            404,
            "not-found",
            "Not found",
            format!("There is no such {what}, or it is not yours to see."),
        ),
        ServiceError::UnknownDish { line, id } => Problem::new(
            Hop::Service,
            422,
            "unknown-dish",
            "Unknown dish",
            "The order names a dish that is not on the menu; nothing was ordered.",
        )
        .field(format!("/lines/{line}/menu_item_id"), format!("There is no dish {id} on the menu.")),
        ServiceError::OutOfStock { line, name } => Problem::new(
            Hop::Service,
            409,
            "out-of-stock",
            "Out of stock",
            format!(
                "The pantry has too little left for {name}; nothing was ordered. Order less of it, or something else."
            ),
        )
        .field(format!("/lines/{line}/quantity"), format!("Too little is left for {name}.")),
        ServiceError::NotSupplied { line, name, why } => Problem::new(
            Hop::Service,
            409,
            "out-of-stock",
            "Out of stock",
            format!("The pantry has too little left for {name}, and {why}; nothing was ordered. Order something else, or try again later."),
        )
        .field(format!("/lines/{line}/quantity"), format!("Too little is left for {name}.")),
        ServiceError::Invalid { pointer, detail } => Problem::new(
            Hop::Service,
            422,
            "invalid",
            "Not valid",
            "The request breaks a rule of the house; nothing was changed.",
        )
        .field(pointer.clone(), detail.clone()),
        ServiceError::TicketState(state) => Problem::new(
            Hop::Service,
            409,
            "wrong-state",
            "Not in this state",
            format!(
                "The ticket is {}; nothing was changed. A waiting one can go first or last, a dead one be queued again.",
                state.id()
            ),
        ),
        ServiceError::IdempotencyConflict => Problem::new(
            Hop::Service,
            422,
            "idempotency-key-reused",
            "Idempotency key reused",
            "This Idempotency-Key was used for another order. Use a new key for a new order.",
        ),
        ServiceError::SignInFailed => Problem::new(
            Hop::Api,
            401,
            "sign-in-failed",
            "Sign-in failed",
            "The name or the password is wrong, or no password has been set for that name.",
        ),
        ServiceError::Throttled { retry_after } => {
            let wait = seconds(retry_after);
            Problem::new(
                Hop::Api,
                429,
                "too-many-attempts",
                "Too many attempts",
                format!("Wait {wait} s before the next attempt."),
            )
            .retry_after(wait)
        }
        ServiceError::Unavailable { retry_after } => Problem::new(
            Hop::Data,
            503,
            "data-unavailable",
            "The data is busy",
            "The data layer could not confirm this. Try again shortly; an order with the same Idempotency-Key is placed once at most.",
        )
        .retry_after(seconds(retry_after)),
        ServiceError::Internal(_) => Problem::new(
            Hop::Service,
            500,
            "internal",
            "Something went wrong here",
            "The server failed at this; it is in its log. Nothing was changed.",
        ),
    }
}
