//! Restarts of all instances one after another, and releases of another version.

use actix_web::HttpResponse;

use super::caller::{Answer, Body, Call};
use super::instances::refused;
use super::journeys::json_answer;
use crate::domain::permission::Permission;
use crate::stack::instances::rollout::{VERSION_CHARS_MAX, is_version};
use crate::web::problem::Problem;

const KINDS: [&str; 2] = ["restart", "release"];
const ACTS: [&str; 4] = ["restart", "release", "call-back", "show"];
const A_COMMAND: &str = "a command";

pub async fn begin(call: Call, body: Body) -> Answer {
    let who = call.owner(Permission::StackChange)?.to_owned();
    let version = call.parse(body, |fields| match fields.one_of("kind", KINDS.into_iter())? {
        "release" => fields.text("version", VERSION_CHARS_MAX).map(|version| Some(version.to_owned())),
        _ => Some(None),
    })?;
    started(&call, version, &who)
}

pub async fn call_back(call: Call) -> Answer {
    let who = call.owner(Permission::StackChange)?.to_owned();
    let instances = call.state.stack.own_instances().map_err(refused)?;
    instances.call_back(&who).map_err(refused)?;
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
        "restart" | "release" => return started(&call, version, A_COMMAND),
        "call-back" => instances.call_back(A_COMMAND).map_err(refused)?,
        _ => {}
    }
    Ok(json_answer(&instances.rollout()))
}

fn started(call: &Call, version: Option<String>, who: &str) -> Answer {
    if let Some(version) = version.as_deref().filter(|version| !is_version(version)) {
        let detail = "A version is a short word of letters, digits, dots, dashes and underscores, such as v2.";
        let problem = Problem::new(None, 422, "bad-version", "Not a version", detail);
        return Err(problem.field("/version".to_owned(), format!("'{version}' is no version's name.")));
    }
    let instances = call.state.stack.own_instances().map_err(refused)?;
    let rollout = instances.begin_rollout(version.as_deref(), who).map_err(refused)?;
    Ok(HttpResponse::Accepted().json(rollout))
}
