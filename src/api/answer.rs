//! Answers: JSON, problem documents, and the one place where the service's errors become statuses.

use std::borrow::Cow;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ContentType, ETAG, IF_NONE_MATCH};
use serde::Serialize;

use super::call::Call;
use crate::observe::hop::Hop;
use crate::observe::span::{Direction, Span};
use crate::service::ServiceError;
use crate::web::etag::{self, Comparison};
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
    let known = known.into_iter().any(|line| etag::lists(line.as_bytes(), tag.as_bytes(), Comparison::Weak));
    let mut response = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    // A browser asks each time: what it has kept nobody can take back.
    let control = format!("public, max-age=0, s-maxage={}", ttl.as_secs());
    response.insert_header((CACHE_CONTROL, control)).insert_header((ETAG, tag));
    Ok(if known { response.finish() } else { response.content_type(ContentType::json()).body(body) })
}

/// What the service refused, as a client reads it.
pub fn of_service(error: &ServiceError) -> Problem {
    let (hop, status, kind, title, detail) = told(error);
    let problem = Problem::new(hop, status, kind, title, detail);
    match error {
        ServiceError::UnknownDish { line, id } => {
            problem.field(format!("/lines/{line}/menu_item_id"), format!("There is no dish {id} on the menu."))
        }
        ServiceError::OutOfStock { line, name } => {
            problem.field(format!("/lines/{line}/quantity"), format!("Too little is left for {name}."))
        }
        ServiceError::Invalid { pointer, detail } => problem.field(pointer.clone(), detail.clone()),
        ServiceError::Throttled { retry_after } | ServiceError::Unavailable { retry_after } => {
            problem.retry_after(whole_seconds(*retry_after))
        }
        _ => problem,
    }
}

/// Its hop, status, kind, title and detail.
fn told(error: &ServiceError) -> (Hop, u16, &'static str, &'static str, Cow<'static, str>) {
    match error {
        ServiceError::NotFound { what } => {
            let detail = format!("There is no such {what}, or it is not yours to see.");
            (Hop::Service, 404, "not-found", "Not found", detail.into())
        }
        ServiceError::UnknownDish { .. } => {
            let detail = "The order names a dish that is not on the menu; nothing was ordered.";
            (Hop::Service, 422, "unknown-dish", "Unknown dish", detail.into())
        }
        ServiceError::OutOfStock { name, .. } => {
            let detail = format!(
                "The pantry has too little left for {name}; nothing was ordered. Order less of it, or something else."
            );
            (Hop::Service, 409, "out-of-stock", "Out of stock", detail.into())
        }
        ServiceError::Invalid { .. } => {
            let detail = "The request breaks a rule of the house; nothing was changed.";
            (Hop::Service, 422, "invalid", "Not valid", detail.into())
        }
        ServiceError::IdempotencyConflict => {
            let detail = "This Idempotency-Key was used for another order. Use a new key for a new order.";
            (Hop::Service, 422, "idempotency-key-reused", "Idempotency key reused", detail.into())
        }
        ServiceError::SignInFailed => {
            let detail = "The name or the password is wrong, or no password has been set for that name.";
            (Hop::Api, 401, "sign-in-failed", "Sign-in failed", detail.into())
        }
        ServiceError::Throttled { retry_after } => {
            let detail = format!("Wait {} s before the next attempt.", whole_seconds(*retry_after));
            (Hop::Api, 429, "too-many-attempts", "Too many attempts", detail.into())
        }
        ServiceError::Unavailable { .. } => {
            let detail = "The data layer could not confirm this. Try again shortly; an order with the same \
                          Idempotency-Key is placed once at most.";
            (Hop::Data, 503, "data-unavailable", "The data is busy", detail.into())
        }
        ServiceError::Internal(_) => {
            let detail = "The server failed at this; it is in its log. Nothing was changed.";
            (Hop::Service, 500, "internal", "Something went wrong here", detail.into())
        }
    }
}

/// For `Retry-After`: never sooner, and not at once.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs_f64().ceil().max(1.0) as u64
}
