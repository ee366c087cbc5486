//! A connection at work for one request, with the trace that its steps are recorded in.

use rusqlite::Connection;

use super::super::StoreError;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::span::{Span, Status};

/// What a step did, for the trace.
#[derive(Debug, Clone, Copy)]
pub enum Touched {
    Returned(usize),
    Changed(usize),
}

/// Each step is a span that begins where the one before it ended: the spans add up to the whole.
pub struct Db<'a> {
    connection: &'a Connection,
    span: &'a Span,
    at: Tick,
}

impl<'a> Db<'a> {
    pub(super) fn new(connection: &'a Connection, span: &'a Span) -> Self {
        Self::since(connection, span, Tick::now())
    }

    /// The first step begins at `at`.
    pub(super) fn since(connection: &'a Connection, span: &'a Span, at: Tick) -> Self {
        Self { connection, span, at }
    }

    /// Where the last step ended.
    pub(super) fn at(&self) -> Tick {
        self.at
    }

    /// Carries out `work`, which runs `statements` (each at least once, or for some of several rows).
    /// With full detail their plans are asked for first, in a span of its own, so that the cost of
    /// looking is not booked as the cost of the query.
    pub fn step<T>(
        &mut self,
        name: &'static str,
        statements: &[&'static str],
        work: impl FnOnce(&Connection) -> rusqlite::Result<(T, Touched)>,
    ) -> Result<T, StoreError> {
        let plans = self.span.detailed().then(|| self.explain(statements));
        let done = work(self.connection);
        let span = self.lap(Hop::Data, name);
        if let Some(plans) = plans {
            span.attribute("db.system.name", || "sqlite")
                .attribute("db.query.text", || statements.join(";\n"))
                .attribute("db.query.plan", || plans);
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

    /// EXPLAIN QUERY PLAN of each (sqlite.org/eqp.html), a line a step of the plan.
    fn explain(&mut self, statements: &[&str]) -> Vec<String> {
        let plan = |sql: &str| -> rusqlite::Result<Vec<String>> {
            let mut explain = self.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let mut rows = explain.raw_query();
            let mut lines = Vec::new();
            while let Some(row) = rows.next()? {
                lines.push(row.get(3)?);
            }
            Ok(lines)
        };
        let plans = statements.iter().flat_map(|sql| plan(sql).unwrap_or_default()).collect();
        self.lap(Hop::Data, "Ask for the plan");
        plans
    }

    fn lap(&mut self, hop: Hop, name: &'static str) -> Span {
        let now = Tick::now();
        let span = self.span.record(hop, name, self.at, now);
        self.at = now;
        span
    }
}
