//! The restaurant's instances: one more, one fewer, one emptied; and what the autoscaler does.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::State;
use super::caller::{Answer, Body, Call};
use super::journeys::json_answer;
use super::written::{A_COMMAND, carry_out};
use crate::domain::event::Event;
use crate::domain::permission::Permission;
use crate::stack::instances::{InstanceShown, Instances, InstancesError};
use crate::web::problem::Problem;

/// Longer than any id.
const ID_CHARS_MAX: usize = 40;
const ACTS: [&str; 5] = ["list", "add", "drain", "undrain", "remove"];

pub async fn list(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    Ok(json_answer(&shown(&call.state)?))
}

pub async fn add(call: Call) -> Answer {
    let who = call.owner(Permission::StackChange)?.to_owned();
    Ok(HttpResponse::Created().json(added(&call.state, who).await?))
}

pub async fn drain(call: Call, id: web::Path<String>) -> Answer {
    draining(&call, &id, true).await
}

pub async fn undrain(call: Call, id: web::Path<String>) -> Answer {
    draining(&call, &id, false).await
}

async fn draining(call: &Call, id: &str, draining: bool) -> Answer {
    let who = call.owner(Permission::StackChange)?.to_owned();
    Ok(json_answer(&set_draining(&call.state, id, draining, who).await?))
}

pub async fn remove(call: Call, id: web::Path<String>) -> Answer {
    let who = call.owner(Permission::StackChange)?.to_owned();
    removed(&call.state, &id, who).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// For a command: does one thing, and answers with the list.
pub async fn by_command(call: Call, body: Body) -> Answer {
    call.command()?;
    let (act, id) = call.parse(body, |fields| {
        let act = fields.one_of("act", ACTS.into_iter())?;
        let id = match act {
            "list" | "add" => String::new(),
            _ => fields.text("id", ID_CHARS_MAX)?.to_owned(),
        };
        Some((act, id))
    })?;
    let (state, who) = (&call.state, A_COMMAND.to_owned());
    match act {
        "add" => drop(added(state, who).await?),
        "drain" | "undrain" => drop(set_draining(state, &id, act == "drain", who).await?),
        "remove" => removed(state, &id, who).await?,
        _ => {}
    }
    Ok(json_answer(&shown(&call.state)?))
}

fn own(state: &State) -> Result<Instances, Problem> {
    state.stack.own_instances().cloned().map_err(refused)
}

async fn added(state: &State, who: String) -> Result<InstanceShown, Problem> {
    let instances = own(state)?;
    let event = Event::new(&who, "instance", "one more", &Value::Null, &json!("added"));
    carry_out(state, event, async move { instances.add(&who).await.map_err(refused) }).await
}

/// Empties one of ours, or lets it take requests again.
pub async fn set_draining(state: &State, id: &str, draining: bool, who: String) -> Result<InstanceShown, Problem> {
    let (instances, id) = (own(state)?, id.to_owned());
    let before = instances.one(&id).map_err(refused)?;
    let shown = |draining: bool| json!({ "draining": draining });
    let event = Event::new(&who, "instance", &id, &shown(before.draining), &shown(draining));
    let act = async move { instances.set_draining(&id, draining, &who).await.map_err(refused) };
    carry_out(state, event, act).await
}

async fn removed(state: &State, id: &str, who: String) -> Result<(), Problem> {
    let (instances, id) = (own(state)?, id.to_owned());
    let before = instances.one(&id).map_err(refused)?;
    let event = Event::new(&who, "instance", &id, &json!({ "version": before.version }), &Value::Null);
    carry_out(state, event, async move { instances.remove(&id, &who).await.map_err(refused) }).await
}

/// All there is to see.
pub fn shown(state: &State) -> Result<Value, Problem> {
    let instances = state.stack.own_instances().map_err(refused)?;
    Ok(json!({
        "instances": instances.list(),
        "version": instances.version(),
        "autoscaler": instances.autoscaler(),
        "rollout": instances.rollout(),
    }))
}

/// Why nothing was changed, as a problem document.
pub fn refused(error: InstancesError) -> Problem {
    let problem = |status, slug, title, what_to_do: &str| {
        let reason = error.to_string();
        let mut letters = reason.chars();
        let reason: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        Problem::new(None, status, slug, title, format!("{reason}. {what_to_do}").trim_end().to_owned())
    };
    match error {
        InstancesError::NoRestaurant => {
            problem(409, "no-restaurant", "No instances of ours", "Start it without --upstream.")
        }
        InstancesError::Unknown(_) => problem(404, "no-such-instance", "No such instance", ""),
        InstancesError::Last(_) => problem(409, "last-instance", "The last instance stays", "Add another one first."),
        InstancesError::Full => problem(409, "too-many-instances", "No more instances", "Remove one first."),
        InstancesError::Busy(_) => {
            problem(409, "rollout-under-way", "Something is under way", "Wait for its end, or call it back.")
        }
        InstancesError::Already(_) => problem(409, "same-version", "Nothing to release", "Name another version."),
        InstancesError::NobodyRuns => problem(409, "nobody-runs", "No instance runs", "Add one first."),
        InstancesError::NoRollout => problem(409, "no-rollout", "Nothing to call back", ""),
        InstancesError::Stopped => problem(503, "stopped", "Stopping", ""),
        InstancesError::NotStarted(_) | InstancesError::NotHealthy(_) | InstancesError::CalledBack(_) => {
            log::error!("instances: {error}");
            problem(500, "not-started", "The instance did not start", "The log says more.")
        }
    }
}
