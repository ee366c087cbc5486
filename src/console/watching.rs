//! For those who watch the stack: metrics for Prometheus, the live series, and whether it is alive and ready.

use actix_web::HttpResponse;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use serde_json::json;

use super::caller::{Answer, Call, Caller};
use super::gate::from_this_machine;
use super::journeys::json_answer;
use super::query::Query;
use crate::domain::permission::Permission;
use crate::observe::metrics::exposition::Format;
use crate::stack::live::WINDOWS;
use crate::stack::ready::Reason;
use crate::web::problem::Problem;
use crate::web::respond::header;

/// Whoever is on this machine needs no proof, as the tools that watch here have none; others need the owner's.
fn admit(call: &Call) -> Result<(), Problem> {
    let here = from_this_machine(call.request.peer_addr(), call.state.own_ip);
    if here || matches!(call.caller, Caller::Command) {
        return Ok(());
    }
    call.owner(Permission::StackRead).map(drop)
}

/// In the format that is asked for.
pub async fn metrics(call: Call) -> Answer {
    admit(&call)?;
    let format = Format::asked_for(header(call.request.headers(), ACCEPT.as_str()).unwrap_or_default());
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, format.media_type()))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(call.state.stack.exposition(format)))
}

/// The same for a command, which reads JSON.
pub async fn metrics_by_command(call: Call) -> Answer {
    call.command()?;
    Ok(json_answer(&json!({ "text": call.state.stack.exposition(Format::Prometheus) })))
}

/// `?window=` seconds of the live series.
pub async fn live(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    let mut query = Query::of(&call);
    let expected = format!("One of {} seconds", WINDOWS.map(|window| window.to_string()).join(", "));
    let is_one = |window: &u64| WINDOWS.contains(window);
    let window = query.take("window", &expected, |text| text.parse().ok().filter(is_one));
    query.end()?;
    Ok(json_answer(&call.state.live.window(window.unwrap_or(WINDOWS[1]))))
}

/// That it answers is what is asked.
pub async fn alive(call: Call) -> Answer {
    admit(&call)?;
    Ok(json_answer(&json!({ "alive": true })))
}

/// Whether the stack should get requests; 503 with the reasons when not.
pub async fn ready(call: Call) -> Answer {
    admit(&call)?;
    let mut reasons = call.state.stack.unready();
    if *call.state.closing.borrow() {
        reasons.insert(0, Reason { check: "console", why: "the server is being stopped".to_owned() });
    }
    let mut answer = if reasons.is_empty() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    let body = json!({ "ready": reasons.is_empty(), "reasons": reasons });
    Ok(answer.insert_header((CACHE_CONTROL, "no-store")).json(body))
}
