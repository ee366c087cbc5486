//! The stack as the console shows it.

use std::sync::{Arc, PoisonError};

use actix_web::web;
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use super::caller::{Answer, Call};
use super::journeys::{json_answer, value};
use super::{STATE_EVERY, State};
use crate::domain::permission::Permission;
use crate::stack::PoolView;
use crate::stack::people::Counts;

pub async fn view(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    Ok(json_answer(&state_of(&call.state)))
}

/// Works out the overview for as long as the console is there.
pub fn keep_overview(state: &web::Data<State>) {
    let (state, mut closing) = (Arc::downgrade(state), state.closing.clone());
    let mut every = tokio::time::interval(STATE_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                // An error says that the console is gone.
                _ = closing.wait_for(|closing| *closing) => return,
                _ = every.tick() => {}
            }
            let Some(state) = state.upgrade() else { return };
            state.overview.send_replace(state_of(&state));
        }
    });
}

/// What is known now, or was last: whatever a fault does to the stack's database, nobody waits for it here.
fn counts(state: &State) -> Option<Counts> {
    let mut counted = state.counted.lock().unwrap_or_else(PoisonError::into_inner);
    *counted = state.stack.counts_now().or(*counted);
    *counted
}

/// What [`view`] answers, and what the event stream tells.
pub fn state_of(state: &State) -> Value {
    let counts = counts(state);
    let settings = state.stack.settings().snapshot();
    let (policy, workers) = (settings.balancer.policy, settings.service.kitchen.workers);
    let pools = state.stack.pool_views();
    json!({
        "app_url": state.stack.browser_url(),
        "instances": pools.iter().flat_map(|pool| upstreams(pool, workers)).collect::<Vec<_>>(),
        "pools": pools,
        "policy": policy.id(),
        "configuration_loads": state.stack.loads(),
        "restaurant": state.stack.has_restaurant(),
        "queue": { "waiting": counts.map(|counts| counts.waiting) },
        "orders": counts.map(|counts| counts.orders),
        "menu_items": counts.map(|counts| counts.menu_items),
    })
}

/// What stands beside the line: each instance's cache of the menu, and how it stands with the supplier.
pub async fn sides(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    let stack = &call.state.stack;
    let caches = stack.menu_caches().into_iter().map(|(id, figures)| of_instance(&id, value(&figures)));
    let buyers = stack.buyers().into_iter().map(|(id, figures)| of_instance(&id, value(&figures)));
    Ok(json_answer(&json!({
        "caches": caches.collect::<Vec<_>>(),
        "buyers": buyers.collect::<Vec<_>>(),
        "deliveries": stack.deliveries(),
    })))
}

fn of_instance(id: &str, mut figures: Value) -> Value {
    figures["instance"] = json!(id);
    figures
}

/// Each upstream with the name of its pool; an instance of ours with the workers of its kitchen.
fn upstreams(pool: &PoolView, workers: u64) -> Vec<Value> {
    let with_pool = |mut upstream: Value| {
        upstream["pool"] = json!(pool.name);
        if upstream["own"] == true {
            upstream["workers"] = json!(workers);
        }
        upstream
    };
    pool.upstreams.iter().map(value).map(with_pool).collect()
}

/// The latest steps of the database that took longer than `data.slow_query`, the newest last.
pub async fn slow(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    Ok(json_answer(&json!({ "slow": call.state.stack.slow() })))
}
