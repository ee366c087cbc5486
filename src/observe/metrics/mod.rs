//! Counters and histograms of one stack. A request costs some additions: no lock, and no allocation once its series is
//! there. What a module counts already is not counted here: whoever writes the [`exposition`] reads it there.
//!
//! Rate, errors and duration of requests by route ([`requests`]) and of each hop; durations as Prometheus reads them
//! ([`classic`]) and, for percentiles that can be merged, finer ([`histogram`]).

pub mod classic;
pub mod exposition;
pub mod histogram;
pub mod process;
pub mod requests;
pub mod routes;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::failure::Failure;
use super::hop::Hop;
use super::part::{DnsPart, EdgePart, Part};
use super::span::{Direction, Record, Status};
use classic::{Classic, Exemplar};
use histogram::Histogram;
use requests::{Key, Requests};
use routes::Routes;

/// Codes of DNS answers that are told apart (RFC 1035, section 4.1.1).
pub const DNS_CODES: [&str; 6] = ["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "FORMERR", "other"];

/// Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    routes: Routes,
    requests: Requests,
    all: Histogram,
    errors: AtomicU64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    hops: [HopSeries; Hop::ALL.len()],
    /// Full handshakes, and resumed ones.
    handshakes: [Classic; 2],
    handshakes_failed: AtomicU64,
    dns: [AtomicU64; DNS_CODES.len()],
}

#[derive(Debug, Default)]
pub struct HopSeries {
    /// What a request spends there itself.
    pub durations: Classic,
    /// Requests for which something there failed.
    pub errors: AtomicU64,
}

/// A request that the edge has answered.
#[derive(Debug)]
pub struct Served<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// The route that it took, if that leads to somebody's own service.
    pub route: Option<&'a Arc<str>>,
    pub status: u16,
    /// None: it did not fail.
    pub failure: Option<Failure>,
    /// As [`EdgePart::took`].
    pub took: Duration,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

/// What the live series is made of: all since the start.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    pub durations: histogram::Counts,
    pub errors: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Metrics {
    /// `templates`: the routes of the application.
    pub fn new(templates: &'static [&'static str]) -> Self {
        Self(Arc::new(Inner {
            routes: Routes::new(templates),
            requests: Requests::default(),
            all: Histogram::default(),
            errors: AtomicU64::new(0),
            request_bytes: AtomicU64::new(0),
            response_bytes: AtomicU64::new(0),
            hops: Default::default(),
            handshakes: Default::default(),
            handshakes_failed: AtomicU64::new(0),
            dns: Default::default(),
        }))
    }

    /// Counts a request, and says under what.
    pub fn served(&self, served: &Served<'_>) -> Key {
        let Inner { routes, requests, all, errors, request_bytes, response_bytes, .. } = &*self.0;
        let route = served.route.map_or_else(|| routes.of(served.path), |name| routes.named(name));
        let key = Key::new(served.method, route, served.status, served.failure);
        requests.of(key).record(served.took);
        all.record(served.took);
        errors.fetch_add(served.failure.is_some().into(), Relaxed);
        request_bytes.fetch_add(served.request_bytes, Relaxed);
        response_bytes.fetch_add(served.response_bytes, Relaxed);
        key
    }

    /// Counts what one side of a socket did, by hop.
    pub fn count(&self, part: &Part) {
        match part {
            Part::Client(part) => self.hops(&part.spans, |hop| hop == Hop::Client),
            Part::Edge(part) => self.hops(&part.spans, |_| true),
            Part::Instance(part) => self.hops(&part.spans, |_| true),
            Part::Dns(part) => self.dns(part),
            // No request waits for it.
            Part::Work(_) => {}
        }
    }

    fn hops(&self, spans: &[Record], counts: impl Fn(Hop) -> bool) {
        for (hop, spent) in Hop::ALL.into_iter().zip(spent_at(spans)) {
            if let Some(Spent { time, failed }) = spent.filter(|_| counts(hop)) {
                let series = self.hop(hop);
                series.durations.record(time);
                series.errors.fetch_add(failed.into(), Relaxed);
            }
        }
    }

    fn dns(&self, part: &DnsPart) {
        let code = part.attributes.iter().find(|(name, _)| name == "dns.response_code");
        let code = code.and_then(|(_, value)| value.as_str()).unwrap_or_default();
        let place = DNS_CODES.iter().position(|known| *known == code).unwrap_or(DNS_CODES.len() - 1);
        self.0.dns[place].fetch_add(1, Relaxed);
        let series = self.hop(Hop::Dns);
        series.durations.record(part.end.since(part.start));
        series.errors.fetch_add((code == "SERVFAIL").into(), Relaxed);
    }

    pub fn handshake(&self, took: Duration, resumed: bool) {
        self.0.handshakes[usize::from(resumed)].record(took);
    }

    pub fn handshake_failed(&self) {
        self.0.handshakes_failed.fetch_add(1, Relaxed);
    }

    /// The trace of this request is kept: it may stand for its bucket.
    pub fn exemplify(&self, edge: &EdgePart) {
        let Some(key) = edge.counted else { return };
        let took = edge.took;
        let at_unix_s = (edge.started_at.unix_timestamp_nanos() / 1_000_000) as f64 / 1e3 + took.as_secs_f64();
        self.0.requests.of(key).exemplify(Exemplar { trace_id: edge.trace_id, took, at_unix_s });
    }

    pub fn totals(&self) -> Totals {
        Totals { durations: self.0.all.counts(), errors: self.0.errors.load(Relaxed) }
    }

    pub fn hop(&self, hop: Hop) -> &HopSeries {
        &self.0.hops[hop as usize]
    }

    /// Each series of requests, and the name of its route.
    pub fn requests(&self) -> impl Iterator<Item = (Key, &str, &Classic)> {
        let Inner { routes, requests, .. } = &*self.0;
        requests.iter().map(|(key, durations)| (key, routes.name(key.route), durations))
    }

    /// The name of the route that a request was counted under.
    pub fn route(&self, key: Key) -> &str {
        self.0.routes.name(key.route)
    }

    /// Bytes of requests' bodies, and of answers'.
    pub fn bytes(&self) -> (u64, u64) {
        (self.0.request_bytes.load(Relaxed), self.0.response_bytes.load(Relaxed))
    }

    /// Full and resumed handshakes, and how many failed.
    pub fn handshakes(&self) -> ([&Classic; 2], u64) {
        (self.0.handshakes.each_ref(), self.0.handshakes_failed.load(Relaxed))
    }

    /// Answers of the DNS server, in the order of [`DNS_CODES`].
    pub fn dns_answers(&self) -> [u64; DNS_CODES.len()] {
        self.0.dns.each_ref().map(|count| count.load(Relaxed))
    }
}

