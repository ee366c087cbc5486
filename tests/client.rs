//! The client against real servers: what it records, and what it says when something is wrong.

use std::convert::Infallible;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use roundtrip::client::{Client, ClientConfig, Connection, Failure, Outgoing, Resolver, Roots};
use roundtrip::dns::{DnsConfig, DnsServer};
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::TraceId;
use roundtrip::observe::part::{ClientPart, Part};
use roundtrip::observe::recorder::Recorder;
use roundtrip::observe::span::{Record, Status};
use roundtrip::tls::{Authority, LeafResolver, server_config};
use roundtrip::web::probe::{Probe, ProbeKey};
use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const KEY: [u8; 32] = [7; 32];

type Seen = Arc<Mutex<Vec<(String, Vec<(String, String)>, Bytes)>>>;

/// A name server, a TLS server that knows what it was asked, and what trusts it.
struct World {
    folder: TempDir,
    dns: DnsServer,
    recorder: Recorder,
    seen: Seen,
    port: u16,
}

async fn answer(request: Request<Incoming>, seen: Seen) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    seen.lock().expect("what was seen").push((format!("{} {}", head.method, head.uri), headers, body));
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"dishes\":40}")));
    response.headers_mut().insert("set-cookie", "s=topsecret; Path=/".parse().expect("a value"));
    match head.uri.path() {
        "/close" => {
            response.headers_mut().insert("connection", "close".parse().expect("a value"));
        }
        "/long" => *response.body_mut() = Full::new(vec![b'x'; 9 * 1024 * 1024].into()),
        "/never" => std::future::pending().await,
        _ => {}
    }
    Ok(response)
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let recorder = Recorder::default();
        let reporting = recorder.clone();
        let config = DnsConfig::new((LOOPBACK, 0).into())
            .address("bistro.roundtrip.test", LOOPBACK)
            .address("other.roundtrip.test", LOOPBACK)
            .alias("www.bistro.roundtrip.test", "bistro.roundtrip.test");
        let on_answer = Arc::new(move |part| reporting.submit(Part::Dns(part)));
        let dns = DnsServer::start(config, on_answer).await.expect("a name server");
        let now = OffsetDateTime::now_utc();
        let authority = Authority::load_or_create(folder.path(), now).expect("an authority");
        let names = ["bistro.roundtrip.test", "www.bistro.roundtrip.test", "127.0.0.1"].map(str::to_owned);
        let leaf = Arc::new(LeafResolver::new(authority, &names, now).expect("a certificate"));
        let acceptor = TlsAcceptor::from(server_config(leaf, &[b"h2", b"http/1.1"]).expect("a configuration"));
        let (listener, port) = listen().await;
        let seen = Seen::default();
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| answer(request, Arc::clone(&seen)));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { folder, dns, recorder, seen, port }
    }

    fn ca_path(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn config(&self) -> ClientConfig {
        ClientConfig {
            resolver: Resolver::at(self.dns.address()),
            roots: Roots::Pem(std::fs::read(self.ca_path()).expect("ca.pem")),
            probe_key: Some(ProbeKey::new(&KEY)),
            ca_path: Some(self.ca_path()),
            detail: false,
        }
    }

    fn client(&self) -> Client {
        Client::new(self.config()).expect("a client")
    }

    fn url(&self, path: &str) -> String {
        format!("https://bistro.roundtrip.test:{}{path}", self.port)
    }

    fn get(&self, path: &str) -> Outgoing {
        Outgoing::get(self.url(path))
    }
}

fn children(part: &ClientPart, parent: &Record) -> Vec<Record> {
    part.spans.iter().filter(|span| span.parent == Some(parent.id)).cloned().collect()
}

fn names(spans: &[Record]) -> Vec<&str> {
    spans.iter().map(|span| &*span.name).collect()
}

fn span<'a>(part: &'a ClientPart, name: &str) -> &'a Record {
    part.spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {:?}", names(&part.spans)))
}

