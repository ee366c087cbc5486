//! Restarts of all instances one after another, and releases of another version.

use actix_web::HttpResponse;
use serde_json::json;

use super::State;
use super::caller::{Answer, Body, Call};
use super::instances::refused;
use super::journeys::json_answer;
use super::written::{A_COMMAND, carry_out};
use crate::domain::event::Event;
use crate::domain::permission::Permission;
use crate::stack::instances::InstancesError;
use crate::stack::instances::rollout::{VERSION_CHARS_MAX, is_version};
use crate::web::problem::Problem;

const KINDS: [&str; 2] = ["restart", "release"];
const ACTS: [&str; 4] = ["restart", "release", "call-back", "show"];

pub async fn begin(call: Call, body: Body) -> Answer {
    let who = call.owner(Permission::StackChange)?.to_owned();
    let version = call.parse(body, |fields| match fields.one_of("kind", KINDS.into_iter())? {
        "release" => fields.text("version", VERSION_CHARS_MAX).map(|version| Some(version.to_owned())),
        _ => Some(None),
    })?;
    started(&call, version, who).await
}

pub async fn call_back(call: Call) -> Answer {
    let who = call.owner(Permission::StackChange)?.to_owned();
    let instances = call.state.stack.own_instances().map_err(refused)?;
    called_back(&call.state, who).await?;
    Ok(HttpResponse::Accepted().json(instances.rollout()))
}

/// For a command: begins one, calls it back, or shows how far it is.
pub async fn by_command(call: Call, body: Body) -> Answer {
    call.command()?;
    let (act, version) = call.parse(body, |fields| {
        let act = fields.one_of("act", ACTS.into_iter())?;
        let version = match act {
            "release" => Some(fields.text("version", VERSION_CHARS_MAX)?.to_owned()),
            _ => None,
        };
        Some((act, version))
    })?;
    let instances = call.state.stack.own_instances().map_err(refused)?;
    match act {
        "restart" | "release" => return started(&call, version, A_COMMAND.to_owned()).await,
        "call-back" => called_back(&call.state, A_COMMAND.to_owned()).await?,
        _ => {}
    }
    Ok(json_answer(&instances.rollout()))
}

async fn called_back(state: &State, who: String) -> Result<(), Problem> {
    let instances = state.stack.own_instances().cloned().map_err(refused)?;
    let under_way = instances.rollout().filter(|rollout| rollout.is_under_way());
    let rollout = under_way.ok_or_else(|| refused(InstancesError::NoRollout))?;
    let event = Event::new(&who, "rollout", rollout.kind.id(), &json!(rollout.version), &json!("called back"));
    carry_out(state, event, async move { instances.call_back(&who).map_err(refused) }).await
}

async fn started(call: &Call, version: Option<String>, who: String) -> Answer {
    if let Some(version) = version.as_deref().filter(|version| !is_version(version)) {
        let detail = "A version is a short word of letters, digits, dots, dashes and underscores, such as v2.";
        let problem = Problem::new(None, 422, "bad-version", "Not a version", detail);
        return Err(problem.field("/version".to_owned(), format!("'{version}' is no version's name.")));
    }
    let instances = call.state.stack.own_instances().cloned().map_err(refused)?;
    let (kind, before) = (if version.is_some() { "release" } else { "restart" }, instances.version());
    let event = Event::new(&who, "rollout", kind, &json!(before), &json!(version.as_ref().unwrap_or(&before)));
    let act = async move { instances.begin_rollout(version.as_deref(), &who).map_err(refused) };
    let rollout = carry_out(&call.state, event, act).await?;
    Ok(HttpResponse::Accepted().json(rollout))
}
