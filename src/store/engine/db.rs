//! A connection at work for one request, with the trace that its steps are recorded in.

use rusqlite::Connection;
use serde_json::{Map, Value};

use super::super::StoreError;
use super::slow::SlowLog;
use super::watch::{self, Run};
use super::{Schema, plan};
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
    at: Tick,
}

impl<'a> Db<'a> {
    /// The first step begins at `at`.
    pub(super) fn new(
        connection: &'a Connection,
        common: &'a Common,
        span: &'a Span,
        extent: Extent,
        at: Tick,
    ) -> Self {
        Self { connection, common, span, extent, at }
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
        let (done, runs) = if detailed || cfg!(debug_assertions) {
            watch::watched(self.connection, work)
        } else {
            (work(self.connection), Vec::new())
        };
        let span = self.lap(Hop::Data, name);
        let took = self.at.since(began);
        if self.common.slow.threshold().is_some_and(|threshold| took >= threshold) {
            self.common.slow.note(self.connection, name, statements, took);
            self.at = Tick::now();
        }
        if cfg!(debug_assertions) && self.extent == Extent::Part {
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

    fn lap(&mut self, hop: Hop, name: &'static str) -> Span {
        let now = Tick::now();
        let span = self.span.record(hop, name, self.at, now);
        self.at = now;
        span
    }
}
