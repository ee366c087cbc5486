//! Looking for journeys among those that are kept.

use serde_json::{Value, json};

use super::caller::{Answer, Call};
use super::journeys::{json_answer, value};
use super::logs;
use super::query::Query;
use crate::domain::permission::Permission;
use crate::observe::kept::{SAMPLE_EVERY, Why};
use crate::observe::search::{Statuses, Wanted, search};
use crate::web::problem::Problem;

/// Journeys in one answer, unless the query says how many; and at most.
const LIMIT: u64 = 50;
const LIMIT_MAX: u64 = 200;
/// Longest duration that can be asked for: an hour.
const US_MAX: u64 = 3_600_000_000;

/// Those that the query describes, the latest first.
pub async fn list(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    found(&call)
}

/// The same, for a command.
pub async fn list_by_command(call: Call) -> Answer {
    call.command()?;
    found(&call)
}

fn found(call: &Call) -> Answer {
    let (wanted, limit) = wanted(call)?;
    let recorder = call.state.stack.recorder();
    let found = search(recorder.kept(), &wanted, limit);
    let journeys: Vec<Value> = found.journeys.iter().map(|journey| value(&journey.summary)).collect();
    Ok(json_answer(&json!({
        "journeys": journeys,
        "next": found.next,
        "kept": found.kept,
        "seen": recorder.seen(),
        "kept_why": format!(
            "Probes, failures, requests that a fault struck, refusals, the slowest hundredth, and one in {SAMPLE_EVERY} of \
             the rest; the latest of each, in memory."
        ),
    })))
}

fn wanted(call: &Call) -> Result<(Wanted, usize), Problem> {
    let mut query = Query::of(call);
    let wanted = Wanted {
        hop: logs::hop(&mut query),
        route: query.text("route", 200),
        status: query.take("status", "A status (404), a class (5xx), or 0 for no answer", Statuses::parse),
        min_us: query.number("min_us", 0, US_MAX).map(|us| us as f64),
        max_us: query.number("max_us", 0, US_MAX).map(|us| us as f64),
        fault: query.text("fault", 100),
        sent_as: query.text("as", 40),
        probe: query.take("probe", "true or false", |text| text.parse().ok()),
        kept: query.take("kept", "probe, error, fault, refused, slow or sample", Why::from_id),
        before: query.number("before", 0, u64::MAX),
    };
    let limit = query.number("limit", 1, LIMIT_MAX).unwrap_or(LIMIT) as usize;
    query.end().map(|()| (wanted, limit))
}
