//! Joins the parts of one request into a journey. Pure: parts in, journey out.
//!
//! The parts hang together by parent ids; what happens between two processes or threads (a socket, a
//! wake-up) is measured as the difference of the two sides' times and becomes a span of its own, so that
//! the leaf spans add up to the whole.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::clock::{Tick, micros};
use super::hop::Hop;
use super::ids::SpanId;
use super::journey::{CacheSide, Candidate, HopTimes, Journey, JourneySpan, QueueSide, Sides, Summary, SupplierSide};
use super::kept::Why;
use super::part::{
    CACHE_BYPASSED, CACHE_HIT, CACHE_KEY, CACHE_WHERE, CANDIDATES, ClientPart, DnsPart, EdgePart, InstancePart,
    QUEUE_TICKET, QUEUE_WAITING, SUPPLIER_ATTEMPTS, SUPPLIER_BREAKER, SUPPLIER_ITEM, SUPPLIER_OUTCOME,
};
use super::span::{Direction, Record, Status};
use super::{join, repeated};

/// The client's span that stands for everything between its last byte out and its first byte in. Where
/// the server's own parts are known, they take its place.
pub const WAIT_FOR_ANSWER: &str = "Wait for the answer";
/// The client's span in which the edge's side of the handshake happens.
pub const CLIENT_HELLO: &str = "ClientHello to ServerHello";

/// The parts of one request that have come so far.
#[derive(Debug, Default)]
pub struct Parts {
    pub client: Option<ClientPart>,
    pub dns: Vec<DnsPart>,
    pub edge: Option<EdgePart>,
    pub instances: Vec<InstancePart>,
    /// The route that it was counted under.
    pub route: Option<String>,
}

impl Parts {
    /// Whether a signed probe sent it.
    pub fn probe(&self) -> bool {
        self.client.is_some() || self.edge.as_ref().is_some_and(|edge| edge.probe)
    }

    /// Whether every part that is expected has come.
    pub fn complete(&self) -> bool {
        self.edge
            .as_ref()
            .is_some_and(|edge| self.instances.len() >= edge.instance_parts && (self.client.is_some() || !edge.probe))
    }
}

/// The journey of `parts`, which is kept because of `why`.
pub fn journey(parts: Parts, why: Why) -> Journey {
    let complete = parts.complete() || (parts.edge.is_none() && parts.client.is_some());
    let head = Head::of(&parts);
    let your_service = parts.edge.as_ref().and_then(|edge| edge.your_service.clone());
    let role = parts.instances.iter().rev().find_map(|instance| instance.role);
    let route = parts.route.clone();
    let outer = parts.edge.as_ref().filter(|_| parts.client.is_none()).and_then(|edge| edge.spans.first()?.parent);
    let mut spans = join::join(parts);
    spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut spans = parents_first(spans);
    repeated::mark(&mut spans);
    let origin = spans.first().map_or(Tick::default(), |root| root.start);
    let total_us = spans.first().map_or(0.0, |root| micros(root.end.since(root.start)));
    let hops = time_by_hop(&spans);
    let accounted: f64 = hops.iter().map(|(_, us)| us).sum();
    // What a stream told once its head was there is nobody's cost.
    let after: f64 = leaves(&spans).filter(|span| span.direction == Direction::After).map(took_us).sum();
    let mut times = HopTimes::default();
    let mut turn = Hop::Client;
    for (hop, us) in hops {
        times.of_mut(hop).us = round(us);
    }
    // A hop that only handed on was reached, too, though none of its spans is a leaf.
    for span in spans.iter().filter(|span| span.status != Status::Skipped) {
        times.of_mut(span.hop).reached = true;
        turn = turn.max(span.hop);
    }
    Journey {
        summary: Summary {
            trace_id: head.trace_id,
            sent_at: head.sent_at,
            method: head.method,
            route,
            path: head.path,
            sent_as: head.sent_as.or_else(|| role.map(str::to_owned)),
            connection: head.connection,
            status: head.status,
            total_us,
            turn,
            probe: head.probe,
            faults: struck(&spans),
            kept: why,
        },
        reason: reason(head.status).to_owned(),
        request_bytes: head.request_bytes,
        response_bytes: head.response_bytes,
        caches: if head.bypass_caches { "bypass" } else { "use" }.to_owned(),
        complete,
        unaccounted_us: round((total_us - accounted - after).max(0.0)),
        hops: times,
        instances: candidates(&spans),
        your_service,
        sides: sides(&spans),
        outer,
        spans: spans.into_iter().map(|span| shown(span, origin)).collect(),
    }
}

/// What the parts say about the request as a whole; the client's word goes before the edge's.
struct Head {
    trace_id: super::ids::TraceId,
    sent_at: OffsetDateTime,
    method: String,
    path: String,
    sent_as: Option<String>,
    connection: Option<String>,
    status: u16,
    probe: bool,
    bypass_caches: bool,
    request_bytes: u64,
    response_bytes: u64,
}

