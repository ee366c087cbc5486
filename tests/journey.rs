//! Journeys over a whole stack: what a probe shows, what an outsider does not get, and what never shows.

mod harness;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use harness::people::Ask;
use harness::probes::{attribute, hops, outgoing, probe, span};
use harness::{House, PASSWORD, PATIENCE, order_of};
use roundtrip::client::{Client, ClientConfig, Connection, Outgoing, Resolver, Roots};
use roundtrip::domain::permission::Role;
use roundtrip::lab::journeys::{Sending, Wish, send};
use roundtrip::lab::presets;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::{SpanId, TraceId};
use roundtrip::observe::journey::{Journey, JourneySpan};
use roundtrip::observe::span::{Direction, Status};
use roundtrip::web::probe::ProbeKey;
use roundtrip::web::secret;
use serde_json::Value;

/// Times are rounded to nanoseconds and told in microseconds: two that meet may differ by this much.
const TOLERANCE_US: f64 = 1.0;
/// Times a sum is measured. On a busy machine the scheduler takes a thread away between any two spans, and no
/// program can measure what it did not run through; so the best of these counts. What holds every time, such as
/// the shape, is asserted every time.
const TRIES: usize = 10;

fn sending(id: &str, role: Role) -> Sending {
    let preset = presets::offered(true).iter().find(|preset| preset.id == id).expect("a preset");
    Sending { wish: Wish::from(preset), role, kept: false, bypass_caches: false, count: 1 }
}

async fn sent(house: &House, sending: Sending) -> Arc<Journey> {
    send(&house.stack, sending).await.expect("was sent").remove(0)
}

fn counted(span: &&JourneySpan) -> bool {
    span.direction != Direction::After && span.status != Status::Skipped
}

/// What must be true of every whole journey.
#[track_caller]
fn is_well_formed(journey: &Journey) {
    assert!(journey.complete, "{journey:#?}");
    let root = &journey.spans[0];
    assert_eq!((root.parent, root.hop, root.start_us), (None, Hop::Client, 0.0));
    assert_eq!(root.duration_us, journey.summary.total_us);
    let mut known: HashMap<SpanId, &JourneySpan> = HashMap::new();
    for span in &journey.spans {
        let place = format!("{} in {journey:#?}", span.name);
        if let Some(parent) = span.parent {
            let parent = known.get(&parent).unwrap_or_else(|| panic!("no parent before {place}"));
            if counted(&span) {
                assert!(span.start_us >= parent.start_us - TOLERANCE_US, "begins before {}: {place}", parent.name);
                let (end, outer) = (span.start_us + span.duration_us, parent.start_us + parent.duration_us);
                assert!(end <= outer + TOLERANCE_US, "ends after {}: {place}", parent.name);
            }
        } else {
            assert_eq!(span.id, root.id, "a second root: {place}");
        }
        assert!(known.insert(span.id, span).is_none(), "an id twice: {place}");
    }
    for (before, after) in neighbours(journey) {
        let overlap = before.start_us + before.duration_us - after.start_us;
        assert!(overlap <= TOLERANCE_US, "{} and {} overlap by {overlap} us in {journey:#?}", before.name, after.name);
    }
}

fn leaves(journey: &Journey) -> Vec<&JourneySpan> {
    let parents: HashSet<SpanId> = journey.spans.iter().filter_map(|span| span.parent).collect();
    journey.spans.iter().filter(|span| !parents.contains(&span.id)).filter(counted).collect()
}

