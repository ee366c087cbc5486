//! A connection at work for one request, with the trace that its steps are recorded in.

use rusqlite::Connection;
use serde_json::{Map, Value};

use super::super::{Cause, StoreError};
use super::faults::DataFaults;
use super::slow::SlowLog;
use super::watch::{self, Run};
use super::{Schema, plan};
use crate::faults::{Home, Strike};
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::part::STATEMENT_RUNS;
use crate::observe::span::{Span, Status};

/// What a step did, for the trace.
#[derive(Debug, Clone, Copy)]
pub enum Touched {
    Returned(usize),
    Changed(usize),
}

/// What all connections of a database have in common.
#[derive(Debug)]
pub struct Common {
    pub schema: Schema,
    pub slow: SlowLog,
    pub faults: DataFaults,
}

/// How much of the data the work may have to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A bounded part, found by an index.
    Part,
    /// Every row, by nature: an audit.
    Whole,
}

/// Each step is a span that begins where the one before it ended: the spans add up to the whole.
pub struct Db<'a> {
    connection: &'a Connection,
    common: &'a Common,
    span: &'a Span,
    extent: Extent,
    home: Option<&'a Home>,
    at: Tick,
}

impl<'a> Db<'a> {
    /// The first step begins at `at`.
    pub(super) fn new(
        connection: &'a Connection,
        common: &'a Common,
        span: &'a Span,
        extent: Extent,
        home: Option<&'a Home>,
        at: Tick,
    ) -> Self {
        Self { connection, common, span, extent, home, at }
    }

    /// Where the last step ended.
    pub(super) fn at(&self) -> Tick {
        self.at
    }

    /// Carries out `work`, which runs `statements` (or some of them). With full detail the trace says which
    /// ran, how often, and by what plan; the plans are asked for in a span of their own, so that the cost
    /// of looking is not booked as the cost of the query.
    pub fn step<T>(
        &mut self,
        name: &'static str,
        statements: &[&'static str],
        work: impl FnOnce(&Connection) -> rusqlite::Result<(T, Touched)>,
    ) -> Result<T, StoreError> {
        let (detailed, began) = (self.span.detailed(), self.at);
        let struck = self.disturb(name)?;
        let (done, runs) = if detailed || cfg!(debug_assertions) {
            watch::watched(self.connection, work)
        } else {
            (work(self.connection), Vec::new())
        };
        let span = self.lap(Hop::Data, name);
        struck.into_iter().for_each(|strike| strike.mark(&span));
        let took = self.at.since(began);
        if self.common.slow.threshold().is_some_and(|threshold| took >= threshold) {
            self.common.slow.note(self.connection, name, statements, took);
            self.at = Tick::now();
        }
        if cfg!(debug_assertions) && self.extent == Extent::Part && !self.common.faults.index_is_gone() {
            watch::look_at_plans(self.connection, &self.common.schema, &runs);
        }
        if detailed {
            self.tell(&span, &runs);
        }
        match done {
            Ok((value, touched)) => {
                match touched {
                    Touched::Returned(rows) => span.attribute("db.response.returned_rows", || rows),
                    Touched::Changed(rows) => span.attribute("db.rows_changed", || rows),
                };
                Ok(value)
            }
            Err(error) => {
                span.status(Status::Error).attribute("error.type", || error.to_string());
                Err(error.into())
            }
        }
    }

    /// A rule of the business that is applied in the midst of a transaction; `fact` says what it found.
    pub fn rule<T, E: std::fmt::Display>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<T, E>,
        fact: impl FnOnce(&T) -> String,
    ) -> Result<T, E> {
        let found = work();
        let span = self.lap(Hop::Service, name);
        match &found {
            Ok(value) => span.attribute("roundtrip.service.fact", || fact(value)),
            Err(refusal) => span.status(Status::Error).attribute("roundtrip.service.fact", || refusal.to_string()),
        };
        found
    }

    /// What a step ran, on its span, with the plans.
    fn tell(&mut self, span: &Span, runs: &[Run]) {
        let plans: Vec<String> = runs.iter().flat_map(|run| plan::explain(self.connection, &run.sql)).collect();
        self.lap(Hop::Data, "Ask for the plan");
        let texts: Vec<&str> = runs.iter().map(|run| &*run.sql).collect();
        let times = || runs.iter().map(|run| (run.sql.clone(), run.times.into())).collect::<Map<String, Value>>();
        span.attribute("db.system.name", || "sqlite")
            .attribute("db.query.text", || texts.join(";\n"))
            .attribute("db.query.plan", || plans)
            .attribute(STATEMENT_RUNS, times);
    }

    /// What the faults that are on do to a step before it begins: it is held up, or fails.
    fn disturb(&mut self, name: &'static str) -> Result<Option<Strike>, StoreError> {
        let Some(home) = self.home else { return Ok(None) };
        match self.common.faults.before_step(home) {
            Ok(struck) => Ok(struck),
            Err(strike) => {
                let span = self.lap(Hop::Data, name);
                strike.mark(&span);
                span.status(Status::Error).attribute("error.type", || strike.fault.key());
                Err(StoreError::unavailable(Cause::Busy))
            }
        }
    }

    fn lap(&mut self, hop: Hop, name: &'static str) -> Span {
        let now = Tick::now();
        let span = self.span.record(hop, name, self.at, now);
        self.at = now;
        span
    }
}
