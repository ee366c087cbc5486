//! One recorder a stack: joins parts, decides what is kept, in bounded memory.
//!
//! Kept are every probe, every error, the slowest and a uniform sample (tail-based sampling: the
//! decision is made when the edge's part arrives, so when the outcome is known).

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;

use super::assemble::{self, Parts};
use super::clock::{Tick, micros};
use super::hop::Hop;
use super::ids::{SpanId, TraceId};
use super::journey::{Journey, Summary};
use super::metrics::Metrics;
use super::part::{ClientPart, DNS_QUERY_ID, DNS_SOURCE_PORT, DnsPart, EdgePart, Part, WorkPart};
use super::span::Record;

/// Journeys kept of probes, and as many again of other traffic: a flood of errors never pushes out
/// what a person sent to look at.
const KEPT_MAX: usize = 256;
/// Requests whose parts are not complete.
const STAGED_MAX: usize = 4_096;
/// How long a part waits for the others of its request.
const STAGED_FOR: Duration = Duration::from_secs(1);
/// A probe's client part may come from another process.
const PROBE_STAGED_FOR: Duration = Duration::from_secs(5);
/// Answers of the DNS server that wait for their client.
const DNS_MAX: usize = 256;
/// Pieces of work beside the requests, the latest.
const WORK_MAX: usize = 64;
/// One in so many unremarkable requests is kept.
const SAMPLE_EVERY: u64 = 64;
/// The share of requests that count as the slowest.
const SLOW_SHARE: f64 = 0.01;

#[derive(Debug)]
struct Staged {
    parts: Parts,
    since: Tick,
    /// Decided by the edge's part; None before it came.
    keep: Option<bool>,
}

#[derive(Debug, Default)]
struct State {
    staged: HashMap<SpanId, Staged>,
    /// The order in which keys were staged, for expiry.
    order: VecDeque<SpanId>,
    dns: VecDeque<DnsPart>,
    probes: VecDeque<Arc<Journey>>,
    others: VecDeque<Arc<Journey>>,
    work: VecDeque<Arc<WorkPart>>,
    seen: u64,
    slow_us: f64,
}

impl State {
    /// Puts a part where it belongs. Returns what is worth keeping and waits for nothing more.
    fn take_in(&mut self, part: Part, now: Tick) -> Vec<Parts> {
        let key = match part {
            Part::Dns(dns) => {
                if self.dns.len() == DNS_MAX {
                    self.dns.pop_front();
                }
                self.dns.push_back(dns);
                return Vec::new();
            }
            Part::Work(work) => {
                if self.work.len() == WORK_MAX {
                    self.work.pop_front();
                }
                self.work.push_back(Arc::new(work));
                return Vec::new();
            }
            Part::Instance(instance) => {
                let key = instance.key;
                self.stage(key).parts.instances.push(instance);
                key
            }
            Part::Edge(edge) => {
                let (key, keep) = (edge.key, self.worth_keeping(&edge));
                if edge.instance_parts == 0 && !edge.probe && !self.staged.contains_key(&key) {
                    // Nobody else writes of it.
                    let mut ready = Vec::new();
                    ready.extend(keep.then(|| Parts { edge: Some(edge), ..Parts::default() }));
                    self.give_up(now, &mut ready);
                    return ready;
                }
                let staged = self.stage(key);
                staged.keep = Some(keep);
                staged.parts.edge = Some(edge);
                key
            }
            Part::Client(client) => {
                let (key, dns) = (client.key, self.dns_of(&client));
                let staged = self.stage(key);
                staged.parts.dns = dns;
                staged.parts.client = Some(client);
                key
            }
        };
        let mut ready = Vec::new();
        if self.staged.get(&key).is_some_and(|staged| staged.parts.complete()) {
            let whole = self.staged.remove(&key).filter(|staged| staged.keep != Some(false));
            ready.extend(whole.map(|staged| staged.parts));
        }
        self.give_up(now, &mut ready);
        ready
    }

    /// Stops waiting for what is too old; what is worth keeping is kept as it is.
    fn give_up(&mut self, now: Tick, ready: &mut Vec<Parts>) {
        while let Some(key) = self.order.front() {
            if let Some(staged) = self.staged.get(key) {
                let patience = if staged.parts.probe() { PROBE_STAGED_FOR } else { STAGED_FOR };
                if now.since(staged.since) < patience {
                    return;
                }
                let old = self.staged.remove(key).filter(|staged| staged.keep == Some(true));
                ready.extend(old.map(|staged| staged.parts));
            }
            self.order.pop_front();
        }
    }

