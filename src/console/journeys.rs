//! Sending requests and looking at their journeys.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::{Value, json};

use super::caller::{Answer, Body, Call};
use super::query::Query;
use crate::domain::permission::{Permission, Role};
use crate::lab;
use crate::lab::journeys::{COUNT_MAX, SendError, Sending, Wish};
use crate::lab::presets::{self, CUSTOM, CUSTOM_METHODS, Preset};
use crate::observe::ids::TraceId;
use crate::web::fields::Fields;
use crate::web::problem::Problem;

/// A path that somebody types.
const PATH_CHARS_MAX: usize = 2_048;
/// Journeys that a list shows.
const RECENT_MAX: usize = 100;

pub fn json_answer(value: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(value)
}

/// What can be sent, and as whom.
pub async fn presets(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    let role = |role: Role| {
        let title = match role {
            Role::Guest => "Guest, not signed in",
            Role::Waiter => "Waiter",
            Role::Chef => "Chef",
            Role::Manager => "Manager",
            Role::Owner => "Owner",
        };
        json!({ "id": role.id(), "title": title })
    };
    let stack = &call.state.stack;
    let roles: Vec<Value> = stack.roles().iter().copied().map(role).collect();
    let requests = presets::offered(stack.has_restaurant());
    Ok(json_answer(&json!({ "requests": requests, "custom_methods": CUSTOM_METHODS, "roles": roles })))
}

/// Sends, and answers with what happened.
pub async fn send(call: Call, body: Body) -> Answer {
    call.owner(Permission::JourneySend)?;
    let stack = &call.state.stack;
    let sending = call.parse(body, |fields| {
        let wish = wish(fields, presets::offered(stack.has_restaurant()));
        let role = fields.one_of("as", stack.roles().iter().map(|role| role.id())).and_then(Role::from_id);
        let connection = fields.one_of("connection", ["fresh", "kept"].into_iter());
        let caches = fields.one_of("caches", ["use", "bypass"].into_iter());
        let count = fields.integer("count", 1..=COUNT_MAX as i64);
        Some(Sending {
            wish: wish?,
            role: role?,
            kept: connection? == "kept",
            bypass_caches: caches? == "bypass",
            count: count?.try_into().ok()?,
        })
    })?;
    let journeys = lab::journeys::send(&call.state.stack, sending).await.map_err(not_sent)?;
    let mut by_time: Vec<_> = journeys.iter().collect();
    by_time.sort_by(|a, b| a.summary.total_us.total_cmp(&b.summary.total_us));
    let shown = by_time.get(by_time.len().saturating_sub(1) / 2);
    let summaries: Vec<_> = journeys.iter().map(|journey| &journey.summary).collect();
    Ok(json_answer(&json!({ "journeys": summaries, "journey": shown })))
}

/// A preset by its id, or a method and a path of the sender's own.
fn wish(fields: &mut Fields<'_>, presets: &'static [Preset]) -> Option<Wish> {
    let id = fields.one_of("request", presets.iter().map(|preset| preset.id).chain([CUSTOM]))?;
    if let Some(preset) = presets.iter().find(|preset| preset.id == id) {
        return Some(Wish::from(preset));
    }
    let method = fields.one_of("method", CUSTOM_METHODS.into_iter());
    let path =
        fields.text_that("path", PATH_CHARS_MAX, is_target, "A path that begins with / is expected, without spaces.");
    Some(Wish { method: method?.to_owned(), path: path?.to_owned(), body: None })
}

/// Whether it may stand in a request line: visible ASCII from the first slash on (RFC 9112, section 3.2.1).
fn is_target(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

fn not_sent(error: SendError) -> Problem {
    let problem = Problem::new(None, 503, "not-sent", "Nothing was sent", format!("{error}. Try again shortly."));
    problem.retry_after(1)
}

/// The latest, newest first; as many as `?limit=` says, within the bound.
pub async fn recent(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    let mut query = Query::of(&call);
    let limit = query.number("limit", 0, RECENT_MAX as u64).map_or(RECENT_MAX, |limit| limit as usize);
    query.end()?;
    let journeys = call.state.stack.recorder().recent(limit);
    Ok(json_answer(&json!({ "journeys": journeys })))
}

/// One, whole.
pub async fn one(call: Call, trace_id: web::Path<String>) -> Answer {
    call.owner(Permission::StackRead)?;
    let journey = trace_id.parse::<TraceId>().ok().and_then(|id| call.state.stack.recorder().journey(id));
    match journey {
        Some(journey) => Ok(json_answer(&*journey)),
        None => {
            let detail = "Only the latest journeys are kept, in memory; this one is gone, or never was.";
            Err(Problem::new(None, 404, "journey-gone", "The journey is gone", detail))
        }
    }
}

/// For the event stream and the stack's page alike.
pub fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}
