//! h2 (RFC 9113), frame by frame: its bounds, and what in a request is malformed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use roundtrip::settings::http::bounds::Bounds;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::frames::*;
use crate::rig::{Options, PATIENCE, Rig, Upstream, body, bounded, raw_upstream, soon, until};

async fn rig_with(upstream: std::net::SocketAddr, bounds: Bounds) -> Rig {
    let rig = Rig::with(&[upstream], Options { settings: bounded(bounds), ..Options::default() });
    soon(rig.balancer.ready()).await;
    rig
}

/// An upstream that takes requests, counts them, and answers none.
async fn never_answers() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let upstream = raw_upstream(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0]).await;
        }
    })
    .await;
    (upstream, asked)
}

#[tokio::test]
async fn the_bounds_are_told_at_the_beginning() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut client = Frames::connect(&rig).await;
    let told = client.next_of(&[SETTINGS]).await.unwrap();
    // MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE; no ENABLE_CONNECT_PROTOCOL (RFC 8441).
    assert_eq!((told.setting(3), told.setting(6), told.setting(8)), (Some(100), Some(16 * 1024), None));
    // The default of the protocol is 65,535.
    assert_eq!(told.setting(4), Some(64 * 1024));
    let window = client.next_of(&[WINDOW_UPDATE]).await.unwrap();
    assert_eq!((window.stream, window.code() + 65_535), (0, 1024 * 1024));
}

#[tokio::test]
async fn a_malformed_request_is_a_reset_stream_and_no_other_is_harmed() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut client = Frames::connect(&rig).await;
    let mut stream = 1;
    let host = rig.host.clone();
    let pseudo = |more: &[(&'static str, &'static str)]| {
        let mut all = vec![(":method", "GET"), (":scheme", "http"), (":authority", &host[..])];
        all.extend_from_slice(more);
        block(&all)
    };
    for fields in [
        // RFC 9113, section 8.2.2: fields of one connection.
        pseudo(&[(":path", "/"), ("connection", "close")]),
        pseudo(&[(":path", "/"), ("transfer-encoding", "chunked")]),
        pseudo(&[(":path", "/"), ("keep-alive", "5")]),
        pseudo(&[(":path", "/"), ("proxy-connection", "close")]),
        pseudo(&[(":path", "/"), ("upgrade", "websocket")]),
        pseudo(&[(":path", "/"), ("te", "gzip")]),
        // Section 8.3: pseudo-header fields missing, doubled, of answers, or behind others.
        pseudo(&[]),
        pseudo(&[(":path", "/"), (":path", "/")]),
        pseudo(&[(":path", "/"), (":status", "200")]),
        pseudo(&[("x-a", "b"), (":path", "/")]),
        block(&[(":scheme", "http"), (":authority", &host), (":path", "/")]),
    ] {
        client.send(HEADERS, END_HEADERS | END_STREAM, stream, &fields).await;
        let answer = client.next_of(&[RST_STREAM, HEADERS, GOAWAY]).await.unwrap();
        assert_eq!((answer.kind, answer.stream), (RST_STREAM, stream), "{}", String::from_utf8_lossy(&fields));
        assert_eq!(answer.code(), PROTOCOL_ERROR);
        stream += 2;
    }
    assert!(upstream.heads().is_empty());
    client.get(stream, "/").await;
    assert_eq!(client.next_of(&[HEADERS]).await.unwrap().status(), Some(200));
}

