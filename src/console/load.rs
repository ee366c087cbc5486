//! Sending traffic: one load at a time, against the house stack's own front door.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use serde_json::{Value, json};

use super::caller::{Answer, Body, Call};
use super::journeys::json_answer;
use super::written::carry_out;
use crate::domain::event::Event;
use crate::domain::permission::Permission;
use crate::lab::load::desk::DeskError;
use crate::lab::load::house::{self, Arrive, CONNECTIONS_MAX, DURATION_MAX_S, RATE_MAX, Wish};
use crate::web::problem::Problem;

/// Connections, if nobody says how many.
const CONNECTIONS: i64 = 32;

/// What can be sent, how it goes, and how the last one went.
pub async fn view(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    let (desk, view) = (&call.state.loads, call.state.loads.view());
    Ok(json_answer(&json!({
        "mixes": house::offered(call.state.stack.has_restaurant()),
        "rate_max": RATE_MAX,
        "duration_s_max": DURATION_MAX_S,
        "connections_max": CONNECTIONS_MAX,
        "running": view.running,
        "figures": view.figures,
        "last": desk.last(),
    })))
}

/// Starts one. `mix` and `target` name the same thing: one of those offered.
pub async fn start(call: Call, body: Body) -> Answer {
    let name = call.owner(Permission::JourneySend)?.to_owned();
    let stack = &call.state.stack;
    let offered = || house::offered(stack.has_restaurant()).iter().map(|offer| offer.id);
    let wish = call.parse(body, |fields| {
        let mix = match fields.has("target") && !fields.has("mix") {
            true => fields.one_of("target", offered()),
            false => fields.one_of("mix", offered()),
        };
        let rate = fields.integer("rate", 1..=RATE_MAX as i64);
        let duration_s = fields.integer("duration_s", 1..=DURATION_MAX_S as i64);
        let arrivals = match fields.has("arrivals") {
            true => fields.one_of("arrivals", ["constant", "poisson"].into_iter()),
            false => Some("constant"),
        };
        let connections = match fields.has("connections") {
            true => fields.integer("connections", 1..=CONNECTIONS_MAX as i64),
            false => Some(CONNECTIONS),
        };
        Some(Wish {
            mix: mix?,
            rate: rate?.try_into().ok()?,
            duration_s: duration_s?.try_into().ok()?,
            arrivals: if arrivals? == "poisson" { Arrive::Poisson } else { Arrive::Constant },
            connections: connections?.try_into().ok()?,
        })
    })?;
    let plan = house::plan(stack, &wish).map_err(|error| refused(error.into()))?;
    let event = Event::new(&name, "load", wish.mix, &Value::Null, &json!(wish));
    let loads = Arc::clone(&call.state.loads);
    let id = carry_out(&call.state, event, async move { loads.start(wish, plan).map_err(refused) }).await?;
    log::info!("{name} sends {} at {}/s for {} s", wish.mix, wish.rate, wish.duration_s);
    Ok(HttpResponse::Accepted().insert_header((CACHE_CONTROL, "no-store")).json(json!({ "id": id })))
}

/// Ends the one under way, orderly.
pub async fn stop(call: Call) -> Answer {
    let name = call.owner(Permission::JourneySend)?.to_owned();
    let running = call.state.loads.view().running.ok_or_else(nothing)?;
    let event = Event::new(&name, "load", running.wish.mix, &json!(running.wish), &Value::Null);
    let loads = Arc::clone(&call.state.loads);
    let act = async move { if loads.stop() { Ok(()) } else { Err(nothing()) } };
    carry_out(&call.state, event, act).await?;
    log::info!("{name} ended the load");
    Ok(HttpResponse::NoContent().finish())
}

fn nothing() -> Problem {
    let detail = "There is nothing to end: no load is under way.";
    Problem::new(None, 409, "no-load", "No load is under way", detail)
}

fn refused(error: DeskError) -> Problem {
    let detail = format!("{error}.");
    match error {
        DeskError::Busy => Problem::new(None, 409, "load-under-way", "A load is under way", detail),
        DeskError::Closed => Problem::new(None, 503, "stopping", "The server stops", detail),
        DeskError::Load(_) => Problem::new(None, 503, "load-not-started", "Nothing was sent", detail).retry_after(1),
    }
}