fn said(span: &Record, attribute: &str) -> Value {
    span.attributes.iter().rev().find(|(name, _)| name == attribute).map_or(Value::Null, |(_, value)| value.clone())
}

/// Each child begins where the one before ended; the first begins and the last ends with its parent.
fn assert_contiguous(part: &ClientPart, parent: &Record) {
    let children = children(part, parent);
    let Some(last) = children.last() else { return };
    assert_eq!(children[0].start, parent.start, "{}", parent.name);
    assert_eq!(last.end, parent.end, "{}", parent.name);
    for pair in children.windows(2) {
        assert_eq!(pair[0].end, pair[1].start, "{} and {}", pair[0].name, pair[1].name);
    }
    for child in &children {
        assert!(child.start <= child.end, "{}", child.name);
        assert_contiguous(part, child);
    }
}

fn assert_failed(failure: &Failure, hop: Hop, span_name: &str, words: &str) {
    assert_eq!(failure.hop, hop, "{failure}");
    assert!(failure.message.contains(words), "{failure}");
    let failed = span(&failure.part, span_name);
    assert_eq!((failed.status, failed.hop), (Status::Error, hop), "{failed:?}");
    assert_eq!(failure.part.spans[0].status, Status::Error);
    assert_eq!(failure.part.status, 0);
    assert_contiguous(&failure.part, &failure.part.spans[0]);
}

#[tokio::test]
async fn a_fresh_request_shows_each_step_and_they_add_up() {
    let world = World::new().await;
    let answer = world.client().send(world.get("/api/v1/menu")).await.expect("an answer");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{\"dishes\":40}"[..]));
    let (part, root) = (&answer.part, &answer.part.spans[0]);
    assert_eq!((root.hop, &*root.name, root.id), (Hop::Client, "Request", part.key));
    let steps = [
        "Build the request",
        "Look up the name",
        "Open a sealed connection",
        "Send the request",
        "Wait for the answer",
        "Read the answer",
    ];
    assert_eq!(names(&children(part, root)), steps);
    let dns = children(part, span(part, "Look up the name"));
    assert_eq!(names(&dns), ["Ask the DNS server", "Read the answer"]);
    let tls = children(part, span(part, "Open a sealed connection"));
    let shaking = [
        "TCP connect",
        "ClientHello to ServerHello",
        "Derive the keys",
        "Check the certificate",
        "Finished, both ways",
    ];
    assert_eq!(names(&tls), shaking);
    // Every nanosecond of the whole is in exactly one leaf.
    assert_contiguous(part, root);
    assert!(part.fresh);
    assert!(part.request_bytes > 100 && part.response_bytes > 100);
}

#[tokio::test]
async fn the_facts_of_the_connection_are_recorded() {
    let world = World::new().await;
    let answer = world.client().send(world.get("/api/v1/menu")).await.expect("an answer");
    let tls = span(&answer.part, "Open a sealed connection");
    assert_eq!(said(tls, "tls.protocol.version"), "1.3");
    assert!(said(tls, "tls.cipher").as_str().is_some_and(|suite| suite.starts_with("TLS_AES")), "{tls:?}");
    assert_eq!(said(tls, "tls.key_exchange"), "X25519");
    assert_eq!(said(tls, "tls.client.server_name"), "bistro.roundtrip.test");
    assert_eq!(said(tls, "tls.next_protocol"), "http/1.1");
    assert_eq!(said(tls, "tls.resumed"), false);
    assert_eq!(said(tls, "tls.server.chain")[0]["subject"], "Roundtrip");
    let dns = span(&answer.part, "Ask the DNS server");
    assert!(said(dns, "dns.id").is_u64() && said(dns, "network.local.port").is_u64());
    assert_eq!((said(dns, "dns.response_code"), said(dns, "dns.ttl_s")), ("NOERROR".into(), 30.into()));
    assert!(said(dns, "dns.question.hex").as_str().is_some_and(|hex| hex.len() > 40));
    let root = &answer.part.spans[0];
    assert_eq!(said(root, "http.response.status_code"), 200);
    let curl = format!(
        "curl --cacert {} --resolve bistro.roundtrip.test:{port}:127.0.0.1 https://bistro.roundtrip.test:{port}/api/v1/menu",
        world.ca_path().display(),
        port = world.port
    );
    assert_eq!(said(root, "roundtrip.curl"), curl);
}

