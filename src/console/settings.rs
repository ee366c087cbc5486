//! Settings and faults, changed by the owner, by a script or by a command: checked, written down, then made.

use std::time::Instant;

use actix_web::web;
use serde_json::{Map, Value, json};

use super::State;
use super::caller::{Answer, Body, Call, unavailable};
use super::journeys::json_answer;
use crate::domain::event::Event;
use crate::domain::permission::Permission;
use crate::settings::bad_days;
use crate::settings::row::Field;
use crate::settings::runtime::{Changed, Refused};
use crate::web::fields;
use crate::web::problem::Problem;

/// Who changes something with the control key.
pub const A_COMMAND: &str = "a command";

pub async fn list(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    listed(&call.state)
}

/// All the changes, or none.
pub async fn change(call: Call, body: Body) -> Answer {
    let who = call.owner(Permission::StackChange)?.to_owned();
    changed(&call, body, who).await
}

/// For a command: the same, and without a change the list.
pub async fn change_by_command(call: Call, body: Body) -> Answer {
    call.command()?;
    changed(&call, body, A_COMMAND.to_owned()).await
}

/// Ends every fault.
pub async fn restore(call: Call) -> Answer {
    let who = call.owner(Permission::StackChange)?.to_owned();
    restored(&call.state, &who).await
}

pub async fn restore_by_command(call: Call) -> Answer {
    call.command()?;
    restored(&call.state, A_COMMAND).await
}

/// What can go wrong together.
pub async fn bad_days(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    Ok(json_answer(&json!({ "bad_days": bad_days::all() })))
}

/// Switches on what is wrong on that day; what is on already stays.
pub async fn begin_bad_day(call: Call, id: web::Path<String>) -> Answer {
    let who = call.owner(Permission::StackChange)?.to_owned();
    let Some(day) = bad_days::all().iter().find(|day| day.id == *id) else {
        let detail = "No bad day has that name; GET /api/bad-days lists them.";
        return Err(Problem::new(None, 404, "no-such-day", "No such bad day", detail));
    };
    make(&call.state, who, day.changes.clone()).await
}

async fn changed(call: &Call, body: Body, who: String) -> Answer {
    match call.json(body, fields::DEPTH_MAX)? {
        Value::Object(changes) => make(&call.state, who, changes).await,
        _ => {
            let detail = "An object of keys and values is expected.";
            Err(Problem::new(None, 422, "bad-setting", "Not a valid setting", detail))
        }
    }
}

fn listed(state: &State) -> Answer {
    Ok(json_answer(&json!({ "settings": state.stack.settings().list() })))
}

async fn make(state: &web::Data<State>, who: String, changes: Map<String, Value>) -> Answer {
    // As a task of its own: who goes away in the middle must not leave written what was not done.
    let made = actix_web::rt::spawn(write_then_change(state.clone(), who, changes)).await;
    made.map_err(|error| {
        log::error!("console: a change of settings broke off: {error}");
        let detail = "The server failed at this; it is in its log. Look at the settings before you try again.";
        Problem::new(None, 500, "internal", "Something went wrong here", detail)
    })??;
    listed(state)
}

async fn write_then_change(state: web::Data<State>, who: String, changes: Map<String, Value>) -> Result<(), Problem> {
    let pairs = || changes.iter().map(|(key, value)| (key.as_str(), value));
    let _turn = state.turn.lock().await;
    let planned = state.stack.settings().preview(pairs()).map_err(refused)?;
    if planned.is_empty() {
        return Ok(());
    }
    let events = planned.iter().map(|changed| event(&who, changed)).collect();
    state.control.record(events).await.map_err(unavailable)?;
    state.stack.change_settings(&who, pairs()).map_err(refused)?;
    log::info!("{who} changed {}", planned.iter().map(|changed| changed.row.key).collect::<Vec<_>>().join(", "));
    Ok(())
}

/// The other way round than a change: whatever else fails, faults can be ended. What could not be written down is said,
/// and is in the log.
async fn restored(state: &web::Data<State>, who: &str) -> Answer {
    let began = Instant::now();
    let settings = state.stack.settings();
    let off = Value::Bool(false);
    let on: Vec<&str> = settings.snapshot().faults.iter().map(|(fault, _)| fault.key()).collect();
    let planned = settings.preview(on.iter().map(|key| (*key, &off))).map_err(refused)?;
    let ended = state.stack.end_faults(who);
    let ms = (began.elapsed().as_secs_f64() * 1e5).round() / 100.0;
    let events: Vec<Event> = planned.iter().map(|changed| event(who, changed)).collect();
    let recorded = match events.is_empty() {
        true => Ok(()),
        false => state.control.record(events).await,
    };
    if let Err(error) = &recorded {
        log::error!("{who} ended {}, which could not be written down: {error}", ended.join(", "));
    }
    Ok(json_answer(&json!({ "ended": ended, "ms": ms, "recorded": recorded.is_ok() })))
}

fn event(who: &str, changed: &Changed) -> Event {
    let Changed { row, before, after } = changed;
    let text = |value: Value| Some(value).filter(|value| *value != Value::Bool(false)).map(|value| value.to_string());
    let (kind, before, after) = match row.field {
        Field::Fault(_) => ("fault", text(row.value(before)), text(row.value(after))),
        _ => ("setting", Some(row.value(before).to_string()), Some(row.value(after).to_string())),
    };
    Event { who: who.to_owned(), kind, subject: row.key.to_owned(), before, after }
}

fn refused(refused: Vec<Refused>) -> Problem {
    let detail = "Nothing was changed. Each value that does not fit is listed.";
    let mut problem = Problem::new(None, 422, "bad-setting", "Not a valid setting", detail);
    for refused in refused {
        // A question has its mark already.
        let end = if refused.reason.ends_with('?') { "" } else { "." };
        let detail = format!("{refused}{end}");
        problem = problem.field(format!("/{}", refused.key), detail);
    }
    problem
}