/// RFC 9113, section 8.2: the library takes it for an error of the connection, which section 5.4.1 allows.
#[tokio::test]
async fn a_field_name_that_cannot_be_ends_the_connection() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for field in [("X-A", "b"), (":unknown", "1"), ("x a", "b"), ("", "b"), ("x-a", "b\r\nx-b: c")] {
        let mut client = Frames::connect(&rig).await;
        let fields = client.fields("GET", "/", &[field]);
        client.send(HEADERS, END_HEADERS | END_STREAM, 1, &fields).await;
        assert_eq!(client.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap().kind, GOAWAY, "{field:?}");
    }
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn a_head_that_is_sound_for_h2_but_not_for_us_is_a_400() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut client = Frames::connect(&rig).await;
    for (stream, more) in [(1, ("x_a", "b")), (3, ("host", "other"))] {
        let fields = client.fields("GET", "/", &[more]);
        client.send(HEADERS, END_HEADERS | END_STREAM, stream, &fields).await;
        assert_eq!(client.next_of(&[HEADERS, RST_STREAM]).await.unwrap().status(), Some(400), "{more:?}");
    }
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_it_said_is_no_request() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut client = Frames::connect(&rig).await;
    for (stream, data) in [(1, &b"toolong"[..]), (3, b"no")] {
        let fields = client.fields("POST", "/", &[("content-length", "5")]);
        client.send(HEADERS, END_HEADERS, stream, &fields).await;
        client.send(DATA, END_STREAM, stream, data).await;
        let answer = client.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
        assert_eq!((answer.kind, answer.stream, answer.code()), (RST_STREAM, stream, PROTOCOL_ERROR));
    }
    until(|| rig.balancer.view()[0].in_flight == 0).await;
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused() {
    let (upstream, asked) = never_answers().await;
    let rig = rig_with(upstream, Bounds { h2_streams_max: 3, ..Bounds::default() }).await;
    let mut client = Frames::connect(&rig).await;
    // The bound holds from when the client has heard of it.
    assert!(client.next_of(&[SETTINGS]).await.is_some());
    client.send(SETTINGS, 1, 0, &[]).await;
    for number in 0..4 {
        client.get(1 + 2 * number, "/").await;
    }
    let refused = client.next_of(&[RST_STREAM, GOAWAY]).await.unwrap();
    assert_eq!((refused.kind, refused.stream, refused.code()), (RST_STREAM, 7, REFUSED_STREAM));
    until(|| asked.load(Ordering::SeqCst) == 3).await;
}

#[tokio::test]
async fn a_header_list_beyond_the_bound_reaches_nobody() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut client = Frames::connect(&rig).await;
    let long = "b".repeat(8 * 1024);
    let fields = client.fields("GET", "/", &[("x-a", &long), ("x-b", &long)]);
    let (first, second) = fields.split_at(16_000);
    client.send(HEADERS, END_STREAM, 1, first).await;
    client.send(CONTINUATION, END_HEADERS, 1, second).await;
    let answer = client.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
    assert!(answer.kind != HEADERS || answer.status().is_none(), "431 is not in the static table: {answer:?}");
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn a_flood_of_continuations_ends_the_connection() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut client = Frames::connect(&rig).await;
    client.send(HEADERS, END_STREAM, 1, &block(&[(":method", "GET")])).await;
    let piece = frame(CONTINUATION, 0, 1, &block(&[("x-a", "b")]));
    // It may be closed before all of it is sent.
    let _ = client.stream.write_all(&piece.repeat(10_000)).await;
    let last = client.next_of(&[GOAWAY]).await;
    assert!(last.is_none_or(|last| last.code() != 0));
    assert!(upstream.heads().is_empty());
}

/// CVE-2023-44487.
#[tokio::test]
async fn streams_that_are_opened_and_reset_in_a_row_end_the_connection_and_cost_the_upstream_little() {
    let (upstream, asked) = never_answers().await;
    let rig = Rig::before(&[upstream]).await;
    let mut client = Frames::connect(&rig).await;
    let fields = client.fields("GET", "/", &[]);
    let mut bytes = Vec::new();
    for number in 0..5_000 {
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1 + 2 * number, &fields));
        bytes.extend(frame(RST_STREAM, 0, 1 + 2 * number, &CANCEL.to_be_bytes()));
    }
    // It may be closed before all of it is sent.
    let _ = client.stream.write_all(&bytes).await;
    let last = client.next_of(&[GOAWAY]).await;
    assert!(last.is_none_or(|last| last.code() == ENHANCE_YOUR_CALM));
    until(|| rig.balancer.view()[0].in_flight == 0).await;
    assert!(asked.load(Ordering::SeqCst) < 500, "{asked:?}");
}

#[tokio::test]
async fn a_client_that_gives_up_one_request_after_another_has_to_connect_again() {
    let (upstream, asked) = never_answers().await;
    let rig = rig_with(upstream, Bounds { h2_given_up_max: 3, ..Bounds::default() }).await;
    let mut client = Frames::connect(&rig).await;
    for number in 0..4 {
        client.get(1 + 2 * number, "/").await;
        // It has cost something.
        until(|| asked.load(Ordering::SeqCst) > number as usize).await;
        client.send(RST_STREAM, 0, 1 + 2 * number, &CANCEL.to_be_bytes()).await;
    }
    assert!(client.next_of(&[GOAWAY]).await.is_some());
}

