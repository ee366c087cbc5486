//! Answers that are late, narrow, broken off or not what they say; a limit nobody can live with; address rules.
//! Before the restaurant and before somebody's own service alike.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use roundtrip::observe::hop::Hop;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::breaking::{answered, console_lives, ends_by_itself, fresh, heals, kept, send, set, struck, withdraw};
use crate::harness::House;
use crate::harness::sealed;
use crate::rig::{Options, Rig, Upstream, body, problem, soon, status};

/// Of the answers of the test's own service.
const LENGTH: usize = 40_000;

async fn before_a_service() -> (House, Upstream) {
    let upstream = Upstream::start(|_, _| Response::new(body(vec![b'x'; LENGTH]))).await;
    (House::before(&[upstream.address]).await, upstream)
}

/// A request over a new plain connection, written.
async fn asked(house: &House, path: &str) -> TcpStream {
    let address = house.stack.app_http().expect("a plain port");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", address.port());
    stream.write_all(head.as_bytes()).await.expect("it takes a request");
    stream
}

/// What comes until the end, and how it ended.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> (Vec<u8>, Option<ErrorKind>) {
    let mut read = Vec::new();
    let ended = soon(stream.read_to_end(&mut read)).await;
    (read, ended.err().map(|error| error.kind()))
}

fn parts(answer: &[u8]) -> (String, &[u8]) {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    (String::from_utf8_lossy(&answer[..end]).to_lowercase(), &answer[end..])
}

async fn h2(house: &House) -> SendRequest<Full<Bytes>> {
    let stream = sealed::connect_speaking(&[b"h2"], "localhost", house.stack.app(), house.ca_pem.as_bytes()).await;
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("h2");
    tokio::spawn(connection);
    sender
}