impl Head {
    fn of(parts: &Parts) -> Head {
        match (&parts.client, &parts.edge) {
            (Some(client), _) => Head {
                trace_id: client.trace_id,
                sent_at: client.sent_at,
                method: client.method.clone(),
                path: client.path.clone(),
                sent_as: client.sent_as.clone(),
                connection: Some(if client.fresh { "fresh" } else { "kept" }.to_owned()),
                status: client.status,
                probe: true,
                bypass_caches: client.bypass_caches,
                request_bytes: client.request_bytes,
                response_bytes: client.response_bytes,
            },
            (None, Some(edge)) => Head {
                trace_id: edge.trace_id,
                sent_at: edge.started_at,
                method: edge.method.clone(),
                path: edge.path.clone(),
                sent_as: None,
                connection: None,
                status: edge.status,
                probe: edge.probe,
                bypass_caches: false,
                request_bytes: edge.request_bytes,
                response_bytes: edge.response_bytes,
            },
            (None, None) => Head {
                trace_id: super::ids::TraceId::random(),
                sent_at: OffsetDateTime::UNIX_EPOCH,
                method: String::new(),
                path: String::new(),
                sent_as: None,
                connection: None,
                status: 0,
                probe: false,
                bypass_caches: false,
                request_bytes: 0,
                response_bytes: 0,
            },
        }
    }
}

/// Keeps the order by start, but never shows a child before its parent; what hangs beneath nothing known
/// becomes a child of the root.
fn parents_first(spans: Vec<Record>) -> Vec<Record> {
    let known: HashSet<SpanId> = spans.iter().map(|span| span.id).collect();
    let root = spans.iter().find(|span| span.parent.is_none_or(|parent| !known.contains(&parent))).map(|s| s.id);
    let mut children: HashMap<SpanId, Vec<Record>> = HashMap::new();
    let mut first = None;
    for mut span in spans {
        if Some(span.id) == root {
            span.parent = None;
            first = Some(span);
            continue;
        }
        let parent = span.parent.filter(|parent| known.contains(parent)).or(root);
        span.parent = parent;
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(span);
        }
    }
    let mut ordered = Vec::with_capacity(known.len());
    let mut open: Vec<Record> = first.into_iter().collect();
    while let Some(span) = open.pop() {
        if let Some(own) = children.remove(&span.id) {
            open.extend(own.into_iter().rev());
        }
        ordered.push(span);
    }
    ordered
}

/// Spans without a child.
fn leaves(spans: &[Record]) -> impl Iterator<Item = &Record> {
    let parents: HashSet<SpanId> = spans.iter().filter_map(|span| span.parent).collect();
    spans.iter().filter(move |span| !parents.contains(&span.id))
}

fn took_us(span: &Record) -> f64 {
    micros(span.end.since(span.start))
}

/// Leaf time of each hop that did anything, in microseconds.
fn time_by_hop(spans: &[Record]) -> Vec<(Hop, f64)> {
    let mut times: Vec<(Hop, f64)> = Vec::new();
    let counted = |span: &&Record| span.direction != Direction::After && span.status != Status::Skipped;
    for span in leaves(spans).filter(counted) {
        let us = took_us(span);
        match times.iter_mut().find(|(hop, _)| *hop == span.hop) {
            Some((_, sum)) => *sum += us,
            None => times.push((span.hop, us)),
        }
    }
    times
}

pub(super) fn attribute<'a>(span: &'a Record, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

/// The candidates of the last choice: the attempt that was answered.
fn candidates(spans: &[Record]) -> Vec<Candidate> {
    let last = spans.iter().rev().find_map(|span| attribute(span, CANDIDATES));
    last.and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default()
}

fn sides(spans: &[Record]) -> Sides {
    let flag = |span: &Record, key: &str| attribute(span, key).and_then(Value::as_bool).unwrap_or(false);
    let cache_at = |place: Option<&str>| {
        spans.iter().filter(|span| attribute(span, CACHE_WHERE).and_then(Value::as_str) == place).find_map(|span| {
            let key = attribute(span, CACHE_KEY)?.as_str()?.to_owned();
            let bypassed = flag(span, CACHE_BYPASSED);
            let us = micros(span.end.since(span.start));
            Some(CacheSide { asked: !bypassed, hit: flag(span, CACHE_HIT), bypassed, us, key })
        })
    };
    let queue = spans.iter().find_map(|span| {
        let ticket = attribute(span, QUEUE_TICKET)?.as_i64()?;
        Some(QueueSide { ticket, waiting: attribute(span, QUEUE_WAITING)?.as_i64()? })
    });
    let supplier = spans.iter().rev().find_map(|span| {
        let text = |key| Some(attribute(span, key)?.as_str()?.to_owned());
        Some(SupplierSide {
            item: text(SUPPLIER_ITEM)?,
            outcome: text(SUPPLIER_OUTCOME)?,
            attempts: attribute(span, SUPPLIER_ATTEMPTS)?.as_i64()?,
            breaker: text(SUPPLIER_BREAKER)?,
            us: micros(span.end.since(span.start)),
        })
    });
    Sides { edge_cache: cache_at(Some("edge")), cache: cache_at(None), queue, supplier }
}

fn shown(span: Record, origin: Tick) -> JourneySpan {
    let attributes: Map<String, Value> =
        span.attributes.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
    JourneySpan {
        id: span.id,
        parent: span.parent,
        hop: span.hop,
        name: span.name.into_owned(),
        start_us: micros(span.start.since(origin)),
        duration_us: micros(span.end.since(span.start)),
        direction: span.direction,
        status: span.status,
        fault: span.fault.map(std::borrow::Cow::into_owned),
        attributes,
    }
}

/// The faults that struck, each once.
fn struck(spans: &[Record]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for key in spans.iter().filter_map(|span| span.fault.as_deref()) {
        if !keys.iter().any(|known| known == key) {
            keys.push(key.to_owned());
        }
    }
    keys
}

fn round(us: f64) -> f64 {
    (us * 10.0).round() / 10.0
}

/// The reason phrases of RFC 9110, section 15, that this program sends.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        508 => "Loop Detected",
        _ => "",
    }
}
