//! The body of a request: read, checked field by field, and on the trace.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web;
use serde_json::json;

use super::call::Call;
use super::faults;
use crate::observe::hop::Hop;
use crate::observe::span::Status;
use crate::web::fields::{self, Fields};
use crate::web::problem::Problem;
use crate::web::respond::{self, header};

/// What actix could read of a body.
pub type Body = Result<web::Bytes, actix_web::Error>;

/// Reads a body with `read`, or answers with what is wrong with it.
pub fn parse<T>(call: &Call, body: Body, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Result<T, Problem> {
    let span = call.span().child(Hop::Api, "Is it well formed?");
    let media_type = header(call.request().headers(), CONTENT_TYPE.as_str()).unwrap_or_default();
    let outcome = match body {
        Ok(bytes) => match faults::tiny_bodies(call, &span, &bytes) {
            Some(problem) => Err(problem),
            None => fields::parse(Some(Hop::Api), media_type, &bytes, read),
        },
        Err(error) => Err(respond::unreadable(Some(Hop::Api), &error)),
    };
    span.attribute("roundtrip.api.validation", || match &outcome {
        Ok(_) => json!("ok"),
        Err(problem) if problem.errors.is_empty() => json!(problem.detail),
        Err(problem) => json!(problem.errors),
    });
    outcome.map_err(|problem| {
        span.status(Status::Error);
        span.end();
        call.refused(problem)
    })
}

/// For what takes no body: none, or an object without members.
pub fn nothing(call: &Call, body: Body) -> Result<(), Problem> {
    match body {
        Ok(bytes) if bytes.is_empty() => Ok(()),
        body => parse(call, body, |_| Some(())),
    }
}
