//! Which journeys are kept, why, and for how long: tail-based sampling in bounded memory.
//!
//! Each reason has a ring of its own, so that a flood of one kind never pushes out the others: what a person sent to
//! look at, what failed, what a fault struck, what was refused, what was slow, and a uniform sample of the rest.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clock::{Tick, micros};
use super::ids::TraceId;
use super::journey::Journey;
use super::part::EdgePart;

/// Journeys kept of probes, and of each other reason.
const PROBES_MAX: usize = 256;
const OTHERS_MAX: usize = 128;
/// Bytes that the journeys of one ring may take; the oldest go first.
const RING_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What a span takes besides its attributes, about.
const SPAN_BYTES: usize = 256;
/// One in so many unremarkable requests is kept.
pub const SAMPLE_EVERY: u64 = 64;
/// The share of requests that count as the slowest.
const SLOW_SHARE: f64 = 0.01;
/// Of errors, of faults and of refusals each, so many that are put together in a second. Of more, as of all else, a sample will do.
const REMARKABLE_PER_SECOND: u32 = 128;
const SECOND_NS: u64 = 1_000_000_000;

/// Why a journey is kept; the first that is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    Probe,
    /// It failed: a status of 500 or above, no answer, or one that broke off.
    Error,
    /// A fault struck it.
    Fault,
    /// The client was at fault, by a status of 400 to 499, or left.
    Refused,
    /// It is among the slowest hundredth of its time.
    Slow,
    /// One in [`SAMPLE_EVERY`].
    #[default]
    Sample,
}

impl Why {
    const ALL: [Why; 6] = [Why::Probe, Why::Error, Why::Fault, Why::Refused, Why::Slow, Why::Sample];

    pub fn from_id(id: &str) -> Option<Why> {
        Self::ALL.into_iter().find(|why| why.id() == id)
    }

    pub const fn id(self) -> &'static str {
        match self {
            Why::Probe => "probe",
            Why::Error => "error",
            Why::Fault => "fault",
            Why::Refused => "refused",
            Why::Slow => "slow",
            Why::Sample => "sample",
        }
    }
}

/// So many in a second, and no more.
#[derive(Debug, Default)]
struct Budget {
    second: u64,
    spent: u32,
}

impl Budget {
    fn takes(&mut self, now: Tick) -> bool {
        let second = now.as_nanos() / SECOND_NS;
        if self.second != second {
            *self = Budget { second, spent: 0 };
        }
        self.spent = self.spent.saturating_add(1);
        self.spent <= REMARKABLE_PER_SECOND
    }
}

/// Decides when the outcome is known.
#[derive(Debug, Default)]
pub struct Chooser {
    seen: u64,
    slow_us: f64,
    errors: Budget,
    faults: Budget,
    refused: Budget,
}

impl Chooser {
    /// Requests so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Why a request is worth keeping, by the edge's part; None if it is not. The slowest are found by tracking a
    /// quantile with two steps of unequal size (stochastic approximation: up by `1 - share`, down by `share`, so that
    /// it rests where `share` lie above).
    pub fn choose(&mut self, edge: &EdgePart, now: Tick) -> Option<Why> {
        const STEP: f64 = 0.05;
        let us = micros(edge.took);
        let slow = us > self.slow_us;
        self.slow_us += self.slow_us.max(1.0) * STEP * if slow { 1.0 - SLOW_SHARE } else { -SLOW_SHARE };
        self.seen += 1;
        if edge.probe {
            Some(Why::Probe)
        } else if edge.failure.is_some() && self.errors.takes(now) {
            Some(Why::Error)
        } else if edge.spans.iter().any(|span| span.fault.is_some()) && self.faults.takes(now) {
            Some(Why::Fault)
        } else if (400..500).contains(&edge.status) && self.refused.takes(now) {
            Some(Why::Refused)
        } else if slow {
            Some(Why::Slow)
        } else {
            self.seen.is_multiple_of(SAMPLE_EVERY).then_some(Why::Sample)
        }
    }