#[tokio::test]
async fn a_reset_stream_cancels_its_request_and_no_other() {
    let (asked, closed, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let upstream = {
        let (asked, closed, go_on) = (Arc::clone(&asked), Arc::clone(&closed), Arc::clone(&go_on));
        raw_upstream(move |mut stream| {
            let (asked, closed, go_on) = (Arc::clone(&asked), Arc::clone(&closed), Arc::clone(&go_on));
            async move {
                asked.notify_one();
                let mut byte = [0];
                tokio::select! {
                    _ = stream.read(&mut byte) => closed.notify_one(),
                    () = go_on.notified() => {
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
                    }
                }
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let mut client = Frames::connect(&rig).await;
    for stream in [1, 3] {
        client.get(stream, "/").await;
        soon(asked.notified()).await;
    }
    client.send(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()).await;
    soon(closed.notified()).await;
    go_on.notify_one();
    let answer = client.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
    assert_eq!((answer.stream, answer.status()), (3, Some(200)));
}

#[tokio::test]
async fn a_stream_whose_answer_is_not_taken_is_reset_and_no_other() {
    let upstream = Upstream::start(|head, _| {
        Response::new(body(if head.uri.path() == "/large" { vec![b'x'; 8 << 20] } else { b"small".to_vec() }))
    })
    .await;
    let rig = rig_with(upstream.address, Bounds { take_timeout: Duration::from_millis(30), ..Default::default() });
    let rig = rig.await;
    let mut client = Frames::connect(&rig).await;
    // No window is ever given for more than the first 65,535 bytes.
    client.get(1, "/large").await;
    let reset = client.next_of(&[RST_STREAM, GOAWAY]).await.unwrap();
    assert_eq!((reset.kind, reset.stream), (RST_STREAM, 1));
    until(|| rig.balancer.view()[0].in_flight == 0).await;
    // Room on the connection for the next.
    client.send(WINDOW_UPDATE, 0, 0, &65_535_u32.to_be_bytes()).await;
    client.get(3, "/small").await;
    let answer = client.next_of(&[HEADERS, GOAWAY]).await.unwrap();
    assert_eq!((answer.stream, answer.status()), (3, Some(200)));
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let upstream = raw_upstream(|mut stream| async move {
        let mut sent = Vec::new();
        while !sent.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut sent).await.is_ok_and(|count| count > 0));
        }
        let sent = String::from_utf8(sent).unwrap();
        assert!(sent.ends_with("0\r\nx-sum: 7\r\n\r\n"), "{sent}");
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-back\r\n\r\n";
        stream.write_all(format!("{head}2\r\nhi\r\n0\r\nx-back: 9\r\n\r\n").as_bytes()).await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let rig = Rig::before(&[upstream]).await;
    let mut client = Frames::connect(&rig).await;
    let fields = client.fields("POST", "/", &[("te", "trailers"), ("trailer", "x-sum")]);
    client.send(HEADERS, END_HEADERS, 1, &fields).await;
    client.send(DATA, 0, 1, b"hi").await;
    client.send(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("x-sum", "7")])).await;
    assert_eq!(client.next_of(&[HEADERS, RST_STREAM]).await.unwrap().status(), Some(200));
    assert_eq!(client.next_of(&[DATA, RST_STREAM]).await.unwrap().payload, b"hi");
    let trailers = client.next_of(&[DATA, HEADERS, RST_STREAM]).await.unwrap();
    assert_eq!((trailers.kind, trailers.flags & END_STREAM), (HEADERS, END_STREAM));
}

#[tokio::test]
async fn trailers_of_an_answer_are_the_upstream_s() {
    let upstream = raw_upstream(|mut stream| async move {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-back\r\n\r\n";
        stream.write_all(format!("{head}2\r\nhi\r\n0\r\nx-back: 9\r\n\r\n").as_bytes()).await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let rig = Rig::before(&[upstream]).await;
    let stream = TokioIo::new(tokio::net::TcpStream::connect(rig.address).await.unwrap());
    let (mut h2, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("http://{}/", rig.host)).header("te", "trailers");
    let answer = soon(h2.send_request(request.body(Empty::<Bytes>::new()).unwrap())).await.unwrap();
    let collected = soon(answer.into_body().collect()).await.unwrap();
    assert_eq!(collected.trailers().map(|trailers| trailers["x-back"].clone()), Some("9".parse().unwrap()));
    assert_eq!(collected.to_bytes(), "hi");
}

/// RFC 8441 is not offered.
#[tokio::test]
async fn there_is_no_tunnel_over_h2() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut client = Frames::connect(&rig).await;
    client.send(HEADERS, END_HEADERS, 1, &block(&[(":method", "CONNECT"), (":authority", &rig.host)])).await;
    let answer = client.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
    assert!((answer.kind, answer.stream) == (HEADERS, 1) && answer.status().is_none(), "405: {answer:?}");
    let mut client = Frames::connect(&rig).await;
    let fields = client.fields("CONNECT", "/", &[(":protocol", "websocket")]);
    client.send(HEADERS, END_HEADERS, 1, &fields).await;
    assert_ne!(client.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap().kind, HEADERS);
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn a_flood_of_empty_data_ends_the_connection() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut client = Frames::connect(&rig).await;
    let fields = client.fields("POST", "/", &[]);
    client.send(HEADERS, END_HEADERS, 1, &fields).await;
    // It may be closed before all of it is sent.
    let _ = client.stream.write_all(&frame(DATA, 0, 1, b"").repeat(100_000)).await;
    assert!(client.next_of(&[GOAWAY]).await.is_none_or(|last| last.code() == ENHANCE_YOUR_CALM));
    until(|| rig.balancer.view()[0].in_flight == 0).await;
}

#[tokio::test]
async fn a_stop_says_goaway_and_lets_the_stream_under_way_end() {
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let upstream = {
        let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
        raw_upstream(move |mut stream| {
            let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
            async move {
                asked.notify_one();
                go_on.notified().await;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let mut client = Frames::connect(&rig).await;
    client.get(1, "/").await;
    soon(asked.notified()).await;
    let stopping = tokio::spawn(rig.edge.stop(PATIENCE));
    assert_eq!(client.next_of(&[GOAWAY]).await.unwrap().code(), 0);
    go_on.notify_one();
    let answer = client.next_of(&[HEADERS, RST_STREAM]).await.unwrap();
    assert_eq!((answer.stream, answer.status()), (1, Some(200)));
    // hyper asks with a PING whether the client has heard before it closes.
    drop(client);
    soon(stopping).await.unwrap();
}

#[tokio::test]
async fn a_star_is_for_options_alone_in_h2_too() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut client = Frames::connect(&rig).await;
    for (stream, method, status) in [(1, "GET", 400), (3, "OPTIONS", 200)] {
        let fields = client.fields(method, "*", &[]);
        client.send(HEADERS, END_HEADERS | END_STREAM, stream, &fields).await;
        assert_eq!(client.next_of(&[HEADERS, RST_STREAM]).await.unwrap().status(), Some(status));
    }
    let [head] = &upstream.heads()[..] else { panic!() };
    assert_eq!(head.uri.to_string(), "*");
}

#[tokio::test]
async fn a_head_that_does_not_end_holds_a_connection_no_longer_than_silence_would() {
    let upstream = Upstream::saying("hello").await;
    let bounds = Bounds { idle_timeout: Duration::from_millis(10), ..Bounds::default() };
    let rig = rig_with(upstream.address, bounds).await;
    for begins in [false, true] {
        let mut client = Frames::connect(&rig).await;
        if begins {
            let fields = client.fields("GET", "/", &[]);
            client.send(HEADERS, END_STREAM, 1, &fields).await;
        }
        while client.next().await.is_some() {}
    }
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn what_http_1_1_refuses_h2_refuses_too() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for (method, more) in [
        ("get", &[][..]),
        ("Get", &[]),
        ("POST", &[("content-length", "2"), ("content-length", "2")]),
        ("POST", &[("content-length", "")]),
        ("POST", &[("content-length", "2, 2")]),
        ("POST", &[("content-length", "+2")]),
        ("GET", &[("x-a", " b")]),
        ("GET", &[("x-a", "b\t")]),
    ] {
        let mut client = Frames::connect(&rig).await;
        let fields = client.fields(method, "/", more);
        client.send(HEADERS, END_HEADERS, 1, &fields).await;
        client.send(DATA, END_STREAM, 1, b"hi").await;
        let answer = client.next_of(&[HEADERS, RST_STREAM]).await.unwrap();
        assert!(answer.kind == RST_STREAM || answer.status() == Some(400), "{method} {more:?}: {answer:?}");
    }
    assert!(upstream.heads().is_empty());
}
