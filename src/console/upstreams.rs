//! Upstreams, changed while requests are under way.

use std::sync::Arc;

use actix_web::web;
use serde_json::json;

use super::caller::{Answer, Body, Call};
use super::instances::set_draining;
use super::journeys::json_answer;
use super::written::carry_out;
use crate::domain::event::Event;
use crate::domain::permission::Permission;
use crate::settings::site::WEIGHT_MAX;
use crate::web::problem::Problem;

/// One thing at a time: its weight, or whether it is emptied.
#[derive(Clone, Copy)]
enum Change {
    Weight(u32),
    Draining(bool),
}

pub async fn change(call: Call, id: web::Path<String>, body: Body) -> Answer {
    let name = call.owner(Permission::StackChange)?.to_owned();
    let change = call.parse(body, |fields| {
        if fields.has("draining") {
            fields.flag("draining").map(Change::Draining)
        } else {
            let weight = fields.integer("weight", 0..=i64::from(WEIGHT_MAX))?;
            u32::try_from(weight).ok().map(Change::Weight)
        }
    })?;
    let stack = &call.state.stack;
    let before = stack.instances().into_iter().find(|upstream| upstream.id == *id).ok_or_else(unknown)?;
    let (event, what) = match change {
        Change::Draining(draining) if stack.own_instances().is_ok_and(|own| own.one(&id).is_ok()) => {
            // An instance of ours has cooks beside its requests.
            set_draining(&call.state, &id, draining, name).await?;
            let upstream = stack.instances().into_iter().find(|upstream| upstream.id == *id);
            return upstream.map(|upstream| json_answer(&upstream)).ok_or_else(unknown);
        }
        Change::Draining(draining) => {
            let shown = |draining: bool| json!({ "draining": draining });
            let event = Event::new(&name, "upstream", &id, &shown(before.draining), &shown(draining));
            (event, if draining { "no new requests".to_owned() } else { "requests again".to_owned() })
        }
        Change::Weight(weight) => {
            let shown = |weight: u32| json!({ "weight": weight });
            let event = Event::new(&name, "upstream", &id, &shown(before.weight), &shown(weight));
            (event, format!("the weight {weight}"))
        }
    };
    let (stack, of) = (Arc::clone(stack), id.clone());
    let act = async move {
        let changed = match change {
            Change::Weight(weight) => stack.set_weight(&of, weight),
            Change::Draining(draining) => stack.set_draining(&of, draining),
        };
        changed.ok_or_else(unknown)
    };
    let upstream = carry_out(&call.state, event, act).await?;
    log::info!("{name} gave {id} {what}");
    Ok(json_answer(&upstream))
}

fn unknown() -> Problem {
    Problem::new(None, 404, "no-such-upstream", "No such upstream", "No pool has an upstream of that name.")
}

/// What happened to them, the newest last.
pub async fn events(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    Ok(json_answer(&json!({ "events": call.state.stack.upstream_events() })))
}