    /// An instance's part came in which a fault struck: what was not worth keeping, or as a sample only, may be now.
    pub fn struck(&mut self, why: Option<Why>, now: Tick) -> Option<Why> {
        match why {
            None | Some(Why::Refused | Why::Slow | Why::Sample) if self.faults.takes(now) => Some(Why::Fault),
            why => why,
        }
    }
}

/// A journey, and the number under which it was kept: they ascend, over all rings.
#[derive(Debug, Clone)]
pub struct Kept {
    pub number: u64,
    pub journey: Arc<Journey>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Ring {
    kept: VecDeque<Kept>,
    bytes: usize,
}

impl Ring {
    fn push(&mut self, kept: Kept, max: usize) {
        self.bytes += kept.bytes;
        self.kept.push_back(kept);
        while self.kept.len() > max || (self.bytes > RING_BYTES_MAX && self.kept.len() > 1) {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
    }
}

/// The rings.
#[derive(Debug, Default)]
pub struct Rings {
    probes: Ring,
    errors: Ring,
    faults: Ring,
    refused: Ring,
    slow: Ring,
    sample: Ring,
    last: u64,
}

impl Rings {
    pub fn push(&mut self, journey: Arc<Journey>, bytes: usize) {
        self.last += 1;
        let (ring, max) = match journey.summary.kept {
            Why::Probe => (&mut self.probes, PROBES_MAX),
            Why::Error => (&mut self.errors, OTHERS_MAX),
            Why::Fault => (&mut self.faults, OTHERS_MAX),
            Why::Refused => (&mut self.refused, OTHERS_MAX),
            Why::Slow => (&mut self.slow, OTHERS_MAX),
            Why::Sample => (&mut self.sample, OTHERS_MAX),
        };
        ring.push(Kept { number: self.last, journey, bytes }, max);
    }

    fn rings(&self) -> [&Ring; 6] {
        [&self.probes, &self.errors, &self.faults, &self.refused, &self.slow, &self.sample]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.rings().into_iter().flat_map(|ring| &ring.kept)
    }

