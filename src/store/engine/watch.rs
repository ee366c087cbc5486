//! Which statements a step really runs, and how often: asked of SQLite itself, so that nothing has to be
//! declared and nothing can be forgotten (sqlite.org/c3ref/trace_v2.html).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

use super::{Schema, plan};

/// Different statements that one step is credited with at most.
const STATEMENTS_MAX: usize = 64;

thread_local! {
    /// Of the step under way on this thread: a step never leaves its thread.
    static RUNS: RefCell<Vec<Run>> = const { RefCell::new(Vec::new()) };
}

/// A statement, and how often it was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub sql: String,
    pub times: u64,
}

/// Carries out `work` and tells which statements it ran, in the order of their first time.
pub fn watched<T>(connection: &Connection, work: impl FnOnce(&Connection) -> T) -> (T, Vec<Run>) {
    RUNS.with_borrow_mut(Vec::clear);
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note));
    let done = work(connection);
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, None);
    (done, RUNS.take())
}

fn note(event: TraceEvent<'_>) {
    // The steps of a trigger come as comments.
    let TraceEvent::Stmt(_, sql) = event else { return };
    if sql.starts_with("--") {
        return;
    }
    RUNS.with_borrow_mut(|runs| match runs.iter().position(|run| run.sql == sql) {
        Some(index) => runs[index].times += 1,
        None if runs.len() < STATEMENTS_MAX => runs.push(Run { sql: sql.to_owned(), times: 1 }),
        None => {}
    });
}

/// The statements whose plans were found good, of each kind of database.
static LOOKED_AT: Mutex<BTreeSet<(i32, String)>> = Mutex::new(BTreeSet::new());

/// Stops a debug build, and with it whatever test runs the statement, when a plan reads a growing table
/// whole: it is fast with a hundred rows and slow in a year.
pub fn look_at_plans(connection: &Connection, schema: &Schema, runs: &[Run]) {
    for run in runs {
        let key = (schema.application_id, run.sql.clone());
        let looked_at = || LOOKED_AT.lock().unwrap_or_else(PoisonError::into_inner);
        if !looked_at().contains(&key) {
            let plan = plan::explain(connection, &run.sql);
            let scans = plan::scans(&run.sql, &plan, schema.fixed);
            debug_assert!(
                scans.is_empty(),
                "{scans:?}: this reads a growing table whole. Give it an index, or use Engine::survey for what has to \
                 see every row by nature: {}",
                run.sql
            );
            looked_at().insert(key);
        }
    }
}
