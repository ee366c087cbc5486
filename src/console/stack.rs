//! The stack as the console shows it.

use serde_json::{Value, json};

use super::State;
use super::caller::{Answer, Call, unavailable};
use super::journeys::{json_answer, value};
use crate::domain::permission::Permission;
use crate::stack::PoolView;
use crate::store::StoreError;

pub async fn view(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    Ok(json_answer(&state_of(&call.state).await.map_err(unavailable)?))
}

/// What [`view`] answers, and what the event stream tells.
pub async fn state_of(state: &State) -> Result<Value, StoreError> {
    let counts = state.stack.counts().await?;
    let policy = state.stack.settings().snapshot().balancer.policy;
    let pools = state.stack.pool_views();
    Ok(json!({
        "app_url": state.stack.browser_url(),
        "instances": pools.iter().flat_map(upstreams).collect::<Vec<_>>(),
        "pools": pools,
        "policy": policy.id(),
        "configuration_loads": state.stack.loads(),
        "restaurant": counts.is_some(),
        "queue": { "waiting": counts.map(|counts| counts.waiting) },
        "orders": counts.map(|counts| counts.orders),
        "menu_items": counts.map(|counts| counts.menu_items),
    }))
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

/// Each upstream with the name of its pool.
fn upstreams(pool: &PoolView) -> Vec<Value> {
    let with_pool = |mut upstream: Value| {
        upstream["pool"] = json!(pool.name);
        upstream
    };
    pool.upstreams.iter().map(value).map(with_pool).collect()
}

/// The latest steps of the database that took longer than `data.slow_query`, the newest last.
pub async fn slow(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    Ok(json_answer(&json!({ "slow": call.state.stack.slow() })))
}
