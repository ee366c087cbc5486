//! Joins the sides of one request into one tree of spans.
//!
//! What happens between two sides (a socket, a wake-up) nobody measures: it is the difference of their
//! times, and becomes a span of its own.

use serde_json::Value;

use super::assemble::{CLIENT_HELLO, Parts, WAIT_FOR_ANSWER, attribute};
use super::clock::Tick;
use super::hop::Hop;
use super::ids::SpanId;
use super::part::{DNS_QUERY_ID, DnsPart, FORWARD};
use super::span::{Direction, Record, Status};

/// A gap between two sides shorter than this is the clock's own cost, not a span.
const GAP_NS_MIN: u64 = 500;

/// From the edge's side of the handshake to the first request, where nobody measured the client's side.
const WAIT_FOR_REQUEST: &str = "Wait for the request";
/// What a service of somebody's own did, of which only the time is known.
const YOUR_SERVICE: &str = "Your service answers";

/// All spans in one tree, with the ways between the sides made spans.
pub fn join(parts: Parts) -> Vec<Record> {
    let mut spans = parts.client.map_or_else(Vec::new, |client| client.spans);
    let root = spans.first().map(|span| span.id);
    for dns in parts.dns {
        graft_dns(&mut spans, dns);
    }
    if let Some(edge) = parts.edge {
        let mut edge_spans = edge.spans;
        if edge.your_service.is_some() {
            name_your_service(&mut edge_spans);
        }
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
        fault: dns.fault.map(Into::into),
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
            fault: None,
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
                fault: None,
                attributes: Vec::new(),
            });
        }
    }
}

/// What is left of the attempt that was answered, once its connection stood, was the service's time.
fn name_your_service(spans: &mut Vec<Record>) {
    let answered = |span: &&Record| span.name == FORWARD && span.status == Status::Ok;
    let Some((id, start, end)) = spans.iter().rev().find(answered).map(|span| (span.id, span.start, span.end)) else {
        return;
    };
    let (back, out): (Vec<_>, Vec<_>) =
        spans.iter().filter(|span| span.parent == Some(id)).partition(|span| span.direction == Direction::Back);
    let sent = out.iter().map(|span| span.end).max().unwrap_or(start);
    let end = back.iter().map(|span| span.start).min().unwrap_or(end);
    spans.push(Record {
        id: SpanId::random(),
        parent: Some(id),
        hop: Hop::Service,
        name: YOUR_SERVICE.into(),
        start: sent,
        end: end.max(sent),
        direction: Direction::Out,
        status: Status::Ok,
        fault: None,
        attributes: Vec::new(),
    });
}

fn number(span: &Record, key: &str) -> Option<u64> {
    attribute(span, key).and_then(Value::as_u64)
}
