//! Looking for journeys: by what went wrong, where, for whom, and how long it took.

mod harness;

use std::time::Duration;

use harness::House;
use harness::people::Owner;
use harness::probes::{outgoing, probe};
use roundtrip::domain::permission::Role;
use roundtrip::lab::journeys::{Sending, Wish, send};
use roundtrip::lab::presets;
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::SpanId;
use roundtrip::observe::metrics::Served;
use roundtrip::observe::part::{EdgePart, InstancePart, Part};
use roundtrip::observe::span::{Context, Trace};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn send_as(house: &House, id: &str, role: Role) {
    let preset = presets::offered(true).iter().find(|preset| preset.id == id).expect("a preset");
    let sending = Sending { wish: Wish::from(preset), role, kept: false, bypass_caches: false, count: 1 };
    send(&house.stack, sending).await.expect("was sent");
}

async fn found(owner: &Owner, query: &str) -> Vec<Value> {
    let reply = owner.get(&format!("/api/traces?{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["journeys"].as_array().expect("journeys").clone()
}

/// A request that a fault struck in an instance, as its two sides tell of it.
fn struck(house: &House, fault: &'static str) -> String {
    let context = Context::new_root();
    let now = Tick::now();
    let edge = Trace::start(context, SpanId::random(), Hop::Http, "Serve the request", now);
    let within = Context { parent: Some(edge.id()), ..context };
    let instance = Trace::start(within, SpanId::random(), Hop::Data, "Read", now);
    instance.fault(fault);
    let (edge, instance) = (edge.trace().clone(), instance.trace().clone());
    let recorder = house.stack.recorder();
    let (method, path, took) = ("GET", "/api/v1/menu/7", Duration::from_micros(5));
    let counted = recorder.metrics().served(&Served {
        method,
        path,
        route: None,
        status: 200,
        failure: None,
        took,
        request_bytes: 0,
        response_bytes: 5,
    });
    let role = Some(Role::Waiter.id());
    recorder.submit(Part::Instance(InstancePart { key: context.key, role, spans: instance.finish() }));
    recorder.submit(Part::Edge(EdgePart {
        trace_id: context.trace_id,
        key: context.key,
        probe: false,
        started_at: OffsetDateTime::now_utc(),
        method: method.to_owned(),
        path: path.to_owned(),
        status: 200,
        failure: None,
        took,
        counted: Some(counted),
        instance_parts: 1,
        your_service: None,
        request_bytes: 0,
        response_bytes: 5,
        spans: edge.finish(),
    }));
    context.trace_id.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn journeys_are_found_by_status_route_hop_role_and_duration() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    send_as(&house, "menu", Role::Guest).await;
    send_as(&house, "dish", Role::Waiter).await;
    send_as(&house, "no-dish", Role::Guest).await;
    send_as(&house, "order", Role::Chef).await;

    let of = |journeys: &[Value], member: &str| journeys.iter().map(|one| one[member].clone()).collect::<Vec<_>>();
    assert_eq!(of(&found(&owner, "").await, "status"), [403, 404, 200, 200], "the latest first");
    assert_eq!(of(&found(&owner, "status=4xx").await, "status"), [403, 404]);
    assert_eq!(of(&found(&owner, "status=404").await, "route"), ["/api/v1/menu/{id}"]);
    assert_eq!(of(&found(&owner, "route=/api/v1/menu/").await, "status"), [404, 200]);
    assert_eq!(of(&found(&owner, "as=waiter").await, "route"), ["/api/v1/menu/{id}"]);
    assert_eq!(of(&found(&owner, "status=403&hop=api").await, "as"), ["chef"]);
    assert_eq!(found(&owner, "status=403&hop=tls").await, [] as [Value; 0]);
    assert!(of(&found(&owner, "").await, "kept").iter().all(|kept| kept == "probe"));

    let all = found(&owner, "").await;
    let longest = all.iter().filter_map(|one| one["total_us"].as_f64()).fold(0.0, f64::max);
    assert_eq!(found(&owner, &format!("min_us={}", longest.floor() as u64)).await.len(), 1);
    assert_eq!(found(&owner, &format!("max_us={}", longest.ceil() as u64 - 1)).await.len(), 3);
    assert_eq!(found(&owner, "probe=false").await, [] as [Value; 0]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_a_list_follow_one_another_though_more_comes() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    for _ in 0..5 {
        send_as(&house, "menu", Role::Guest).await;
    }
    let first = owner.get("/api/traces?limit=2").await.json();
    send_as(&house, "menu", Role::Guest).await;
    let mut seen: Vec<String> = Vec::new();
    let mut page = first;
    loop {
        let ids = page["journeys"].as_array().expect("journeys").iter();
        seen.extend(ids.map(|one| one["trace_id"].as_str().expect("an id").to_owned()));
        let Some(next) = page["next"].as_u64() else { break };
        page = owner.get(&format!("/api/traces?limit=2&before={next}")).await.json();
    }
    assert_eq!(seen.len(), 5);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5, "none twice");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_a_fault_struck_is_kept_and_found_by_its_key() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    // Otherwise it would be among the slowest.
    for _ in 0..200 {
        house.visitor().get("/healthz").await;
    }
    let trace_id = struck(&house, "fault.data.slow");
    struck(&house, "fault.service.slow");
    for query in ["fault=fault.data.slow", "fault=fault.data.", "hop=data&route=/api/v1/menu/{id}&probe=false&limit=1"]
    {
        let journeys = found(&owner, &query.replace('{', "%7B").replace('}', "%7D")).await;
        let last = journeys.last().expect("a journey");
        assert_eq!(last["faults"].as_array().map(Vec::len), Some(1), "{query}");
    }
    let journeys = found(&owner, "fault=fault.data.slow").await;
    assert_eq!((journeys.len(), &journeys[0]["trace_id"]), (1, &Value::from(trace_id)));
    assert_eq!(found(&owner, "as=waiter&probe=false").await.len(), 2, "nobody sent them as a waiter; a waiter did");
    assert_eq!((&journeys[0]["kept"], &journeys[0]["route"]), (&"fault".into(), &"/api/v1/menu/{id}".into()));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_found_by_the_role_of_whoever_sent_it_though_it_is_no_probe() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    let waiter = house.staff("waiter").await;
    assert_eq!(waiter.get("/api/v1/orders/99999").await.status, 404);
    assert_eq!(house.visitor().get("/api/v1/orders/99999").await.status, 404);
    let of = |role: &str| format!("as={role}&status=404&probe=false");
    for role in ["waiter", "guest"] {
        let journeys = found(&owner, &of(role)).await;
        assert_eq!(journeys.len(), 1, "{role}: {journeys:?}");
        assert_eq!((&journeys[0]["as"], &journeys[0]["kept"]), (&role.into(), &"refused".into()));
    }
    assert_eq!(found(&owner, &of("chef")).await, [] as [Value; 0]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_that_somebody_else_began_goes_on() {
    let house = House::with_one_instance().await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    // As bytes: the client of the tests has a trace of its own.
    let mut socket = house.sealed(house.stack.app()).await;
    let head = format!("GET /api/v1/nothing HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", house.stack.app());
    socket.write_all(format!("{head}traceparent: {parent}\r\n\r\n").as_bytes()).await.expect("is sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let id = "0af7651916cd43dd8448eb211c80319c".parse().expect("an id");
    let journey = house.stack.recorder().journey(id).expect("errors are kept");
    assert_eq!(journey.outer.map(|outer| outer.to_string()).as_deref(), Some("b7ad6b7169203331"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_makes_no_sense_is_refused_parameter_by_parameter() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    let reply = owner.get("/api/traces?status=6xx&hop=pantry&min_us=-1&probe=perhaps&colour=red&limit=0").await;
    reply.is_problem(400, "bad-query", None);
    let mut pointers = reply.pointers();
    pointers.sort();
    assert_eq!(pointers, ["/colour", "/hop", "/limit", "/min_us", "/probe", "/status"]);
    house.stranger().get("/api/traces").await.is_problem(401, "sign-in-first", None);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_seen_and_what_is_kept_is_told() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    probe(&house, outgoing(&house, "GET", "/healthz", None)).await;
    let told = owner.get("/api/traces").await.json();
    assert_eq!((&told["kept"], &told["seen"], &told["next"]), (&1.into(), &1.into(), &Value::Null));
    assert!(told["kept_why"].as_str().is_some_and(|why| why.contains("one in 64")), "{told}");
    house.stop().await;
}
