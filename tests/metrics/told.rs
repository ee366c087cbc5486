//! Metrics at `/metrics`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use roundtrip::observe::journey::Journey;
use roundtrip::observe::kept::Why;
use roundtrip::observe::span::{Direction, Status};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinHandle;

use crate::format::{self, Exposition};
use crate::harness::people::Ask;
use crate::harness::sealed::Sealed;
use crate::harness::{House, PATIENCE, order_of};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0, text/plain;q=0.5";
const DASHBOARD: &str = include_str!("../../data/metrics/dashboard.json");
const ALERTS: &str = include_str!("../../data/metrics/alerts.yaml");

async fn scrape(house: &House) -> Exposition {
    let reply = house.stranger().get("/metrics").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    format::read(&reply.text(), false)
}

async fn scrape_open(house: &House) -> Exposition {
    let reply = house.stranger().send(Ask::new("GET", "/metrics").header("accept", OPEN_METRICS)).await;
    assert_eq!(reply.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    format::read(&reply.text(), true)
}

const REQUESTS: &str = "http_server_request_duration_seconds_count";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_house_tells_well_formed_metrics_in_both_formats() {
    let house = House::open().await;
    let (plain, open) = (scrape(&house).await, scrape_open(&house).await);
    let names = |exposition: &Exposition| exposition.0.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&plain), names(&open));
    assert_eq!(plain.sum(REQUESTS), 0.0, "nobody has asked for anything, and the console is no traffic");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_counted_once_under_its_method_route_and_status() {
    let house = House::open().await;
    house.edge_keeps_nothing();
    let visitor = house.visitor();
    for path in ["/api/v1/menu/1", "/api/v1/menu/2", "/api/v1/menu/9999", "/nowhere/1", "/nowhere/2"] {
        visitor.get(path).await;
    }
    assert_eq!(visitor.post("/api/v1/orders", &order_of(1, 1)).await.status, 201);
    let told = scrape(&house).await;
    let count = |method: &str, route: &str, status: &str| {
        let labels = [("http_request_method", method), ("http_route", route), ("http_response_status_code", status)];
        told.value(REQUESTS, &labels)
    };
    assert_eq!(count("GET", "/api/v1/menu/{id}", "200"), Some(2.0));
    assert_eq!(count("GET", "/api/v1/menu/{id}", "404"), Some(1.0));
    assert_eq!(count("GET", "other", "404"), Some(2.0));
    assert_eq!(count("POST", "/api/v1/orders", "201"), Some(1.0));
    assert_eq!(told.sum(REQUESTS), 6.0);
    // Each hop that it passed, with the instance's part.
    for hop in ["http", "balancer", "api", "service", "data"] {
        let passed = told.value("roundtrip_hop_duration_seconds_count", &[("hop", hop)]);
        assert!(passed >= Some(4.0), "{hop}: {passed:?}");
    }
    assert_eq!(told.sum("http_client_request_duration_seconds_count"), 6.0, "one attempt each");
    assert!(told.sum("roundtrip_db_changes_total") >= 1.0);
    assert!(told.value("roundtrip_db_readers_max", &[]) == Some(4.0));
    assert!(told.value("tls_handshake_duration_seconds_count", &[("tls_resumed", "false")]) >= Some(1.0));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_paths_are_asked_for_series_are_few() {
    let house = House::with_one_instance().await;
    let visitor = house.visitor();
    for number in 0..300 {
        visitor.get(&format!("/made-up/{number}")).await;
    }
    let told = scrape(&house).await;
    let series = told.samples().filter(|sample| sample.name == REQUESTS).count();
    assert!(series <= 2, "{series}");
    assert_eq!(told.sum(REQUESTS), 300.0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exemplars_lead_to_traces_that_are_kept() {
    let house = House::with_one_instance().await;
    // An error is kept for certain.
    assert_eq!(house.visitor().get("/api/v1/menu/9999").await.status, 404);
    let told = scrape_open(&house).await;
    let exemplars: Vec<_> = told.samples().filter_map(|sample| sample.exemplar.as_ref()).collect();
    assert!(!exemplars.is_empty());
    for exemplar in exemplars {
        let id = exemplar.labels["trace_id"].parse().expect("a trace id");
        let journey = house.stack.recorder().journey(id).expect("the trace is kept");
        assert_eq!(journey.summary.path, "/api/v1/menu/9999");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_told_for_as_long_as_it_is_on() {
    let house = House::with_one_instance().await;
    let active = async || scrape(&house).await.value("roundtrip_fault_active", &[("fault", "fault.api.errors")]);
    assert_eq!(active().await, Some(0.0));
    house.stack.settings().change([("fault.api.errors", &json!(10))]).expect("fits");
    assert_eq!(active().await, Some(1.0));
    house.stack.settings().change([("fault.api.errors", &json!(false))]).expect("fits");
    assert_eq!(active().await, Some(0.0));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_that_the_dashboard_and_the_alerts_name_is_told() {
    let house = House::open().await;
    assert_eq!(house.visitor().get("/api/v1/menu").await.status, 200);
    let told = scrape(&house).await;
    let known: BTreeSet<String> = told
        .0
        .iter()
        .flat_map(|(name, family)| {
            let suffixes: &[&str] = match family.kind.as_str() {
                "counter" => &["_total"],
                "gauge" => &[""],
                _ => &["_bucket", "_sum", "_count"],
            };
            suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
        })
        .collect();
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let mut expressions = Vec::new();
    texts(&dashboard, "expr", &mut expressions);
    assert!(expressions.len() > 30, "{}", expressions.len());
    let rules = ALERTS.lines().filter(|line| !line.trim_start().starts_with(['#', '-']));
    let alerts: Vec<String> =
        rules.filter(|line| !line.contains("summary:") && !line.contains("description:")).map(str::to_owned).collect();
    expressions.extend(alerts);
    let named: BTreeSet<String> = expressions.iter().flat_map(|text| metrics_in(text)).collect();
    assert!(named.len() > 40, "{named:?}");
    let missing: Vec<_> = named.difference(&known).collect();
    assert!(missing.is_empty(), "{missing:?}");
    house.stop().await;
}

/// The texts of all members of this name.
fn texts(value: &serde_json::Value, name: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            for (key, value) in members {
                match value.as_str().filter(|_| key == name) {
                    Some(text) => found.push(text.to_owned()),
                    None => texts(value, name, found),
                }
            }
        }
        serde_json::Value::Array(all) => all.iter().for_each(|value| texts(value, name, found)),
        _ => {}
    }
}

/// Words that begin as our metrics do.
fn metrics_in(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = ["roundtrip_", "http_server_", "http_client_", "tls_handshake_", "dns_server_", "process_"];
    words.filter(|word| ours.iter().any(|prefix| word.starts_with(prefix))).map(str::to_owned).collect()
}

/// Somebody's own service: it answers everything with this, and keeps the connection or not.
fn service(answer: &'static [u8], keeps: bool) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("nonblocking");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {
                    if stream.write_all(answer).await.is_err() || !keeps {
                        return;
                    }
                }
            });
        }
    });
    (address, serving)
}

