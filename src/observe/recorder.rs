//! One recorder a stack: joins parts, decides what is kept, in bounded memory.
//!
//! What is kept [`super::kept`] says; the decision is made when the edge's part arrives, so when the outcome is known.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;

use super::assemble::{self, Parts};
use super::clock::Tick;
use super::hop::Hop;
use super::ids::{SpanId, TraceId};
use super::journey::{Journey, Summary};
use super::kept::{self, Chooser, Kept, Rings, Why};
use super::log::access::AccessLog;
use super::metrics::Metrics;
use super::metrics::routes::OTHER;
use super::part::{ClientPart, DNS_QUERY_ID, DNS_SOURCE_PORT, DnsPart, Part, WorkPart};
use super::span::Record;

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

#[derive(Debug)]
struct Staged {
    parts: Parts,
    since: Tick,
    /// The edge's part came, and decided.
    decided: bool,
    /// Why it is worth keeping; None: it is not, as far as is known.
    why: Option<Why>,
    /// A fault struck in an instance.
    struck: bool,
}

#[derive(Debug, Default)]
struct State {
    staged: HashMap<SpanId, Staged>,
    /// The order in which keys were staged, for expiry.
    order: VecDeque<SpanId>,
    dns: VecDeque<DnsPart>,
    work: VecDeque<Arc<WorkPart>>,
    kept: Rings,
    chooser: Chooser,
}

impl State {
    /// Puts a part where it belongs. Returns what is worth keeping and waits for nothing more.
    fn take_in(&mut self, part: Part, now: Tick) -> Vec<(Parts, Why)> {
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
                let staged = self.stage(key);
                staged.struck |= instance.spans.iter().any(|span| span.fault.is_some());
                staged.parts.instances.push(instance);
                key
            }
            Part::Edge(edge) => {
                let (key, why) = (edge.key, self.chooser.choose(&edge, now));
                if edge.instance_parts == 0 && !edge.probe && !self.staged.contains_key(&key) {
                    // Nobody else writes of it.
                    let mut ready = Vec::new();
                    ready.extend(why.map(|why| (Parts { edge: Some(edge), ..Parts::default() }, why)));
                    self.give_up(now, &mut ready);
                    return ready;
                }
                let staged = self.stage(key);
                (staged.decided, staged.why) = (true, why);
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
            let whole = self.staged.remove(&key);
            ready.extend(whole.and_then(|staged| self.worth(staged, now)));
        }
        self.give_up(now, &mut ready);
        ready
    }

    /// Stops waiting for what is too old; what is worth keeping is kept as it is.
    fn give_up(&mut self, now: Tick, ready: &mut Vec<(Parts, Why)>) {
        while let Some(key) = self.order.front().copied() {
            if let Some(staged) = self.staged.get(&key) {
                let patience = if staged.parts.probe() { PROBE_STAGED_FOR } else { STAGED_FOR };
                if now.since(staged.since) < patience {
                    return;
                }
                let old = self.staged.remove(&key).filter(|staged| staged.decided);
                ready.extend(old.and_then(|staged| self.worth(staged, now)));
            }
            self.order.pop_front();
        }
    }

    /// What waits for nothing more, if it is worth keeping.
    fn worth(&mut self, staged: Staged, now: Tick) -> Option<(Parts, Why)> {
        let why = if staged.parts.probe() { Some(Why::Probe) } else { staged.why };
        let why = if staged.struck { self.chooser.struck(why, now) } else { why };
        Some((staged.parts, why?))
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
        self.staged.entry(key).or_insert_with(|| Staged {
            parts: Parts::default(),
            since: Tick::now(),
            decided: false,
            why: None,
            struck: false,
        })
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
}

/// Cheap to clone; all clones are the same recorder.
#[derive(Debug, Clone)]
pub struct Recorder {
    state: Arc<Mutex<State>>,
    metrics: Metrics,
    live: broadcast::Sender<Arc<Journey>>,
    access: AccessLog,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::counting(Metrics::default())
    }
}

impl Recorder {
    /// One that counts there.
    pub fn counting(metrics: Metrics) -> Self {
        Self { state: Arc::default(), metrics, live: broadcast::channel(64).0, access: AccessLog::default() }
    }

    /// The counters of its stack.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes one side's part of a request.
    pub fn submit(&self, part: Part) {
        self.metrics.count(&part);
        let ready = self.state().take_in(part, Tick::now());
        for (parts, why) in ready {
            self.keep(parts, why);
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
        self.keep(parts.unwrap_or_else(|| Parts { client: Some(alone), ..Parts::default() }), Why::Probe)
    }

    /// The kept journey of a trace.
    pub fn journey(&self, trace_id: TraceId) -> Option<Arc<Journey>> {
        self.state().kept.find(trace_id).cloned()
    }

    /// The ids of all kept traces.
    pub fn kept_ids(&self) -> HashSet<TraceId> {
        self.state().kept.iter().map(|kept| kept.journey.summary.trace_id).collect()
    }

    /// The latest kept journeys, newest first.
    pub fn recent(&self, count: usize) -> Vec<Summary> {
        let mut all: Vec<Summary> = self.kept().iter().map(|kept| kept.journey.summary.clone()).collect();
        all.sort_by_key(|summary| std::cmp::Reverse(summary.sent_at));
        all.truncate(count);
        all
    }

    /// All that is kept, in no order. Looking through it holds up nobody.
    pub fn kept(&self) -> Vec<Kept> {
        self.state().kept.iter().cloned().collect()
    }

    /// Requests so far, kept or not.
    pub fn seen(&self) -> u64 {
        self.state().chooser.seen()
    }

    /// The log of the requests.
    pub fn access(&self) -> &AccessLog {
        &self.access
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
    fn keep(&self, mut parts: Parts, why: Why) -> Arc<Journey> {
        if let Some(edge) = &parts.edge {
            self.metrics.exemplify(edge);
            let route = edge.counted.map(|key| self.metrics.route(key)).filter(|route| *route != OTHER);
            parts.route = route.map(str::to_owned);
        }
        let journey = Arc::new(assemble::journey(parts, why));
        let bytes = kept::bytes_of(&journey);
        self.state().kept.push(Arc::clone(&journey), bytes);
        // Nobody listening is fine.
        let _ = self.live.send(Arc::clone(&journey));
        journey
    }

    /// A panic elsewhere never ends recording: the state is plain values.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