/// Leaves of one parent, each with the one that begins next.
fn neighbours(journey: &Journey) -> Vec<(&JourneySpan, &JourneySpan)> {
    let mut groups: HashMap<Option<SpanId>, Vec<&JourneySpan>> = HashMap::new();
    for leaf in leaves(journey) {
        groups.entry(leaf.parent).or_default().push(leaf);
    }
    let pairs = groups.into_values().flat_map(|mut group| {
        group.sort_by(|a, b| a.start_us.total_cmp(&b.start_us));
        group.windows(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>()
    });
    pairs.collect()
}

/// The share of the whole that the leaves account for.
fn accounted(journey: &Journey) -> f64 {
    leaves(journey).iter().map(|leaf| leaf.duration_us).sum::<f64>() / journey.summary.total_us
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_menu_read_is_seen_at_every_hop_and_its_times_nest() {
    let house = House::open().await;
    let journey = sent(&house, sending("menu", Role::Guest)).await;
    is_well_formed(&journey);
    assert_eq!((journey.summary.status, journey.summary.turn), (200, Hop::Data));
    assert_eq!(hops(&journey), Hop::ALL.into());
    for hop in Hop::ALL {
        assert!(journey.hops.clone().of_mut(hop).reached, "{}", hop.id());
    }
    let cache = journey.sides.cache.as_ref().expect("the cache was asked");
    assert!(cache.asked && !cache.hit && !cache.bypassed);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_placed_order_is_seen_at_every_hop_and_its_times_nest() {
    let house = House::open().await;
    for role in [Role::Guest, Role::Waiter] {
        let journey = sent(&house, sending("order", role)).await;
        is_well_formed(&journey);
        assert_eq!((journey.summary.status, journey.summary.turn), (201, Hop::Data));
        assert_eq!(hops(&journey), Hop::ALL.into());
        assert_eq!(journey.summary.sent_as.as_deref(), Some(role.id()));
        assert_eq!(journey.sides.queue.as_ref().expect("a ticket was queued").ticket, house.books().orders);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaf_spans_account_for_nine_tenths_of_the_time() {
    let house = House::open().await;
    for id in ["menu", "order"] {
        let mut best = 0.0_f64;
        for _ in 0..TRIES {
            let journey = sent(&house, Sending { bypass_caches: true, ..sending(id, Role::Guest) }).await;
            is_well_formed(&journey);
            assert!(accounted(&journey) <= 1.0 + 1e-6, "more than the whole: {journey:#?}");
            best = best.max(accounted(&journey));
        }
        assert!(best >= 0.9, "{id}: {best}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_connection_asks_no_name_and_shakes_no_hands() {
    let house = House::open().await;
    let journeys = send(&house.stack, Sending { kept: true, count: 3, ..sending("menu", Role::Guest) }).await;
    for journey in journeys.expect("were sent") {
        is_well_formed(&journey);
        assert_eq!(journey.summary.connection.as_deref(), Some("kept"));
        let seen = hops(&journey);
        assert!(!seen.contains(&Hop::Dns) && !seen.contains(&Hop::Tls), "{journey:#?}");
        assert_eq!(attribute(&journey, "http.connection.reused"), Some(&Value::Bool(true)));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_prepares_a_request_is_no_probe_and_leaves_nothing_unfinished() {
    let house = House::open().await;
    let kept = Sending { kept: true, ..sending("other-order", Role::Guest) };
    let asked = sent(&house, kept).await;
    let probes: Vec<_> = house.stack.recorder().recent(100).into_iter().filter(|summary| summary.probe).collect();
    assert_eq!(probes.iter().map(|summary| summary.trace_id).collect::<Vec<_>>(), [asked.summary.trace_id]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_instance_misses_once_and_then_answers_from_its_own_cache() {
    let house = House::open().await;
    house.edge_keeps_nothing();
    let mut seen: HashSet<String> = HashSet::new();
    for _ in 0..12 {
        let journey = sent(&house, sending("menu", Role::Guest)).await;
        let instance = attribute(&journey, "roundtrip.instance").and_then(Value::as_str).expect("an instance");
        let cache = journey.sides.cache.as_ref().expect("the cache was asked");
        assert_eq!(cache.hit, !seen.insert(instance.to_owned()), "{instance}");
        assert_eq!(attribute(&journey, "db.query.text").is_some(), !cache.hit);
    }
    assert!(!seen.is_empty());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bypassed_cache_is_not_asked_and_keeps_nothing() {
    let house = House::with_one_instance().await;
    for _ in 0..2 {
        let past = sent(&house, Sending { bypass_caches: true, ..sending("menu", Role::Guest) }).await;
        let cache = past.sides.cache.as_ref().expect("the cache is on the trace");
        assert!(cache.bypassed && !cache.asked && !cache.hit);
        assert!(attribute(&past, "db.query.text").is_some(), "{past:#?}");
        assert_eq!((past.caches.as_str(), attribute(&past, "dns.cached")), ("bypass", Some(&Value::Bool(false))));
    }
    house.edge_keeps_nothing();
    sent(&house, sending("menu", Role::Guest)).await;
    let hit = sent(&house, sending("menu", Role::Guest)).await;
    assert!(hit.sides.cache.as_ref().is_some_and(|cache| cache.hit));
    assert!(attribute(&hit, "db.query.text").is_none(), "{hit:#?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_menu_that_the_edge_has_kept_turns_back_there() {
    let house = House::open().await;
    // No test is so slow that it is stale.
    house.stack.settings().change([("api.menu.shared_ttl", &Value::from(3_600))]).expect("fits");
    let first = sent(&house, sending("menu", Role::Guest)).await;
    assert!(first.sides.edge_cache.as_ref().is_some_and(|cache| cache.asked && !cache.hit));
    let past = sent(&house, Sending { bypass_caches: true, ..sending("menu", Role::Guest) }).await;
    assert!(past.sides.edge_cache.as_ref().is_some_and(|cache| cache.bypassed && !cache.asked && !cache.hit));
    assert_eq!((hops(&past).len(), past.summary.turn), (Hop::ALL.len(), Hop::Data));
    // It is the same for everybody.
    for role in [Role::Guest, Role::Waiter] {
        let journey = sent(&house, sending("menu", role)).await;
        is_well_formed(&journey);
        assert_eq!((journey.summary.status, journey.summary.turn), (200, Hop::Http));
        assert_eq!(hops(&journey), [Hop::Client, Hop::Dns, Hop::Tls, Hop::Http].into());
        let edge = journey.sides.edge_cache.as_ref().expect("the edge's cache was asked");
        assert!(edge.hit && edge.key.ends_with("/api/v1/menu") && journey.sides.cache.is_none());
        let look = span(&journey, "Look in the edge's cache").expect("the look");
        assert_eq!(look.attributes["roundtrip.cache.state"], "fresh");
    }
    house.stop().await;
}

/// The journey that the stack keeps of a request that is no probe. Refusals are always kept.
async fn kept(house: &House, client: &Client, bypass_caches: bool) -> (TraceId, Arc<Journey>) {
    let mut live = house.stack.recorder().subscribe();
    let request = Outgoing { bypass_caches, ..outgoing(house, "GET", "/api/v1/menu/9999", None) };
    let answer = client.send(request).await.expect("an answer");
    assert_eq!(answer.status, 404);
    let journey = tokio::time::timeout(PATIENCE, live.recv()).await.expect("in time").expect("a journey");
    (answer.part.trace_id, journey)
}

fn outsider(house: &House, probe_key: Option<ProbeKey>) -> Client {
    let resolver = Resolver::at(house.stack.dns());
    let roots = Roots::Pem(house.ca_pem.clone().into_bytes());
    // With `detail` its traceparent carries the sampled flag.
    Client::new(ClientConfig { resolver, roots, probe_key, ca_path: None, detail: true }).expect("a client")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outsiders_trace_is_continued_but_a_sampled_flag_buys_no_detail() {
    let house = House::with_one_instance().await;
    let (trace_id, journey) = kept(&house, &outsider(&house, None), false).await;
    assert_eq!(journey.summary.trace_id, trace_id);
    assert!(journey.complete && !journey.summary.probe);
    assert!(journey.spans.iter().all(|span| span.attributes.is_empty()), "{journey:#?}");
    assert!(hops(&journey).contains(&Hop::Data));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_header_that_we_did_not_sign_buys_nothing() {
    let house = House::with_one_instance().await;
    let (trace_id, journey) = kept(&house, &outsider(&house, Some(ProbeKey::new(b"another key"))), true).await;
    assert_eq!(journey.summary.trace_id, trace_id);
    assert!(journey.complete && !journey.summary.probe && journey.caches == "use");
    assert!(journey.spans.iter().all(|span| span.attributes.is_empty()), "{journey:#?}");
    for garbage in ["", "x", "1.2.3.4.5", "........"] {
        let ask = Ask::new("GET", "/api/v1/menu").header("roundtrip-probe", garbage);
        assert_eq!(house.visitor().send(ask).await.status, 200, "{garbage}");
    }
    house.stop().await;
}

/// Every text of a journey in which a secret could stand: certificates' fingerprints and DNS messages are
/// public, and the only long hexadecimal numbers.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => {
            let public = ["sha256", "dns.question.hex", "dns.answer.hex"];
            members.iter().filter(|(name, _)| !public.contains(&name.as_str())).for_each(|(_, of)| texts(of, found));
        }
        _ => {}
    }
}

#[track_caller]
fn tells_no_secret(journey: &Journey, secrets: &[&str]) {
    let document = serde_json::to_value(journey).expect("a document");
    let whole = document.to_string();
    for secret in secrets {
        assert!(!whole.contains(secret), "{secret} in {document:#}");
    }
    let mut found = Vec::new();
    texts(&document, &mut found);
    for text in found {
        // The hop secret, signatures, session secrets and the control key are all of 64 digits.
        let longest = text.split(|c: char| !c.is_ascii_hexdigit()).map(str::len).max().unwrap_or(0);
        assert!(longest <= 32, "a long number in {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_stands_in_a_journey() {
    let house = House::open().await;
    let waiter = house.staff("waiter").await;
    let control_key = secret::hex(&house.control_key);
    let cookies = waiter.cookies();
    let (_, session) = cookies.split_once('=').expect("a cookie");
    let known = [session, PASSWORD, control_key.as_str()];

    let mut order = outgoing(&house, "POST", "/api/v1/orders", Some(&order_of(12, 1)));
    order.headers.push(("cookie".to_owned(), cookies.clone()));
    order.headers.push(("origin".to_owned(), house.stack.app_url()));
    order.headers.push(("authorization".to_owned(), format!("Bearer {session}")));
    let (answer, journey) = probe(&house, order).await;
    assert_eq!(answer.status, 201);
    let raw = attribute(&journey, "http.request.raw").and_then(Value::as_str).expect("the request");
    assert!(raw.contains("cookie: __Host-rt_bistro=(hidden, 64 bytes)"), "{raw}");
    tells_no_secret(&journey, &known);

    let body = serde_json::json!({ "name": "waiter", "password": PASSWORD });
    let (answer, journey) = probe(&house, outgoing(&house, "POST", "/api/v1/session", Some(&body))).await;
    let new = answer.header("set-cookie").and_then(|cookie| cookie.split(['=', ';']).nth(1)).expect("a session");
    assert_eq!((answer.status, new.len()), (200, 64));
    tells_no_secret(&journey, &[&known[..], &[new]].concat());

    // A guest's first order makes a session, too.
    let (answer, journey) = probe(&house, outgoing(&house, "POST", "/api/v1/orders", Some(&order_of(12, 1)))).await;
    let new = answer.header("set-cookie").and_then(|cookie| cookie.split(['=', ';']).nth(1)).expect("a session");
    tells_no_secret(&journey, &[&known[..], &[new]].concat());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_timing_tells_the_hops_except_where_time_could_tell_a_secret() {
    let house = House::with_one_instance().await;
    let visitor = house.visitor();
    let menu = visitor.get("/api/v1/menu").await;
    for hop in ["http;dur=", "balancer;dur=", "api;dur=", "data;dur="] {
        assert!(menu.timing().contains(hop), "{hop} in {}", menu.timing());
    }
    let wrong = serde_json::json!({ "name": "waiter", "password": PASSWORD });
    for reply in [visitor.post("/api/v1/session", &wrong).await, visitor.get("/api/v1/session").await] {
        assert_eq!(reply.timing(), "", "{reply:?}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_refusals_is_kept_within_bounds_and_pushes_out_no_probe() {
    let house = House::with_one_instance().await;
    let first = sent(&house, sending("menu", Role::Guest)).await;
    let visitor = house.visitor();
    for _ in 0..300 {
        assert_eq!(visitor.get("/api/v1/nothing").await.status, 404);
    }
    assert!(house.stack.recorder().journey(first.summary.trace_id).is_some());
    let others = house.stack.recorder().recent(usize::MAX).iter().filter(|summary| !summary.probe).count();
    assert!((100..=256).contains(&others), "{others}");
    for _ in 0..256 {
        let menu = Outgoing { connection: Connection::Kept, ..outgoing(&house, "GET", "/healthz", None) };
        probe(&house, menu).await;
    }
    let probes = house.stack.recorder().recent(usize::MAX).iter().filter(|summary| summary.probe).count();
    assert_eq!(probes, 256);
    assert!(house.stack.recorder().journey(first.summary.trace_id).is_none());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_turns_back_at_the_hop_that_refused() {
    let house = House::open().await;
    for (id, role, status, turn) in [
        ("bad-body", Role::Guest, 422, Hop::Api),
        ("no-dish", Role::Guest, 404, Hop::Data),
        ("other-order", Role::Guest, 404, Hop::Data),
    ] {
        let journey = sent(&house, sending(id, role)).await;
        is_well_formed(&journey);
        assert_eq!((journey.summary.status, journey.summary.turn), (status, turn), "{id} as {}", role.id());
    }
    let chef = sent(&house, sending("order", Role::Chef)).await;
    is_well_formed(&chef);
    let asked = span(&chef, "May you do this?").expect("the check");
    assert_eq!((chef.summary.status, asked.status, asked.hop), (403, Status::Error, Hop::Api));

    let mut elsewhere = outgoing(&house, "GET", "/api/v1/menu", None);
    elsewhere.headers.push(("host".to_owned(), "evil.example".to_owned()));
    let mut forged = outgoing(&house, "POST", "/api/v1/orders", Some(&order_of(12, 1)));
    forged.headers.push(("sec-fetch-site".to_owned(), "cross-site".to_owned()));
    for (request, status, turn) in [
        (elsewhere, 421, Hop::Http),
        (forged, 403, Hop::Api),
        (outgoing(&house, "GET", "/nothing", None), 404, Hop::Api),
        (outgoing(&house, "PUT", "/api/v1/menu", None), 405, Hop::Api),
    ] {
        let (answer, journey) = probe(&house, request).await;
        is_well_formed(&journey);
        assert_eq!((answer.status, journey.summary.turn), (status, turn));
    }
    house.stop().await;
}
