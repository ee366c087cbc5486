//! What happened to the stack lately, and what was ever changed by whom.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::caller::{Answer, Call, unavailable};
use super::journeys::json_answer;
use super::query::Query;
use crate::domain::event::Recorded;
use crate::domain::permission::Permission;
use crate::observe::happening::KEPT_MAX;
use crate::store::control::PAGE_MAX;

/// Happenings that a list shows when nobody says how many.
const LATEST: usize = 200;
/// Changes that a page shows when nobody says how many.
const PAGE: usize = 50;

/// The latest, the newest last; as many as `?limit=` says, within the bound.
pub async fn latest(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    let mut query = Query::of(&call);
    let limit = query.number("limit", 0, KEPT_MAX as u64).map_or(LATEST, |limit| limit as usize);
    query.end()?;
    let events = call.state.stack.happenings().latest(limit);
    Ok(json_answer(&json!({ "events": events.iter().map(|event| json!(**event)).collect::<Vec<_>>() })))
}

/// What was written down for good, the newest first; `?before=` an id.
pub async fn changes(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    let mut query = Query::of(&call);
    let limit = query.number("limit", 1, PAGE_MAX as u64).map_or(PAGE, |limit| limit as usize);
    let before = query.number("before", 1, i64::MAX as u64).map(|id| id as i64);
    query.end()?;
    let events = call.state.control.events(before, limit).await.map_err(unavailable)?;
    let next = events.last().filter(|last| events.len() == limit && last.id > 1).map(|last| last.id);
    Ok(json_answer(&json!({ "changes": events.iter().map(shown).collect::<Vec<_>>(), "next": next })))
}

fn shown(event: &Recorded) -> Value {
    let json = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({
        "id": event.id,
        "at": event.at.format(&Rfc3339).ok(),
        "who": event.who,
        "kind": event.kind,
        "subject": event.subject,
        "before": json(&event.before),
        "after": json(&event.after),
    })
}