#[tokio::test]
async fn the_name_servers_own_record_joins_the_clients() {
    let world = World::new().await;
    let answer = world.client().send(world.get("/api/v1/menu")).await.expect("an answer");
    let journey = world.recorder.finish(answer.part).await;
    let zone = journey.spans.iter().find(|span| span.name == "Look in the zone").expect("the server's span");
    assert_eq!(zone.attributes["dns.response_code"], "NOERROR");
}

#[tokio::test]
async fn a_kept_connection_needs_neither_name_nor_handshake() {
    let world = World::new().await;
    let client = world.client();
    client.send(world.get("/api/v1/menu")).await.expect("an answer");
    let answer = client.send(world.get("/api/v1/menu")).await.expect("an answer");
    let root = &answer.part.spans[0];
    let steps = ["Build the request", "Send the request", "Wait for the answer", "Read the answer"];
    assert_eq!(names(&children(&answer.part, root)), steps);
    assert_contiguous(&answer.part, root);
    assert!(!answer.part.fresh);
    let send = span(&answer.part, "Send the request");
    assert_eq!((said(send, "http.connection.reused"), said(send, "http.connection.requests")), (true.into(), 2.into()));
}

#[tokio::test]
async fn a_fresh_connection_is_shaken_anew_unless_resumption_is_asked_for() {
    let world = World::new().await;
    let client = world.client();
    let fresh = |resume| Outgoing { connection: Connection::Fresh, resume, ..world.get("/api/v1/menu") };
    let mut resumed = Vec::new();
    for resume in [true, true, false] {
        let answer = client.send(fresh(resume)).await.expect("an answer");
        resumed.push(said(span(&answer.part, "Open a sealed connection"), "tls.resumed"));
        assert!(answer.part.fresh);
        assert_contiguous(&answer.part, &answer.part.spans[0]);
    }
    assert_eq!(resumed, [false, true, false]);
}

#[tokio::test]
async fn a_name_is_remembered_and_asked_again_when_caches_are_bypassed() {
    let world = World::new().await;
    let client = world.client();
    let fresh = |bypass_caches| Outgoing { connection: Connection::Fresh, bypass_caches, ..world.get("/") };
    client.send(fresh(false)).await.expect("an answer");
    let again = client.send(fresh(false)).await.expect("an answer");
    let remembered = span(&again.part, "Remembered from the last answer");
    assert_eq!((remembered.hop, said(remembered, "dns.cached")), (Hop::Dns, true.into()));
    let bypassing = client.send(fresh(true)).await.expect("an answer");
    span(&bypassing.part, "Ask the DNS server");
}