    /// The place where the parts of `key` meet; the oldest makes room when there is none.
    fn stage(&mut self, key: SpanId) -> &mut Staged {
        if !self.staged.contains_key(&key) {
            if self.staged.len() >= STAGED_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.staged.remove(&oldest);
            }
            self.order.push_back(key);
        }
        self.staged.entry(key).or_insert_with(|| Staged { parts: Parts::default(), since: Tick::now(), keep: None })
    }

    /// What the DNS server recorded of the queries in a client's spans.
    fn dns_of(&mut self, client: &ClientPart) -> Vec<DnsPart> {
        let number = |span: &Record, key: &str| {
            span.attributes.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.as_u64())
        };
        let mut found = Vec::new();
        for span in client.spans.iter().filter(|span| span.hop == Hop::Dns) {
            let (id, port) = (number(span, DNS_QUERY_ID), number(span, DNS_SOURCE_PORT));
            let ours = |part: &DnsPart| Some(part.query_id.into()) == id && Some(part.source_port.into()) == port;
            if let Some(index) = self.dns.iter().rposition(ours) {
                found.extend(self.dns.remove(index));
            }
        }
        found
    }

    /// Tail sampling. The slowest are found by tracking a quantile with two steps of unequal size
    /// (stochastic approximation: up by `1 - share`, down by `share`, so that it rests where `share` lie above).
    fn worth_keeping(&mut self, edge: &EdgePart) -> bool {
        const STEP: f64 = 0.05;
        let us = edge.spans.first().map_or(0.0, |span| micros(span.end.since(span.start)));
        let slow = us > self.slow_us;
        self.slow_us += self.slow_us.max(1.0) * STEP * if slow { 1.0 - SLOW_SHARE } else { -SLOW_SHARE };
        self.seen += 1;
        edge.probe || edge.status >= 400 || slow || self.seen.is_multiple_of(SAMPLE_EVERY)
    }
}

/// Cheap to clone; all clones are the same recorder.
#[derive(Debug, Clone)]
pub struct Recorder {
    state: Arc<Mutex<State>>,
    metrics: Metrics,
    live: broadcast::Sender<Arc<Journey>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::counting(Metrics::default())
    }
}

impl Recorder {
    /// One that counts there.
    pub fn counting(metrics: Metrics) -> Self {
        Self { state: Arc::default(), metrics, live: broadcast::channel(64).0 }
    }

    /// The counters of its stack.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes one side's part of a request.
    pub fn submit(&self, part: Part) {
        self.metrics.count(&part);
        let ready = self.state().take_in(part, Tick::now());
        for parts in ready {
            self.keep(parts);
        }
    }

    /// Submits the client's part of a probe and waits, bounded, for the whole journey.
    pub async fn finish(&self, client: ClientPart) -> Arc<Journey> {
        let (key, trace_id, alone) = (client.key, client.trace_id, client.clone());
        let mut live = self.live.subscribe();
        self.submit(Part::Client(client));
        let arrival = async {
            loop {
                match live.recv().await {
                    Ok(journey) if journey.summary.trace_id == trace_id => return Some(journey),
                    Ok(_) => {}
                    // Overtaken by other traffic: it is kept by now, or not done.
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        if let Some(journey) = self.journey(trace_id) {
                            return Some(journey);
                        }
                    }
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        };
        if let Ok(Some(journey)) = tokio::time::timeout(STAGED_FOR, arrival).await {
            return journey;
        }
        let parts = self.state().staged.remove(&key).map(|staged| staged.parts);
        self.keep(parts.unwrap_or_else(|| Parts { client: Some(alone), ..Parts::default() }))
    }

    /// The kept journey of a trace.
    pub fn journey(&self, trace_id: TraceId) -> Option<Arc<Journey>> {
        let state = self.state();
        let mut kept = state.probes.iter().rev().chain(state.others.iter().rev());
        kept.find(|journey| journey.summary.trace_id == trace_id).cloned()
    }

    /// The ids of all kept traces.
    pub fn kept(&self) -> HashSet<TraceId> {
        let state = self.state();
        state.probes.iter().chain(&state.others).map(|journey| journey.summary.trace_id).collect()
    }

    /// The latest kept journeys, newest first.
    pub fn recent(&self, count: usize) -> Vec<Summary> {
        let state = self.state();
        let mut all: Vec<Summary> =
            state.probes.iter().chain(&state.others).map(|journey| journey.summary.clone()).collect();
        all.sort_by_key(|summary| std::cmp::Reverse(summary.sent_at));
        all.truncate(count);
        all
    }

    /// The latest work that no request waited for, newest first. It is no journey, and counts as no request.
    pub fn recent_work(&self) -> Vec<Arc<WorkPart>> {
        self.state().work.iter().rev().cloned().collect()
    }

    /// Each journey as it is kept.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Journey>> {
        self.live.subscribe()
    }

    /// Makes the journey, which is most of the work, outside of the lock that every request takes.
    fn keep(&self, parts: Parts) -> Arc<Journey> {
        if let Some(edge) = &parts.edge {
            self.metrics.exemplify(edge);
        }
        let journey = Arc::new(assemble::journey(parts));
        let mut state = self.state();
        let ring = if journey.summary.probe { &mut state.probes } else { &mut state.others };
        if ring.len() == KEPT_MAX {
            ring.pop_front();
        }
        ring.push_back(Arc::clone(&journey));
        drop(state);
        // Nobody listening is fine.
        let _ = self.live.send(Arc::clone(&journey));
        journey
    }

    /// A panic elsewhere never ends recording: the state is plain values.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
