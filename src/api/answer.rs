//! Answers in JSON.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ContentType, ETAG, IF_NONE_MATCH};
use serde::Serialize;

use super::call::Call;
use super::key;
use super::order_view::OrderView;
use crate::domain::order::Order;
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

/// An order, with its version as the entity tag.
pub fn order(call: &Call, status: StatusCode, order: &Order) -> HttpResponse {
    let mut response = json(call, status, &OrderView::from(order));
    if let Ok(tag) = key::tag(order.version).parse() {
        response.headers_mut().insert(ETAG, tag);
    }
    response
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