#[tokio::test]
async fn the_head_is_in_the_usual_order_and_signed() {
    let world = World::new().await;
    let mut outgoing = world.get("/api/v1/orders");
    outgoing.method = "POST".to_owned();
    outgoing.body = Bytes::from_static(b"{\"table\":4}");
    outgoing.bypass_caches = true;
    outgoing.headers = [
        ("Idempotency-Key", "abc"),
        ("Cookie", "s=topsecret"),
        ("Content-Type", "application/json"),
        ("Content-Length", "9999"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let answer = world.client().send(outgoing).await.expect("an answer");
    let (line, headers, body) = world.seen.lock().expect("what was seen").remove(0);
    assert_eq!((line.as_str(), &body[..]), ("POST /api/v1/orders", &b"{\"table\":4}"[..]));
    let order: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let usual = [
        "host",
        "user-agent",
        "accept",
        "content-type",
        "content-length",
        "cookie",
        "idempotency-key",
        "traceparent",
        "roundtrip-probe",
    ];
    assert_eq!(order, usual);
    assert_eq!(headers[4].1, "11", "counted, not believed");
    let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).expect("after 1970");
    let trace_id: TraceId = answer.part.trace_id;
    let probe = Probe::verify(&headers[8].1, trace_id, now, &ProbeKey::new(&KEY)).expect("signed");
    assert_eq!((probe.key, probe.bypass_caches), (answer.part.key, true));
    assert_eq!(headers[7].1, format!("00-{trace_id}-{}-01", answer.part.key));
}

#[tokio::test]
async fn the_raw_heads_are_recorded_without_their_secrets() {
    let world = World::new().await;
    let mut outgoing = world.get("/api/v1/menu");
    outgoing.headers = vec![("cookie".to_owned(), "__Host-s=topsecret".to_owned())];
    let answer = world.client().send(outgoing).await.expect("an answer");
    let sent = said(span(&answer.part, "Send the request"), "http.request.raw");
    assert!(sent.as_str().is_some_and(|raw| raw.starts_with("GET /api/v1/menu HTTP/1.1\nhost: ")), "{sent}");
    assert!(sent.as_str().is_some_and(|raw| raw.contains("__Host-s=(hidden")), "{sent}");
    let read = answer.part.spans.iter().find(|span| span.name == "Read the answer" && span.hop == Hop::Client);
    let read = said(read.expect("the last leaf"), "http.response.raw");
    assert!(read.as_str().is_some_and(|raw| raw.starts_with("HTTP/1.1 200 OK\n")), "{read}");
    let record = serde_json::to_string(&answer.part).expect("JSON");
    assert!(!record.contains("topsecret"), "{record}");
}

#[tokio::test]
async fn without_a_key_nothing_is_signed_and_nothing_is_described() {
    let world = World::new().await;
    let client = Client::new(ClientConfig { probe_key: None, ..world.config() }).expect("a client");
    let answer = client.send(world.get("/api/v1/menu")).await.expect("an answer");
    assert!(answer.part.spans.iter().all(|span| span.attributes.is_empty()));
    let (_, headers, _) = world.seen.lock().expect("what was seen").remove(0);
    assert!(!headers.iter().any(|(name, _)| name == "roundtrip-probe"));
    assert!(headers.iter().any(|(name, value)| name == "traceparent" && value.ends_with("-00")));
}

#[tokio::test]
async fn plain_http_has_no_handshake() {
    let world = World::new().await;
    let (listener, port) = listen().await;
    let seen = Seen::default();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let service = service_fn(move |request| answer(request, Arc::clone(&seen)));
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    });
    let answer = world.client().send(Outgoing::get(format!("http://127.0.0.1:{port}/"))).await.expect("an answer");
    let root = &answer.part.spans[0];
    assert_contiguous(&answer.part, root);
    let steps = ["Build the request", "TCP connect", "Send the request", "Wait for the answer", "Read the answer"];
    assert_eq!(names(&children(&answer.part, root)), steps);
}

#[tokio::test]
async fn an_answer_that_says_close_ends_the_connection() {
    let world = World::new().await;
    let client = world.client();
    client.send(world.get("/close")).await.expect("an answer");
    assert!(client.send(world.get("/")).await.expect("an answer").part.fresh);
}

/// Answers one request on each connection, then reads the next one and closes without a word.
async fn closes_on_the_second() -> u16 {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.expect("sent");
            tokio::spawn(async move { read_head(&mut stream).await });
        }
    });
    port
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_shown_and_the_request_sent_again() {
    let world = World::new().await;
    let client = world.client();
    let url = format!("http://127.0.0.1:{}/", closes_on_the_second().await);
    client.send(Outgoing::get(url.clone())).await.expect("an answer");
    let answer = client.send(Outgoing::get(url.clone())).await.expect("an answer");
    let root = &answer.part.spans[0];
    let steps = [
        "Build the request",
        "Send the request",
        "TCP connect",
        "Send the request",
        "Wait for the answer",
        "Read the answer",
    ];
    assert_eq!(names(&children(&answer.part, root)), steps);
    assert_eq!(children(&answer.part, root)[1].status, Status::Error);
    assert_contiguous(&answer.part, root);
    assert!(answer.part.fresh);

    // What may have been carried out is not sent twice.
    let post = Outgoing { method: "POST".to_owned(), ..Outgoing::get(url) };
    let failure = client.send(post).await.expect_err("not repeated");
    assert_failed(&failure, Hop::Http, "Wait for the answer", "closed the connection");
}

