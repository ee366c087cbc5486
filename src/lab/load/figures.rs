//! What a load came to, as people and programs read it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::tally::{Tally, Times};

/// From here on the generator, not the server, makes the figures (99 in 100 requests, in milliseconds).
const LAG_MS_MAX: f64 = 5.0;
/// Without an answer, of those sent: more than this, and who waited longest is missing from the latencies.
const LOST_MAX: f64 = 1e-3;
/// A thread that works for more of its time than this can't keep up.
const BUSY_MAX: f64 = 0.9;

/// How far a load is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Connections are opened; the clock does not run yet.
    Opening,
    Running,
    /// Nothing more is due; what is under way may end.
    Finishing,
    Done,
}

/// Times in milliseconds; None when there are none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
    pub p999: Option<f64>,
    pub max: Option<f64>,
    pub mean: Option<f64>,
}

impl From<&Times> for Percentiles {
    fn from(times: &Times) -> Self {
        let at = |quantile| times.at(quantile);
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: times.max(), mean: times.mean() }
    }
}

/// One kind of request of the mix.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindFigures {
    pub name: String,
    pub sent: u64,
    pub answered: u64,
    /// Without an answer, or with a status of 500 or more.
    pub failed: u64,
    pub latency_ms: Percentiles,
}

/// One second of the series. Requests count in the second in which they were sent or answered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SecondFigures {
    /// Since the load began, at its end.
    pub at_s: f64,
    pub planned: u64,
    pub sent: u64,
    pub answered: u64,
    /// Without an answer, or with a status of 500 or more.
    pub failed: u64,
    pub not_sent: u64,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub max_ms: Option<f64>,
}

/// All that is known at a moment. Every planned request is in exactly one of `waiting`, `not_sent` and `sent`;
/// every sent one in exactly one of `in_flight`, `answered`, `errors` and `unfinished`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    pub phase: Phase,
    pub elapsed_s: f64,
    /// Requests that came due.
    pub planned: u64,
    pub sent: u64,
    pub answered: u64,
    /// With a status below 400.
    pub ok: u64,
    /// Due, and not sent yet because every connection is busy.
    pub waiting: u64,
    /// Never sent: the backlog was full, or the load ended first.
    pub not_sent: u64,
    pub in_flight: u64,
    /// Cut off at the end, before they were answered.
    pub unfinished: u64,
    /// By class: 2xx, 3xx, 4xx, 5xx.
    pub classes: BTreeMap<String, u64>,
    pub statuses: BTreeMap<u16, u64>,
    pub errors: BTreeMap<&'static str, u64>,
    /// How the first error of each kind was told.
    pub why: BTreeMap<&'static str, String>,
    /// Answers a second, over the whole time.
    pub throughput: f64,
    /// From when a request was due (so that a server that stalls can't hide how long others waited) to the end
    /// of its answer, whatever its status. Requests without an answer are among the errors.
    pub latency_ms: Percentiles,
    /// From when a connection took it.
    pub service_ms: Percentiles,
    /// How late the generator itself was: of requests for which a connection was free.
    pub lag_ms: Percentiles,
    /// The part of their time that the generator's threads worked.
    pub busy: f64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub connections_opened: u64,
    pub requests: Vec<KindFigures>,
    /// What makes these figures doubtful.
    pub warnings: Vec<String>,
    /// The latest second that is over.
    pub second: Option<SecondFigures>,
}

/// What the tally does not know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    pub phase: Phase,
    pub elapsed_s: f64,
    pub planned: u64,
    pub not_sent: u64,
    pub waiting: u64,
    pub busy: f64,
}

impl Figures {
    pub(super) fn new(tally: &Tally, names: &[String], around: Around, second: Option<SecondFigures>) -> Self {
        let failed: u64 = tally.errors.values().sum();
        let open = tally.sent.saturating_sub(tally.answered + failed);
        let done = around.phase == Phase::Done;
        let mut classes: BTreeMap<String, u64> = BTreeMap::new();
        for (status, count) in &tally.statuses {
            *classes.entry(format!("{}xx", status / 100)).or_default() += count;
        }
        let kinds = names.iter().zip(&tally.kinds).map(|(name, kind)| KindFigures {
            name: name.clone(),
            sent: kind.sent,
            answered: kind.answered,
            failed: kind.failed,
            latency_ms: Percentiles::from(&kind.latency),
        });
        let mut figures = Self {
            phase: around.phase,
            elapsed_s: around.elapsed_s,
            planned: around.planned,
            sent: tally.sent,
            answered: tally.answered,
            ok: tally.statuses.range(..400).map(|(_, count)| count).sum(),
            waiting: around.waiting,
            not_sent: around.not_sent,
            in_flight: if done { 0 } else { open },
            unfinished: if done { open } else { 0 },
            classes,
            statuses: tally.statuses.clone(),
            errors: tally.errors.iter().map(|(kind, count)| (kind.id(), *count)).collect(),
            why: tally.why.iter().map(|(kind, why)| (kind.id(), why.clone())).collect(),
            throughput: if around.elapsed_s > 0.0 { tally.answered as f64 / around.elapsed_s } else { 0.0 },
            latency_ms: Percentiles::from(&tally.latency),
            service_ms: Percentiles::from(&tally.service),
            lag_ms: Percentiles::from(&tally.lag),
            busy: around.busy,
            bytes_sent: tally.bytes_sent,
            bytes_received: tally.bytes_received,
            connections_opened: tally.opened,
            requests: kinds.collect(),
            warnings: Vec::new(),
            second,
        };
        figures.warnings = figures.doubts();
        figures
    }

    /// Before anything was sent.
    pub(super) fn none() -> Self {
        let around = Around { phase: Phase::Opening, elapsed_s: 0.0, planned: 0, not_sent: 0, waiting: 0, busy: 0.0 };
        Self::new(&Tally::default(), &[], around, None)
    }

    /// Requests without an answer.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if let Some(lag) = self.lag_ms.p99.filter(|lag| *lag > LAG_MS_MAX) {
            doubts.push(format!(
                "The generator was late itself: 1 in 100 requests was sent {lag:.1} ms after it was due, though a \
                 connection was free. This machine could not send that load; the latencies are partly its own."
            ));
        }
        if self.busy > BUSY_MAX {
            doubts.push(format!(
                "The generator's threads worked {:.0} % of the time: they, not the server, may be the limit.",
                self.busy * 100.0
            ));
        }
        if self.not_sent > 0 && self.phase != Phase::Opening {
            doubts.push(format!(
                "{} requests that came due were never sent: every connection was busy. Latencies leave them out.",
                self.not_sent
            ));
        }
        let lost = self.failed() + self.unfinished;
        if lost as f64 > LOST_MAX * self.sent as f64 {
            doubts.push(format!(
                "{lost} of {} requests that were sent got no answer, so they have no latency: p99 and above leave out \
                 the slowest.",
                self.sent
            ));
        }
        doubts
    }
}