    /// The latest of a trace.
    pub fn find(&self, trace_id: TraceId) -> Option<&Arc<Journey>> {
        let mut latest_first = self.rings().into_iter().flat_map(|ring| ring.kept.iter().rev());
        latest_first.find(|kept| kept.journey.summary.trace_id == trace_id).map(|kept| &kept.journey)
    }
}

/// What a journey takes in memory, about.
pub fn bytes_of(journey: &Journey) -> usize {
    let spans = journey.spans.iter();
    spans.map(|span| SPAN_BYTES + span.attributes.values().map(text_bytes).sum::<usize>()).sum()
}

fn text_bytes(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(text_bytes).sum(),
            Value::Object(members) => members.iter().map(|(name, value)| name.len() + text_bytes(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::OffsetDateTime;

    use super::*;
    use crate::observe::assemble::{self, Parts};
    use crate::observe::failure::Failure;
    use crate::observe::hop::Hop;
    use crate::observe::ids::SpanId;
    use crate::observe::span::{Context, Trace};

    fn part(status: u16, us: u64, fault: Option<&'static str>) -> EdgePart {
        let context = Context::new_root();
        let start = Tick::from_nanos(1_000);
        let root = Trace::start(context, SpanId::random(), Hop::Http, "Serve the request", start);
        if let Some(fault) = fault {
            root.fault(fault);
        }
        let trace = root.trace().clone();
        root.end_at(Tick::from_nanos(1_000 + us * 1_000));
        EdgePart {
            trace_id: context.trace_id,
            key: context.key,
            probe: false,
            started_at: OffsetDateTime::UNIX_EPOCH,
            method: "GET".to_owned(),
            path: "/menu".to_owned(),
            status,
            failure: Failure::of_status(status),
            took: Duration::from_micros(us),
            counted: None,
            instance_parts: 0,
            your_service: None,
            request_bytes: 0,
            response_bytes: 0,
            spans: trace.finish(),
        }
    }

    fn journey(why: Why, attribute_bytes: usize) -> Arc<Journey> {
        let mut edge = part(200, 5, None);
        edge.spans[0].attributes.push(("a".into(), "x".repeat(attribute_bytes).into()));
        Arc::new(assemble::journey(Parts { edge: Some(edge), ..Parts::default() }, why))
    }

    #[test]
    fn what_failed_what_was_struck_and_what_was_slow_is_worth_keeping() {
        let now = Tick::from_nanos(5 * SECOND_NS);
        let mut chooser = Chooser::default();
        for _ in 0..2_000 {
            chooser.choose(&part(200, 100, None), now);
        }
        assert_eq!(chooser.choose(&part(503, 10, None), now), Some(Why::Error));
        assert_eq!(chooser.choose(&part(200, 10, Some("fault.edge.slow")), now), Some(Why::Fault));
        assert_eq!(chooser.choose(&part(429, 10, None), now), Some(Why::Refused));
        let broken_off = EdgePart { failure: Some(Failure::BrokenOff), ..part(200, 10, None) };
        assert_eq!(chooser.choose(&broken_off, now), Some(Why::Error));
        assert_eq!(chooser.choose(&part(200, 90_000, None), now), Some(Why::Slow));
        assert_eq!(chooser.struck(None, now), Some(Why::Fault));
        assert_eq!(chooser.struck(Some(Why::Error), now), Some(Why::Error));
        let fine = (0..640).filter(|_| chooser.choose(&part(200, 1, None), now) == Some(Why::Sample)).count();
        assert_eq!(fine, 10);
    }

    #[test]
    fn a_flood_of_errors_is_put_together_only_up_to_a_bound() {
        let mut chooser = Chooser::default();
        let kept = |chooser: &mut Chooser, second: u64| {
            let now = Tick::from_nanos(second * SECOND_NS);
            (0..5_000).filter(|_| chooser.choose(&part(503, 0, None), now) == Some(Why::Error)).count()
        };
        let bound = REMARKABLE_PER_SECOND as usize;
        assert_eq!((kept(&mut chooser, 1), kept(&mut chooser, 2)), (bound, bound));
    }

    #[test]
    fn a_flood_of_refusals_takes_no_place_from_a_failure() {
        let (mut chooser, mut rings) = (Chooser::default(), Rings::default());
        let now = Tick::from_nanos(5 * SECOND_NS);
        let mut keep = |edge: EdgePart| {
            let why = chooser.choose(&edge, now);
            if let Some(why) = why {
                rings.push(Arc::new(assemble::journey(Parts { edge: Some(edge), ..Parts::default() }, why)), 1);
            }
            why
        };
        (0..1_000).for_each(|_| _ = keep(part(429, 0, None)));
        let failed = part(503, 0, None);
        let trace_id = failed.trace_id;
        assert_eq!(keep(failed), Some(Why::Error));
        (0..1_000).for_each(|_| _ = keep(part(429, 0, None)));
        assert!(rings.find(trace_id).is_some());
    }

    #[test]
    fn a_flood_of_one_kind_pushes_out_no_other() {
        let mut rings = Rings::default();
        let slow = journey(Why::Slow, 0);
        rings.push(Arc::clone(&slow), 1);
        for _ in 0..10 * OTHERS_MAX {
            rings.push(journey(Why::Error, 0), 1);
        }
        assert!(rings.find(slow.summary.trace_id).is_some());
        assert_eq!(rings.iter().count(), OTHERS_MAX + 1);
    }

    #[test]
    fn a_ring_is_bounded_by_bytes_too() {
        let mut rings = Rings::default();
        for _ in 0..20 {
            let large = journey(Why::Probe, 1024 * 1024);
            let bytes = bytes_of(&large);
            assert!(bytes > 1024 * 1024);
            rings.push(large, bytes);
        }
        assert_eq!((rings.iter().count(), rings.probes.bytes <= RING_BYTES_MAX), (7, true));
    }
}