#[tokio::test]
async fn a_name_that_does_not_exist_fails_at_dns() {
    let world = World::new().await;
    let url = format!("https://nobody.roundtrip.test:{}/", world.port);
    let failure = world.client().send(Outgoing::get(url)).await.expect_err("no such name");
    assert_failed(&failure, Hop::Dns, "Look up the name", "NXDOMAIN");
    let failure = world.client().send(Outgoing::get("https://example.com/")).await.expect_err("refused");
    assert_failed(&failure, Hop::Dns, "Look up the name", "own zones only");
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_at_the_connection() {
    let world = World::new().await;
    let (listener, port) = listen().await;
    drop(listener);
    let url = format!("https://bistro.roundtrip.test:{port}/");
    let failure = world.client().send(Outgoing::get(url)).await.expect_err("nobody there");
    assert_failed(&failure, Hop::Tls, "TCP connect", "connection refused");
    let failure = world.client().send(Outgoing::get(format!("http://127.0.0.1:{port}/"))).await.expect_err("nobody");
    assert_failed(&failure, Hop::Http, "TCP connect", "connection refused");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_fails_at_tls() {
    let (world, other) = (World::new().await, World::new().await);
    let config = ClientConfig { roots: other.config().roots, ..world.config() };
    let client = Client::new(config).expect("a client");
    let failure = client.send(world.get("/")).await.expect_err("untrusted");
    assert_failed(&failure, Hop::Tls, "Check the certificate", "does not trust");
}

#[tokio::test]
async fn a_certificate_for_other_names_fails_at_tls() {
    let world = World::new().await;
    let url = format!("https://other.roundtrip.test:{}/", world.port);
    let failure = world.client().send(Outgoing::get(url)).await.expect_err("another name");
    assert_failed(&failure, Hop::Tls, "Check the certificate", "for other names");
}

#[tokio::test]
async fn a_server_without_tls_fails_at_tls() {
    let world = World::new().await;
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("sent");
    });
    let failure = world.client().send(Outgoing::get(format!("https://127.0.0.1:{port}/"))).await.expect_err("no TLS");
    assert_failed(&failure, Hop::Tls, "Open a sealed connection", "speaks TLS");
}

#[tokio::test]
async fn a_server_that_never_answers_fails_where_it_waits() {
    let world = World::new().await;
    let outgoing = Outgoing { timeout: Duration::from_millis(300), ..world.get("/never") };
    let failure = world.client().send(outgoing).await.expect_err("late");
    assert_failed(&failure, Hop::Http, "Wait for the answer", "No answer within");
    assert!(failure.part.request_bytes > 0);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let world = World::new().await;
    let failure = world.client().send(world.get("/long")).await.expect_err("too long");
    assert_eq!(failure.hop, Hop::Http);
    assert!(failure.message.contains("8 MiB"), "{failure}");
}

#[tokio::test]
async fn a_bad_address_fails_at_the_client() {
    let world = World::new().await;
    for bad in ["/api/v1/menu", "ftp://127.0.0.1/", "https://a/#x"] {
        let failure = world.client().send(Outgoing::get(bad)).await.expect_err(bad);
        assert_eq!(failure.hop, Hop::Client, "{failure}");
    }
    let outgoing = Outgoing { headers: vec![("a b".into(), "c\r\nd".into())], ..world.get("/") };
    let failure = world.client().send(outgoing).await.expect_err("a bad header");
    assert_failed(&failure, Hop::Client, "Build the request", "stray characters");
    assert!(failure.part.spans[0].end > Tick::default());
}