/// A request over a new connection, which is open still.
async fn asked(house: &House, path: &str) -> Sealed {
    let mut socket = house.sealed(house.stack.app()).await;
    let authority = house.stack.app();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await.expect("is sent");
    socket
}

/// The next journey that is kept.
async fn next(journeys: &mut Receiver<Arc<Journey>>) -> Arc<Journey> {
    tokio::time::timeout(PATIENCE, journeys.recv()).await.expect("one is kept").expect("a recorder")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_and_one_that_never_comes_are_failures_whatever_their_status() {
    let (address, service) = service(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf", false);
    let house = House::before(&[address]).await;
    let mut journeys = house.stack.recorder().subscribe();
    let mut socket = asked(&house, "/half").await;
    // However the connection ends.
    _ = socket.read_to_end(&mut Vec::new()).await;
    let half = next(&mut journeys).await;
    assert_eq!((half.summary.status, half.summary.kept), (200, Why::Error));

    house.stack.settings().change([("fault.http.reset", &json!({}))]).expect("fits");
    _ = asked(&house, "/none").await.read_to_end(&mut Vec::new()).await;
    let none = next(&mut journeys).await;
    assert_eq!((none.summary.status, none.summary.kept), (444, Why::Error));

    let told = scrape(&house).await;
    assert_eq!(told.value(REQUESTS, &[("http_response_status_code", "200"), ("error_type", "truncated")]), Some(1.0));
    assert_eq!(told.value(REQUESTS, &[("http_response_status_code", "444"), ("error_type", "reset")]), Some(1.0));
    assert_eq!(house.stack.recorder().metrics().totals().errors, 2, "as the live page tells them");
    house.stop().await;
    service.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_counts_until_its_head_and_ends_well_when_its_client_leaves() {
    let (address, service) = service(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndata: 1\n\r\n",
        true,
    );
    let house = House::before(&[address]).await;
    let mut journeys = house.stack.recorder().subscribe();
    let mut socket = asked(&house, "/events").await;
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("data: 1") {
        assert!(socket.read_buf(&mut seen).await.expect("bytes") > 0, "the stream ended");
    }
    let listened = Instant::now();
    // It listens for as long as another request takes.
    _ = asked(&house, "/other").await;
    let listened = listened.elapsed();
    drop(socket);
    let journey = loop {
        let journey = next(&mut journeys).await;
        if journey.summary.path == "/events" {
            break journey;
        }
    };
    assert_eq!(journey.summary.status, 200, "its client's leaving is no failure");
    assert_eq!(journey.spans[0].status, Status::Ok);
    let whole_s = journey.summary.total_us / 1e6;
    assert!(whole_s >= listened.as_secs_f64(), "the journey is all of it");
    let told = scrape(&house).await;
    assert!(told.samples().filter(|sample| sample.name == REQUESTS).all(|one| !one.labels.contains_key("error_type")));
    let send = journey.spans.iter().find(|span| span.name == "Send the answer").expect("the last leaf");
    assert_eq!(send.direction, Direction::After);
    let at_edge = journey.hops.http.us / 1e6;
    assert!(at_edge <= whole_s - listened.as_secs_f64(), "{at_edge} of {whole_s}, {listened:?} of it listening");
    house.stop().await;
    service.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_requests_of_somebodys_own_service_are_counted_by_the_route_that_they_took() {
    let (address, service) = service(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true);
    let house = House::before(&[address]).await;
    for path in ["/a/1", "/b/2"] {
        assert_eq!(house.visitor().get(path).await.status, 200);
    }
    let told = scrape(&house).await;
    assert_eq!(told.value(REQUESTS, &[("http_route", "/"), ("http_response_status_code", "200")]), Some(2.0));
    house.stop().await;
    service.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_not_told_under_a_name_that_is_not_the_consoles() {
    let house = House::with_one_instance().await;
    let rebound = house.stranger().send(Ask::new("GET", "/metrics").header("host", "evil.example")).await;
    assert_eq!(rebound.status, 421, "{}", rebound.text());
    // Nor by the app: its visitors are not those who watch.
    assert_eq!(house.visitor().get("/metrics").await.status, 404);
    house.stop().await;
}
