//! The latest lines: of the process, and of the stack's requests.

use serde::Serialize;

use super::State;
use super::caller::{Answer, Call};
use super::journeys::json_answer;
use super::query::Query;
use crate::domain::permission::Permission;
use crate::observe::hop::Hop;
use crate::observe::log::tail::{self, Found, Wanted};
use crate::observe::log::{self as logs, level_id};
use crate::web::problem::Problem;

/// Lines in one answer, unless the query says how many; and at most.
const LIMIT: u64 = 200;
const LIMIT_MAX: u64 = 2_000;
/// Lines told to a page at once. It is told several times a second.
const TOLD_MAX: usize = 100;

/// What of the latest lines is asked for.
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
    let wanted = wanted(call)?;
    Ok(json_answer(&search(&call.state, &wanted)))
}

fn search(state: &State, wanted: &Wanted) -> Found {
    tail::search(&[logs::tail(), state.stack.recorder().access().tail()], wanted)
}

fn wanted(call: &Call) -> Result<Wanted, Problem> {
    let mut query = Query::of(call);
    let wanted = Wanted {
        after: query.number("after", 0, u64::MAX),
        hop: hop(&mut query),
        level: query.take("level", "error, warn, info, debug or trace", |text| {
            log::Level::iter().find(|level| level_id(*level) == text)
        }),
        word: query.text("q", 200).map(|word| word.to_lowercase()),
        limit: query.number("limit", 1, LIMIT_MAX).unwrap_or(LIMIT) as usize,
    };
    query.end().map(|()| wanted)
}

/// A hop by its id.
pub fn hop(query: &mut Query) -> Option<Hop> {
    let expected = format!("One of {}", Hop::ALL.map(Hop::id).join(", "));
    query.take("hop", &expected, |text| Hop::ALL.into_iter().find(|hop| hop.id() == text))
}

/// Follows the log for a page.
pub struct Following(u64);

/// What has come since a page was told last.
#[derive(Serialize)]
pub struct Told {
    #[serde(flatten)]
    found: Found,
    /// Lines before those, which it is not told of one by one.
    left_out: usize,
}

impl Following {
    /// From now on, if the page asked for it.
    pub fn asked(call: &Call) -> Option<Following> {
        let asked = call.request.query_string().split('&').any(|pair| pair == "log=1");
        asked.then(|| Following(search(&call.state, &Wanted { limit: 0, ..Wanted::default() }).last))
    }

    /// None: nothing came.
    pub fn next(&mut self, state: &State) -> Option<Told> {
        let mut found = search(state, &Wanted { after: Some(self.0), limit: usize::MAX, ..Wanted::default() });
        self.0 = found.last;
        let left_out = found.lines.len().saturating_sub(TOLD_MAX);
        found.lines.drain(..left_out);
        (!found.lines.is_empty()).then_some(Told { found, left_out })
    }
}
