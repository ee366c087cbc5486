//! The restaurant's instances: one more, one fewer, one emptied; and what the autoscaler does.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::State;
use super::caller::{Answer, Body, Call};
use super::journeys::json_answer;
use crate::domain::permission::Permission;
use crate::stack::instances::InstancesError;
use crate::web::problem::Problem;

/// Longer than any id.
const ID_CHARS_MAX: usize = 40;
const A_COMMAND: &str = "a command";
const ACTS: [&str; 5] = ["list", "add", "drain", "undrain", "remove"];

pub async fn list(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    Ok(json_answer(&shown(&call.state)?))
}

pub async fn add(call: Call) -> Answer {
    let who = call.owner(Permission::StackChange)?.to_owned();
    let added = call.state.stack.own_instances().map_err(refused)?.add(&who).await.map_err(refused)?;
    Ok(HttpResponse::Created().json(added))
}

pub async fn drain(call: Call, id: web::Path<String>) -> Answer {
    set_draining(&call, &id, true).await
}

pub async fn undrain(call: Call, id: web::Path<String>) -> Answer {
    set_draining(&call, &id, false).await
}

async fn set_draining(call: &Call, id: &str, draining: bool) -> Answer {
    let who = call.owner(Permission::StackChange)?.to_owned();
    let instances = call.state.stack.own_instances().map_err(refused)?;
    Ok(json_answer(&instances.set_draining(id, draining, &who).await.map_err(refused)?))
}

pub async fn remove(call: Call, id: web::Path<String>) -> Answer {
    let who = call.owner(Permission::StackChange)?.to_owned();
    call.state.stack.own_instances().map_err(refused)?.remove(&id, &who).await.map_err(refused)?;
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
    let instances = call.state.stack.own_instances().map_err(refused)?;
    match act {
        "add" => drop(instances.add(A_COMMAND).await.map_err(refused)?),
        "drain" | "undrain" => {
            instances.set_draining(&id, act == "drain", A_COMMAND).await.map_err(refused)?;
        }
        "remove" => instances.remove(&id, A_COMMAND).await.map_err(refused)?,
        _ => {}
    }
    Ok(json_answer(&shown(&call.state)?))
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
