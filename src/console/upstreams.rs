//! Upstreams, changed while requests are under way.

use actix_web::web;
use serde_json::json;

use super::caller::{Answer, Body, Call};
use super::instances::refused;
use super::journeys::json_answer;
use crate::domain::permission::Permission;
use crate::settings::site::WEIGHT_MAX;
use crate::web::problem::Problem;

/// One thing at a time: its weight, or whether it is emptied.
enum Change {
    Weight(u32),
    Draining(bool),
}

pub async fn change(call: Call, id: web::Path<String>, body: Body) -> Answer {
    let name = call.owner(Permission::StackChange)?;
    let change = call.parse(body, |fields| {
        if fields.has("draining") {
            fields.flag("draining").map(Change::Draining)
        } else {
            let weight = fields.integer("weight", 0..=i64::from(WEIGHT_MAX))?;
            u32::try_from(weight).ok().map(Change::Weight)
        }
    })?;
    let stack = &call.state.stack;
    let (changed, what) = match change {
        Change::Weight(weight) => (stack.set_weight(&id, weight), format!("the weight {weight}")),
        Change::Draining(draining) => {
            // An instance of ours has cooks beside its requests.
            if let Ok(own) = stack.own_instances()
                && own.one(&id).is_ok()
            {
                own.set_draining(&id, draining, name).await.map_err(refused)?;
            }
            let what = if draining { "no new requests" } else { "requests again" };
            (stack.set_draining(&id, draining), what.to_owned())
        }
    };
    let Some(upstream) = changed else {
        let detail = "No pool has an upstream of that name.";
        return Err(Problem::new(None, 404, "no-such-upstream", "No such upstream", detail));
    };
    log::info!("{name} gave {id} {what}");
    Ok(json_answer(&upstream))
}

/// What happened to them, the newest last.
pub async fn events(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    Ok(json_answer(&json!({ "events": call.state.stack.upstream_events() })))
}