/// What a part spent at one hop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Spent {
    time: Duration,
    failed: bool,
}

/// Time in the leaf spans of each hop, once over them; None for a hop without one. What came after the answer, or was
/// only considered, does not count.
fn spent_at(spans: &[Record]) -> [Option<Spent>; Hop::ALL.len()] {
    let mut spent = [None::<Spent>; Hop::ALL.len()];
    let mut parents = Parents::default();
    for (place, span) in spans.iter().enumerate().rev() {
        // A child stands behind its parent, so that its parent is known for one by now.
        let is_leaf = !parents.holds(place);
        if let Some(parent) = span.parent {
            parents.note(spans, place, parent);
        }
        if span.status == Status::Skipped || span.direction == Direction::After {
            continue;
        }
        let failed = span.status == Status::Error;
        if !is_leaf && !failed {
            continue;
        }
        let at = spent[span.hop as usize].get_or_insert_default();
        at.failed |= failed;
        if is_leaf {
            at.time += span.end.since(span.start);
        }
    }
    spent
}

/// Which spans of a part have children: a bit each, of as many as a part can have.
#[derive(Default)]
struct Parents([u64; super::span::SPANS_MAX / 64]);

impl Parents {
    fn holds(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|bits| bits & 1 << (place % 64) != 0)
    }

    fn note(&mut self, spans: &[Record], child: usize, parent: super::ids::SpanId) {
        // The parent is mostly near; the spans of a part are few.
        let found = spans[..child].iter().rposition(|span| span.id == parent);
        if let Some(place) = found
            && let Some(bits) = self.0.get_mut(place / 64)
        {
            *bits |= 1 << (place % 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::clock::Tick;
    use crate::observe::ids::SpanId;
    use crate::observe::span::{Context, Trace};

    fn at(us: u64) -> Tick {
        Tick::from_nanos(1_000_000 + us * 1_000)
    }

    #[test]
    fn a_hop_is_told_the_time_of_its_leaves_and_whether_something_failed_there() {
        let root = Trace::start(Context::new_root(), SpanId::random(), Hop::Http, "Serve", at(0));
        root.record(Hop::Http, "Check", at(0), at(10));
        let forward = root.child_at(Hop::Balancer, "Forward", at(10));
        forward.record(Hop::Balancer, "Take a connection", at(10), at(13));
        forward.record(Hop::Data, "Considered", at(13), at(90)).status(Status::Skipped);
        forward.status(Status::Error);
        forward.end_at(at(100));
        root.record(Hop::Http, "Log", at(110), at(150)).direction(Direction::After);
        let spent = spent_at(&root.trace().finish());
        let spent_us = |hop: Hop| spent[hop as usize].map(|spent| (spent.time.as_micros(), spent.failed));
        assert_eq!(spent_us(Hop::Http), Some((10, false)));
        assert_eq!(spent_us(Hop::Balancer), Some((3, true)));
        assert_eq!((spent_us(Hop::Data), spent_us(Hop::Api)), (None, None));
    }

    #[test]
    fn it_agrees_with_the_times_that_are_told_to_the_browser() {
        let root = Trace::start(Context::new_root(), SpanId::random(), Hop::Api, "Answer", at(0));
        for number in 0..40 {
            let step = root.child_at(Hop::Service, "Step", at(number * 10));
            step.record(Hop::Data, "Read", at(number * 10), at(number * 10 + 4));
            step.end_at(at(number * 10 + 9));
        }
        root.record(Hop::Api, "Write", at(400), at(450));
        let told = root.trace().time_by_hop();
        let spent = spent_at(&root.trace().finish());
        for (hop, time) in told {
            assert_eq!(spent[hop as usize].map(|spent| spent.time), Some(time), "{}", hop.id());
        }
    }
}
