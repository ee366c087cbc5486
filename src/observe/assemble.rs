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
use super::journey::{CacheSide, Candidate, HopTimes, Journey, JourneySpan, QueueSide, Sides, Summary};
use super::part::{
    CACHE_BYPASSED, CACHE_HIT, CACHE_KEY, CACHE_WHERE, CANDIDATES, ClientPart, DNS_QUERY_ID, DnsPart, EdgePart,
    InstancePart, QUEUE_TICKET, QUEUE_WAITING,
};
use super::span::{Direction, Record, Status};

/// A gap between two sides shorter than this is the clock's own cost, not a span.
const GAP_NS_MIN: u64 = 500;

/// The client's span that stands for everything between its last byte out and its first byte in. Where
/// the server's own parts are known, they take its place.
pub const WAIT_FOR_ANSWER: &str = "Wait for the answer";
/// From the edge's side of the handshake to the first request, where nobody measured the client's side.
const WAIT_FOR_REQUEST: &str = "Wait for the request";
/// The client's span in which the edge's side of the handshake happens.
pub const CLIENT_HELLO: &str = "ClientHello to ServerHello";

/// The parts of one request that have come so far.
#[derive(Debug, Default)]
pub struct Parts {
    pub client: Option<ClientPart>,
    pub dns: Vec<DnsPart>,
    pub edge: Option<EdgePart>,
    pub instances: Vec<InstancePart>,
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

/// The journey of `parts`.
pub fn journey(parts: Parts) -> Journey {
    let complete = parts.complete() || (parts.edge.is_none() && parts.client.is_some());
    let head = Head::of(&parts);
    let mut spans = join(parts);
    spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let spans = parents_first(spans);
    let origin = spans.first().map_or(Tick::default(), |root| root.start);
    let total_us = spans.first().map_or(0.0, |root| micros(root.end.since(root.start)));
    let hops = time_by_hop(&spans);
    let accounted: f64 = hops.iter().map(|(_, us)| us).sum();
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
            path: head.path,
            sent_as: head.sent_as,
            connection: head.connection,
            status: head.status,
            total_us,
            turn,
            probe: head.probe,
        },
        reason: reason(head.status).to_owned(),
        request_bytes: head.request_bytes,
        response_bytes: head.response_bytes,
        caches: if head.bypass_caches { "bypass" } else { "use" }.to_owned(),
        complete,
        unaccounted_us: round((total_us - accounted).max(0.0)),
        hops: times,
        instances: candidates(&spans),
        sides: sides(&spans),
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

/// All spans in one tree, with the ways between the sides made spans.
fn join(parts: Parts) -> Vec<Record> {
    let mut spans = parts.client.map_or_else(Vec::new, |client| client.spans);
    let root = spans.first().map(|span| span.id);
    for dns in parts.dns {
        graft_dns(&mut spans, dns);
    }
    if let Some(edge) = parts.edge {
        let mut edge_spans = edge.spans;
        let Some(edge_id) = edge_spans.first().map(|span| span.id) else { return spans };
        place_handshake(&mut spans, &mut edge_spans, edge_id);
        if let Some(outer) = spans.first() {
            keep_within(outer, &mut edge_spans);
        }
        let edge_root = (edge_id, edge_spans.first().map_or(Tick::default(), |span| span.end));
        match root {
            Some(root) => hand_over_the_wait(&mut spans, &mut edge_spans, root, edge_root),
            None => edge_spans[0].parent = None,
        }
        spans.append(&mut edge_spans);
        if let Some(root) = root {
            fill_around(&mut spans, root, edge_root.0, ["Carried to the edge", "Carried back to the client"]);
        }
    }
    for mut instance in parts.instances {
        let Some((id, parent)) = instance.spans.first().map(|span| (span.id, span.parent)) else { continue };
        let outer = parent.and_then(|parent| spans.iter().find(|span| span.id == parent));
        let known = outer.map(|outer| outer.id);
        if let Some(outer) = outer {
            keep_within(outer, &mut instance.spans);
        }
        spans.extend(instance.spans);
        if let Some(parent) = known {
            fill_around(&mut spans, parent, id, ["Carried to the instance", "Carried back to the edge"]);
        }
    }
    spans
}

/// On loopback the far side may be awake before the near side's write returns, and a busy machine makes
/// that long: what another side did outside of the span it hangs beneath is no part of that span's time.
fn keep_within(outer: &Record, spans: &mut [Record]) {
    // A span that nobody ended ends before it starts.
    let end = outer.end.max(outer.start);
    for span in spans.iter_mut().filter(|span| span.direction != Direction::After) {
        span.start = span.start.clamp(outer.start, end);
        span.end = span.end.clamp(span.start, end);
    }
}

/// The server's side of a DNS query hangs beneath the client's span that asked.
fn graft_dns(spans: &mut Vec<Record>, dns: DnsPart) {
    let asked = |span: &&Record| span.hop == Hop::Dns && number(span, DNS_QUERY_ID) == Some(dns.query_id.into());
    let Some(outer) = spans.iter().find(asked) else { return };
    let (id, parent) = (SpanId::random(), outer.id);
    let mut looking = [Record {
        id,
        parent: Some(parent),
        hop: Hop::Dns,
        name: "Look in the zone".into(),
        start: dns.start,
        end: dns.end,
        direction: Direction::Out,
        status: Status::Ok,
        attributes: dns.attributes,
    }];
    keep_within(outer, &mut looking);
    spans.extend(looking);
    fill_around(spans, parent, id, ["Carried to the DNS server", "Carried back to the client"]);
}

/// The edge's side of the handshake belongs beneath the client's; without a client it stays with the edge,
/// before its first request.
fn place_handshake(client: &mut Vec<Record>, edge: &mut Vec<Record>, edge_root: SpanId) {
    if client.is_empty() {
        return begin_with_handshake(edge);
    }
    let hello = client.iter().find(|span| span.name == CLIENT_HELLO);
    let (mut handshake, rest): (Vec<_>, Vec<_>) = edge.drain(..).partition(|span| span.hop == Hop::Tls);
    *edge = rest;
    let Some(hello) = hello else {
        // The client did not measure its side: the handshake came before the request, outside of its time.
        return;
    };
    keep_within(hello, &mut handshake);
    let hello = hello.id;
    for mut span in handshake {
        let outermost = span.parent == Some(edge_root) || span.parent.is_none();
        let id = span.id;
        if outermost {
            span.parent = Some(hello);
        }
        client.push(span);
        if outermost {
            fill_around(client, hello, id, ["Carried to the edge", "Carried back to the client"]);
        }
    }
}

/// Lets the edge's root begin where its handshake began, and names the time between that and the request.
fn begin_with_handshake(edge: &mut Vec<Record>) {
    let shaken = edge.iter().filter(|span| span.hop == Hop::Tls).map(|span| (span.start, span.end));
    let Some((start, end)) = shaken.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { return };
    let Some(root) = edge.first_mut() else { return };
    let (id, asked) = (root.id, root.start);
    root.start = asked.min(start);
    if asked.as_nanos() >= end.as_nanos() + GAP_NS_MIN {
        edge.push(Record {
            id: SpanId::random(),
            parent: Some(id),
            hop: Hop::Http,
            name: WAIT_FOR_REQUEST.into(),
            start: end,
            end: asked,
            direction: Direction::Out,
            status: Status::Ok,
            attributes: Vec::new(),
        });
    }
}

/// Puts the edge's spans where the client only waited, and ends the overlap of its last bytes out with
/// the client's first bytes in: that time is the edge's.
fn hand_over_the_wait(client: &mut Vec<Record>, edge: &mut [Record], root: SpanId, edge_root: (SpanId, Tick)) {
    client.retain(|span| span.name != WAIT_FOR_ANSWER);
    edge[0].parent = Some(root);
    // On loopback the edge may be awake before the client's write returns: that overlap is the edge's, too.
    let edge_start = edge[0].start;
    for span in client.iter_mut().filter(|span| span.parent == Some(root)) {
        match span.direction {
            Direction::Back => span.start = span.start.max(edge_root.1.min(span.end)),
            _ if span.start < edge_start => span.end = span.end.min(edge_start),
            _ => {}
        }
    }
}

/// Names the time in `parent` just before and just after its child `id`, which another side measured.
fn fill_around(spans: &mut Vec<Record>, parent: SpanId, id: SpanId, names: [&'static str; 2]) {
    let find = |wanted: SpanId| spans.iter().find(|span| span.id == wanted);
    let (Some(outer), Some(inner)) = (find(parent), find(id)) else { return };
    let (hop, start, end) = (outer.hop, inner.start, inner.end);
    let siblings = || spans.iter().filter(|span| span.parent == Some(parent) && span.id != id);
    let before = siblings().map(|span| span.end).filter(|end| *end <= start).max().unwrap_or(outer.start);
    let after = siblings().map(|span| span.start).filter(|start| *start >= end).min().unwrap_or(outer.end);
    // Between the client and the edge it is HTTP that travels.
    let hop = if hop == Hop::Client { Hop::Http } else { hop };
    let gaps = [(names[0], before, start, Direction::Out), (names[1], end, after, Direction::Back)];
    for (name, from, to, direction) in gaps {
        if to.as_nanos() >= from.as_nanos() + GAP_NS_MIN {
            spans.push(Record {
                id: SpanId::random(),
                parent: Some(parent),
                hop,
                name: name.into(),
                start: from,
                end: to,
                direction,
                status: Status::Ok,
                attributes: Vec::new(),
            });
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

/// Leaf time of each hop that did anything, in microseconds.
fn time_by_hop(spans: &[Record]) -> Vec<(Hop, f64)> {
    let parents: HashSet<SpanId> = spans.iter().filter_map(|span| span.parent).collect();
    let mut times: Vec<(Hop, f64)> = Vec::new();
    let counted = |span: &&Record| span.direction != Direction::After && span.status != Status::Skipped;
    for span in spans.iter().filter(|span| !parents.contains(&span.id)).filter(counted) {
        let us = micros(span.end.since(span.start));
        match times.iter_mut().find(|(hop, _)| *hop == span.hop) {
            Some((_, sum)) => *sum += us,
            None => times.push((span.hop, us)),
        }
    }
    times
}

fn attribute<'a>(span: &'a Record, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

fn number(span: &Record, key: &str) -> Option<u64> {
    attribute(span, key).and_then(Value::as_u64)
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
    Sides { edge_cache: cache_at(Some("edge")), cache: cache_at(None), queue }
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
        attributes,
    }
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
        303 => "See Other",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}
