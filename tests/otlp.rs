//! Export of traces, read back by the public definitions of OTLP; and that no collector harms anybody.

mod harness;

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use harness::probes::{outgoing, probe};
use harness::{House, PATIENCE};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;
use roundtrip::observe::clock::Tick;
use roundtrip::observe::failure::Failure;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::SpanId;
use roundtrip::observe::metrics::exposition::Format;
use roundtrip::observe::part::{EdgePart, Part};
use roundtrip::observe::span::{Context, Trace};
use roundtrip::policy::backoff::Attempts;
use roundtrip::stack::otlp::{Collector, Exporter, Pace};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// Statuses to answer with; then 200.
type Statuses = Arc<Mutex<VecDeque<u16>>>;
/// `Content-Type`, and the body.
type Received = (String, Vec<u8>);

#[derive(Clone)]
struct Shared {
    statuses: Statuses,
    received: mpsc::UnboundedSender<Received>,
}

async fn receive(shared: web::Data<Shared>, request: actix_web::HttpRequest, body: web::Bytes) -> HttpResponse {
    let media_type = request.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    shared.received.send((media_type.to_owned(), body.to_vec())).expect("the test runs");
    let status = shared.statuses.lock().expect("statuses").pop_front().unwrap_or(200);
    let status = actix_web::http::StatusCode::from_u16(status).expect("a status");
    HttpResponse::build(status).insert_header(("retry-after", "0")).finish()
}

/// A collector that answers with `statuses`, one after another.
async fn collector(statuses: &[u16]) -> (SocketAddr, mpsc::UnboundedReceiver<Received>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let (received, receiver) = mpsc::unbounded_channel();
    let shared = Shared { statuses: Arc::new(Mutex::new(statuses.iter().copied().collect())), received };
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(shared.clone()))
            .app_data(web::PayloadConfig::new(16 * 1024 * 1024))
            .route("/v1/traces", web::post().to(receive))
    });
    tokio::spawn(server.workers(1).disable_signals().listen(listener).expect("it listens").run());
    (address, receiver)
}

fn export(house: &House, to: SocketAddr) -> Exporter {
    let collector = Collector::parse(&format!("http://{to}")).expect("an address");
    let attempts = Attempts { max: 3, first: Duration::from_millis(2), longest: Duration::from_millis(4) };
    let pace = Pace { linger: Duration::from_millis(5), timeout: PATIENCE, attempts };
    Exporter::start(&collector, &house.stack, house.ca_pem.as_bytes(), pace).expect("an exporter")
}

async fn next(receiver: &mut mpsc::UnboundedReceiver<Received>) -> Received {
    tokio::time::timeout(PATIENCE, receiver.recv()).await.expect("something is exported").expect("a collector")
}

fn decoded(received: &Received) -> ExportTraceServiceRequest {
    assert_eq!(received.0, "application/x-protobuf");
    ExportTraceServiceRequest::decode(&received.1[..]).expect("OTLP")
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<Span> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<Value> {
    attributes.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone()?.value)
}

fn text(text: &str) -> Option<Value> {
    Some(Value::StringValue(text.to_owned()))
}

/// Waits until it is true.
async fn until(what: &str, is: impl Fn() -> bool) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