/// The body that comes over h2, if all of it does.
async fn over_h2(house: &House, sender: &mut SendRequest<Full<Bytes>>, path: &str) -> hyper::Result<Bytes> {
    let url = format!("https://localhost:{}{path}", house.stack.app().port());
    let request = Request::get(url).body(Full::default()).expect("a request");
    let answer = soon(sender.send_request(request)).await?;
    soon(answer.into_body().collect()).await.map(|collected| collected.to_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_a_reset_of_the_connection_and_in_h2_of_the_stream_alone() {
    let (house, _upstream) = before_a_service().await;
    let key = "fault.http.reset";
    set(&house, key, json!({ "route": "/broken" }));
    let (read, error) = rest(&mut asked(&house, "/broken").await).await;
    assert!(read.is_empty() && error == Some(ErrorKind::ConnectionReset), "{read:?} {error:?}");
    let mut sender = h2(&house).await;
    let error = over_h2(&house, &mut sender, "/broken").await.expect_err("it is reset");
    assert!(!error.is_closed() && !sender.is_closed(), "{error:?}");
    assert_eq!(over_h2(&house, &mut sender, "/sound").await.expect("an answer").len(), LENGTH);
    console_lives(&house).await;
    withdraw(&house, key);
    assert_eq!(over_h2(&house, &mut sender, "/broken").await.expect("an answer").len(), LENGTH);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_answer_never_looks_whole() {
    let (house, _upstream) = before_a_service().await;
    let key = "fault.http.truncated";
    set(&house, key, json!(true));
    let answer = rest(&mut asked(&house, "/").await).await.0;
    let (head, body) = parts(&answer);
    assert!(head.contains(&format!("content-length: {LENGTH}\r\n")), "{head}");
    assert_eq!(body.len(), LENGTH / 2);
    let mut sender = h2(&house).await;
    assert!(over_h2(&house, &mut sender, "/").await.is_err());
    withdraw(&house, key);
    assert_eq!(over_h2(&house, &mut sender, "/").await.expect("an answer").len(), LENGTH);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_announces_more_than_it_has_ends_early() {
    let (house, _upstream) = before_a_service().await;
    let key = "fault.http.bad_length";
    set(&house, key, json!(true));
    let answer = rest(&mut asked(&house, "/").await).await.0;
    let (head, body) = parts(&answer);
    assert!(head.contains(&format!("content-length: {}\r\n", LENGTH + 1_000)), "{head}");
    assert_eq!(body.len(), LENGTH);
    let mut sender = h2(&house).await;
    assert!(over_h2(&house, &mut sender, "/").await.is_err());
    withdraw(&house, key);
    assert_eq!(over_h2(&house, &mut h2(&house).await, "/").await.expect("an answer").len(), LENGTH);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_trickles_in_pieces_over_as_long_as_it_says() {
    let (house, _upstream) = before_a_service().await;
    set(&house, "fault.http.trickle", json!(160));
    let start = Instant::now();
    let mut stream = asked(&house, "/").await;
    let (mut read, mut pieces) = (Vec::new(), 0);
    while !read.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut piece = [0; 4_096];
        let count = soon(stream.read(&mut piece)).await.expect("bytes");
        assert!(count > 0);
        read.extend_from_slice(&piece[..count]);
        pieces += 1;
    }
    assert!(pieces > 1 && start.elapsed() >= Duration::from_millis(150), "{pieces} in {:?}", start.elapsed());
    let mut body = vec![0; LENGTH - parts(&read).1.len()];
    soon(stream.read_exact(&mut body)).await.expect("the body is whole");
    let (mut sender, start) = (h2(&house).await, Instant::now());
    assert_eq!(over_h2(&house, &mut sender, "/").await.expect("an answer").len(), LENGTH);
    assert!(start.elapsed() >= Duration::from_millis(160), "in h2 the head is late as a whole");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrow_line_carries_so_many_bytes_a_second_and_all_of_them() {
    let (house, _upstream) = before_a_service().await;
    let key = "fault.http.bandwidth";
    // 40,000 bytes at 100 KiB/s.
    set(&house, key, json!(100));
    let least = Duration::from_millis(380);
    let start = Instant::now();
    let mut stream = asked(&house, "/").await;
    let mut answer = vec![0; LENGTH];
    soon(stream.read_exact(&mut answer)).await.expect("bytes");
    assert!(start.elapsed() >= least, "{:?}", start.elapsed());
    let (mut sender, start) = (h2(&house).await, Instant::now());
    assert_eq!(over_h2(&house, &mut sender, "/").await.expect("an answer"), vec![b'x'; LENGTH]);
    assert!(start.elapsed() >= least, "{:?}", start.elapsed());
    console_lives(&house).await;
    // Withdrawn while an answer is on its way: the rest comes at once. At 1 KiB/s it would take 39 s.
    set(&house, key, json!(1));
    let mut stream = asked(&house, "/").await;
    soon(stream.read_exact(&mut answer[..1_000])).await.expect("bytes");
    withdraw(&house, key);
    soon(stream.read_exact(&mut answer[1_000..])).await.expect("the rest");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_an_answer_is_named_in_the_restaurants_journeys_and_ends_by_itself() {
    let house = House::with_one_instance().await;
    for (key, value, answers) in [
        ("fault.http.reset", json!({}), false),
        ("fault.http.truncated", json!({}), false),
        ("fault.http.bad_length", json!({}), false),
        ("fault.http.trickle", json!({ "strength": 20 }), true),
        ("fault.http.bandwidth", json!({ "strength": 1_000 }), true),
    ] {
        set(&house, key, value.clone());
        let (sent, journey) = send(&house, fresh(&house)).await;
        match sent {
            Ok(_) => assert!(answers, "{key}"),
            Err(failure) => assert!(!answers && failure.hop == Hop::Http, "{key}: {failure}"),
        }
        assert_eq!(journey.summary.faults, [key]);
        assert_eq!(struck(&journey, key).len(), 1, "{key}");
        ends_by_itself(&house, key, value).await;
        // The edge's own cache has kept nothing of it.
        answered(&house, kept(&house)).await;
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tiny_limit_lets_each_visitor_ask_once_a_minute() {
    let house = House::with_one_instance().await;
    let key = "fault.api.tiny_rate_limit";
    set(&house, key, json!({ "route": "/api/v1/menu" }));
    let visitor = house.visitor();
    assert_eq!(visitor.get("/api/v1/menu").await.status, 200);
    visitor.get("/api/v1/menu").await.is_problem(429, "too-many-requests", Some("http"));
    assert_eq!(visitor.get("/").await.status, 200, "another route");
    // Another session of the same address has a minute of its own.
    let waiter = house.staff("waiter").await;
    assert_eq!(waiter.get("/api/v1/menu").await.status, 200);
    console_lives(&house).await;
    // Withdrawn and switched on again: nothing is left of the first time.
    withdraw(&house, key);
    for _ in 0..3 {
        assert_eq!(visitor.get("/api/v1/menu").await.status, 200);
    }
    set(&house, key, json!({ "route": "/api/v1/menu" }));
    assert_eq!(visitor.get("/api/v1/menu").await.status, 200);
    withdraw(&house, key);
    ends_by_itself(&house, key, json!({})).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_firewall_denies_is_closed_before_tls_and_the_console_is_open_to_all() {
    let house = House::with_one_instance().await;
    set(&house, "http.firewall.deny", json!("127.0.0.0/8"));
    let mut stream = TcpStream::connect(house.stack.app()).await.expect("TCP is the kernel's");
    let _ = stream.write_all(b"\x16\x03\x01").await;
    assert!(rest(&mut stream).await.0.is_empty());
    assert_eq!(send(&house, fresh(&house)).await.0.expect_err("closed").hop, Hop::Tls);
    console_lives(&house).await;
    set(&house, "http.firewall.deny", json!(""));
    heals(&house).await;
    // A connection that was there before the rule is answered, and told which rule.
    let visitor = house.visitor();
    assert_eq!(visitor.get("/").await.status, 200);
    set(&house, "http.firewall.allow", json!("10.0.0.0/8, 192.168.7.7"));
    let refused = visitor.get("/").await.is_problem(403, "firewall", Some("http"));
    assert!(refused["detail"].as_str().is_some_and(|why| why.contains("http.firewall.allow")), "{refused}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_trusted_proxy_it_is_the_client_that_the_firewall_judges() {
    let upstream = Upstream::saying("in").await;
    let rig = Rig::with(&[upstream.address], Options { trusted: vec!["127.0.0.0/8"], ..Options::default() });
    soon(rig.balancer.ready()).await;
    let deny = json!("127.0.0.1, 203.0.113.0/24");
    rig.settings.change([("http.firewall.deny", &deny)]).expect("it fits");
    let denied = rig.get("/", "X-Forwarded-For: 203.0.113.9\r\n").await;
    assert_eq!(status(&denied), 403);
    assert!(problem(&denied).detail.contains("203.0.113.0/24"), "{denied}");
    assert_eq!(status(&rig.get("/", "X-Forwarded-For: 198.51.100.1\r\n").await), 200);
    assert_eq!(rig.edge.turned_away(), 0, "the proxy itself comes in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_firewall_closes_are_counted() {
    let rig = Rig::before(&[Upstream::saying("in").await.address]).await;
    rig.settings.change([("http.firewall.deny", &json!("127.0.0.1"))]).expect("it fits");
    let mut closed = TcpStream::connect(rig.address).await.expect("TCP is the kernel's");
    assert!(rest(&mut closed).await.0.is_empty());
    assert_eq!(rig.edge.turned_away(), 1);
}
