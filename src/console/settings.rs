//! Settings and faults, changed by the owner, by a script or by a command: checked, written down, then made.

use std::time::Instant;

use actix_web::web;
use serde_json::{Map, Value, json};

use super::State;
use super::caller::{Answer, Body, Call, unavailable};
use super::journeys::json_answer;
use super::written::{A_COMMAND, record_after, to_its_end};
use crate::domain::event::Event;
use crate::domain::permission::Permission;
use crate::settings::bad_days;
use crate::settings::row::Field;
use crate::settings::runtime::{Changed, Refused};
use crate::stack::faults::Unchanged;
use crate::web::fields;
use crate::web::problem::Problem;

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
    let asked = state.stack.restores();
    to_its_end(write_then_change(state.clone(), who, changes, asked)).await?;
    listed(state)
}

/// Changes that were asked for when [`crate::stack::Stack::restores`] said `asked`.
pub async fn write_then_change(
    state: web::Data<State>,
    who: String,
    changes: Map<String, Value>,
    asked: u64,
) -> Result<(), Problem> {
    let pairs = || changes.iter().map(|(key, value)| (key.as_str(), value));
    let _turn = state.turn.lock().await;
    let planned = state.stack.settings().preview(pairs()).map_err(refused)?;
    if planned.is_empty() {
        return Ok(());
    }
    let events: Vec<Event> = planned.iter().filter(|changed| is_worth_a_row(changed)).map(|c| event(&who, c)).collect();
    if !events.is_empty() {
        state.control.record(events.clone()).await.map_err(unavailable)?;
    }
    if let Err(unchanged) = state.stack.change_settings_asked_for(&who, pairs(), asked) {
        let problem = match unchanged {
            Unchanged::Refused(each) => refused(each),
            Unchanged::Restored => restored_meanwhile(),
        };
        let failed = events.into_iter().map(|event| event.failed(&problem.title)).collect();
        record_after(&state.control, failed).await;
        return Err(problem);
    }
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

/// A fault that is only renewed, as by a script every few seconds, does what it did.
fn is_worth_a_row(Changed { row, before, after }: &Changed) -> bool {
    let Field::Fault(kind) = &row.field else { return true };
    match (before.faults.get(kind.fault), after.faults.get(kind.fault)) {
        (Some(before), Some(after)) => !before.does_as(after),
        _ => true,
    }
}

fn event(who: &str, Changed { row, before, after }: &Changed) -> Event {
    let (kind, before, after) = match row.field {
        Field::Fault(_) => ("fault", on(row.value(before)), on(row.value(after))),
        _ => ("setting", row.value(before), row.value(after)),
    };
    Event::new(who, kind, row.key, &before, &after)
}

/// A fault that is off is nothing.
fn on(fault: Value) -> Value {
    if fault == Value::Bool(false) { Value::Null } else { fault }
}

fn restored_meanwhile() -> Problem {
    let detail = "Everything was restored after this was asked for, so no fault of it began. Nothing was changed.";
    Problem::new(None, 409, "restored-meanwhile", "Restored meanwhile", detail)
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