/// A failed request of many spans, as the edge tells of it.
fn large(house: &House, spans: usize) {
    let context = Context::new_root();
    let root = Trace::start(context, SpanId::random(), Hop::Http, "Serve the request", Tick::now());
    (1..spans).for_each(|_| root.child(Hop::Http, "Wait").end());
    let spans = root.trace().clone().finish();
    house.stack.recorder().submit(Part::Edge(EdgePart {
        trace_id: context.trace_id,
        key: context.key,
        probe: false,
        started_at: OffsetDateTime::now_utc(),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        status: 503,
        failure: Failure::of_status(503),
        took: Duration::ZERO,
        counted: None,
        instance_parts: 0,
        your_service: None,
        request_bytes: 0,
        response_bytes: 0,
        spans,
    }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journey_arrives_whole_with_its_ids_times_kinds_and_attributes() {
    let house = House::with_one_instance().await;
    let (to, mut receiver) = collector(&[]).await;
    let exporter = export(&house, to);
    let (_, journey) = probe(&house, outgoing(&house, "GET", "/api/v1/menu/1?x=1", None)).await;
    let request = decoded(&next(&mut receiver).await);

    let resource = request.resource_spans[0].resource.as_ref().expect("a resource");
    assert_eq!(attribute(&resource.attributes, "service.name"), text("roundtrip"));
    let exported: HashMap<String, Span> = spans(&request).into_iter().map(|span| (hex(&span.span_id), span)).collect();
    assert_eq!(exported.len(), journey.spans.len());
    for span in &journey.spans {
        let other = &exported[&span.id.to_string()];
        assert_eq!(hex(&other.trace_id), journey.summary.trace_id.to_string());
        assert_eq!(hex(&other.parent_span_id), span.parent.map(|id| id.to_string()).unwrap_or_default());
        let us = (other.end_time_unix_nano - other.start_time_unix_nano) as f64 / 1e3;
        assert!((us - span.duration_us).abs() < 0.11, "{us} is not {}", span.duration_us);
        assert_eq!(attribute(&other.attributes, "roundtrip.hop"), text(span.hop.id()));
    }
    let of_kind = |kind: SpanKind| {
        let found = exported.values().filter(|span| span.kind == kind as i32);
        let mut names: Vec<&str> = found.map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(of_kind(SpanKind::Server), ["GET /api/v1/menu/{id}"; 2], "the edge and the instance");
    assert_eq!(of_kind(SpanKind::Client), ["GET"; 2], "the client and the edge's attempt");
    let root = &exported[&journey.spans[0].id.to_string()];
    assert_eq!(attribute(&root.attributes, "http.request.method"), text("GET"));
    assert_eq!(attribute(&root.attributes, "url.path"), text("/api/v1/menu/1"));
    assert_eq!(attribute(&root.attributes, "http.route"), text("/api/v1/menu/{id}"));
    assert_eq!(attribute(&root.attributes, "http.response.status_code"), Some(Value::IntValue(200)));
    assert_eq!(attribute(&root.attributes, "roundtrip.kept"), text("probe"));
    exporter.stop().await;
    house.stop().await;
}

/// What `/metrics` says of the export.
fn told(house: &House, what: &str) -> f64 {
    let text = house.stack.exposition(Format::Prometheus);
    let name = format!("roundtrip_otlp_{what}_total ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    value.unwrap_or_else(|| panic!("no {name}")).parse().expect("a number")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_that_somebody_else_began_hangs_beneath_their_span_and_an_error_says_so() {
    let house = House::with_one_instance().await;
    assert!(house.stack.kill_instance("i1").await);
    let (to, mut receiver) = collector(&[]).await;
    let exporter = export(&house, to);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    // As bytes: the client of the tests has a trace of its own.
    let mut socket = house.sealed(house.stack.app()).await;
    let head = format!("GET /api/v1/menu HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", house.stack.app());
    socket.write_all(format!("{head}traceparent: {parent}\r\n\r\n").as_bytes()).await.expect("is sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let exported = spans(&decoded(&next(&mut receiver).await));
    let root = exported.iter().find(|span| hex(&span.parent_span_id) == "b7ad6b7169203331").expect("a root");
    assert_eq!(
        (hex(&root.trace_id).as_str(), root.kind),
        ("0af7651916cd43dd8448eb211c80319c", SpanKind::Server as i32)
    );
    assert_eq!(root.status.as_ref().expect("a status").code, StatusCode::Error as i32);
    exporter.stop().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_can_not_take_it_now_gets_it_again() {
    let house = House::with_one_instance().await;
    let (to, mut receiver) = collector(&[503, 429]).await;
    let exporter = export(&house, to);
    probe(&house, outgoing(&house, "GET", "/healthz", None)).await;
    let first = next(&mut receiver).await;
    assert_eq!(first.1, next(&mut receiver).await.1);
    assert_eq!(first.1, next(&mut receiver).await.1);
    let figures = exporter.figures();
    until("it counts as sent", || figures.sent.load(Ordering::Relaxed) > 0).await;
    assert_eq!((figures.failed.load(Ordering::Relaxed), figures.dropped.load(Ordering::Relaxed)), (2, 0));
    exporter.stop().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_collector_refuses_for_good_is_dropped_and_counted_and_the_next_goes_out() {
    let house = House::with_one_instance().await;
    let (to, mut receiver) = collector(&[400]).await;
    let exporter = export(&house, to);
    let (_, refused) = probe(&house, outgoing(&house, "GET", "/healthz", None)).await;
    next(&mut receiver).await;
    let figures = exporter.figures();
    let dropped = || figures.dropped.load(Ordering::Relaxed);
    until("it counts as dropped", || dropped() == refused.spans.len() as u64).await;
    let (_, taken) = probe(&house, outgoing(&house, "GET", "/healthz", None)).await;
    let request = decoded(&next(&mut receiver).await);
    assert_eq!(hex(&spans(&request)[0].trace_id), taken.summary.trace_id.to_string());
    exporter.stop().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_holds_up_nobody_and_the_oldest_is_dropped() {
    let house = House::with_one_instance().await;
    // Connections are accepted by the system, and nobody reads.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let exporter = export(&house, silent.local_addr().expect("an address"));
    let figures = exporter.figures();
    let dropped = || figures.dropped.load(Ordering::Relaxed);
    // 512 spans are in the batch that is under way at most, and 2,048 wait.
    for _ in 0..8 {
        large(&house, 500);
        assert_eq!(house.visitor().get("/api/v1/menu").await.status, 200);
    }
    until("the oldest is dropped", || dropped() > 0).await;
    assert_eq!(figures.sent.load(Ordering::Relaxed), 0);
    exporter.stop().await;
    // What was on its way at the stop, and what waited behind it, is accounted for.
    assert!(told(&house, "dropped") >= 8.0 * 500.0, "{}", told(&house, "dropped"));
    assert_eq!(told(&house, "sent"), 0.0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_gone_harms_nothing() {
    let house = House::with_one_instance().await;
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("an address");
    let exporter = export(&house, gone);
    let (answer, journey) = probe(&house, outgoing(&house, "GET", "/api/v1/menu", None)).await;
    assert_eq!(answer.status, 200);
    let figures = exporter.figures();
    let dropped = || figures.dropped.load(Ordering::Relaxed);
    until("it is given up", || dropped() == journey.spans.len() as u64).await;
    assert_eq!(figures.failed.load(Ordering::Relaxed), 3, "as often as it may try");
    exporter.stop().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_route_takes_has_none_and_a_made_up_method_is_other() {
    let house = House::with_one_instance().await;
    let (to, mut receiver) = collector(&[]).await;
    let exporter = export(&house, to);
    let mut socket = house.sealed(house.stack.app()).await;
    let authority = house.stack.app();
    let request = format!("BREW /pot/4711 HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("is sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    let exported = spans(&decoded(&next(&mut receiver).await));
    let root = exported.iter().find(|span| span.parent_span_id.is_empty()).expect("a root");
    assert_eq!((root.name.as_str(), root.kind), ("HTTP", SpanKind::Server as i32));
    assert_eq!(attribute(&root.attributes, "http.route"), None);
    assert_eq!(attribute(&root.attributes, "http.request.method"), text("_OTHER"));
    assert_eq!(attribute(&root.attributes, "http.request.method_original"), text("BREW"));
    assert_eq!(attribute(&root.attributes, "url.path"), text("/pot/4711"));
    exporter.stop().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_another_attempt_at_a_stop_gets_it_then() {
    let house = House::with_one_instance().await;
    let (to, mut receiver) = collector(&[503]).await;
    let collector = Collector::parse(&format!("http://{to}")).expect("an address");
    let hour = Duration::from_secs(3_600);
    let attempts = Attempts { max: 3, first: hour, longest: hour };
    let pace = Pace { linger: Duration::from_millis(5), timeout: PATIENCE, attempts };
    let exporter = Exporter::start(&collector, &house.stack, house.ca_pem.as_bytes(), pace).expect("an exporter");
    let (_, journey) = probe(&house, outgoing(&house, "GET", "/healthz", None)).await;
    next(&mut receiver).await;
    until("the first attempt fails", || exporter.figures().failed.load(Ordering::Relaxed) == 1).await;
    exporter.stop().await;
    assert_eq!(spans(&decoded(&next(&mut receiver).await)).len(), journey.spans.len());
    assert_eq!((told(&house, "sent"), told(&house, "dropped")), (journey.spans.len() as f64, 0.0));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_at_a_stop_is_sent() {
    let house = House::with_one_instance().await;
    let (to, mut receiver) = collector(&[]).await;
    let collector = Collector::parse(&format!("http://{to}")).expect("an address");
    let pace = Pace { linger: Duration::from_secs(3_600), ..Pace::default() };
    let exporter = Exporter::start(&collector, &house.stack, house.ca_pem.as_bytes(), pace);
    let exporter = exporter.expect("an exporter");
    let (_, journey) = probe(&house, outgoing(&house, "GET", "/healthz", None)).await;
    exporter.stop().await;
    let request = decoded(&next(&mut receiver).await);
    assert_eq!(spans(&request).len(), journey.spans.len());
    house.stop().await;
}
