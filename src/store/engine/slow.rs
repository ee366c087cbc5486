//! The slow-query log: steps that took longer than `data.slow_query`, each with its statements and plans.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use time::OffsetDateTime;

use super::plan;
use crate::observe::clock::micros;
use crate::settings::runtime::Settings;

/// How many are remembered; the oldest goes first.
const KEPT_MAX: usize = 64;

/// A step that was slow, as it is shown. The texts are for people: nothing can be run from here.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Slow {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub step: &'static str,
    pub statements: Vec<String>,
    pub plan: Vec<String>,
    pub took_us: f64,
}

/// Cheap to clone: the writer and the readers of one database share it.
#[derive(Debug, Clone, Default)]
pub struct SlowLog {
    settings: Settings,
    kept: Arc<Mutex<VecDeque<Slow>>>,
}

impl SlowLog {
    pub fn new(settings: Settings) -> Self {
        Self { settings, kept: Arc::default() }
    }

    /// From how long on a step is slow; None: none is.
    pub fn threshold(&self) -> Option<Duration> {
        Some(self.settings.snapshot().data.slow_query).filter(|threshold| !threshold.is_zero())
    }

    /// Writes a slow step down. The plans are asked for now: it is rare, and the statement was slow anyway.
    pub fn note(&self, connection: &Connection, step: &'static str, statements: &[&'static str], took: Duration) {
        let plan: Vec<String> = statements.iter().flat_map(|sql| plan::explain(connection, sql)).collect();
        let took_us = micros(took);
        log::warn!("store: slow: {step} took {took_us:.0} µs: {} ({})", statements.join("; "), plan.join("; "));
        let statements = statements.iter().map(|sql| (*sql).to_owned()).collect();
        let mut kept = self.kept();
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(Slow { at: OffsetDateTime::now_utc(), step, statements, plan, took_us });
    }

    /// Those remembered, the newest last.
    pub fn list(&self) -> Vec<Slow> {
        self.kept().iter().cloned().collect()
    }

    /// Entries are whole values: a panic elsewhere leaves none half-written.
    fn kept(&self) -> MutexGuard<'_, VecDeque<Slow>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
