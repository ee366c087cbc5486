//! The latest lines: of the process, and of the stack's requests.

use std::sync::Arc;

use serde::Serialize;

use super::State;
use super::caller::{Answer, Call};
use super::journeys::json_answer;
use super::query::Query;
use crate::domain::permission::Permission;
use crate::observe::hop::Hop;
use crate::observe::log::line::Line;
use crate::observe::log::tail::{self, Found, Tail, Wanted};
use crate::observe::log::{self as logs, level_id};
use crate::observe::recorder::Recorder;
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
    let found = tail::search(&tails(&call.state), &wanted);
    Ok(json_answer(&Lines::of(found, call.state.stack.recorder())))
}

fn tails(state: &State) -> [&Tail; 2] {
    [logs::tail(), state.stack.recorder().access().tail()]
}

/// Lines, each with what it leads to.
#[derive(Serialize)]
struct Lines {
    lines: Vec<Marked>,
    last: u64,
    /// Lines that there are.
    kept: usize,
}

#[derive(Serialize)]
struct Marked {
    #[serde(flatten)]
    line: Arc<Line>,
    /// Whether its trace is kept, and can be looked at.
    kept: bool,
}

impl Lines {
    fn of(found: Found, recorder: &Recorder) -> Self {
        let ids = recorder.kept_ids();
        let mark = |line: Arc<Line>| Marked { kept: line.trace_id.is_some_and(|id| ids.contains(&id)), line };
        Self { lines: found.lines.into_iter().map(mark).collect(), last: found.last, kept: found.kept }
    }
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
    found: Lines,
    /// Lines before those, which it is not told of one by one.
    left_out: usize,
}

impl Following {
    /// From now on, if the page asked for it.
    pub fn asked(call: &Call) -> Option<Following> {
        let asked = call.request.query_string().split('&').any(|pair| pair == "log=1");
        asked.then(|| Following(tail::newest(&tails(&call.state), 0, 0).0.last))
    }

    /// None: nothing came.
    pub fn next(&mut self, state: &State) -> Option<Told> {
        let (found, left_out) = tail::newest(&tails(state), self.0, TOLD_MAX);
        self.0 = found.last;
        if found.lines.is_empty() {
            return None;
        }
        Some(Told { found: Lines::of(found, state.stack.recorder()), left_out })
    }
}
