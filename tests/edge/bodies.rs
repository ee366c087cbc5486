//! Bodies both ways: bounds, streams, trailers, and answers that have none.

use std::sync::Arc;

use hyper::Response;
use roundtrip::settings::http::bounds::Bounds;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::rig::{Options, Rig, Upstream, body, bounded, problem, raw_upstream, soon, status, until};

#[tokio::test]
async fn a_body_too_large_is_refused_whether_announced_or_not() {
    let upstream = Upstream::saying("hello").await;
    let bounds = Bounds { body_bytes_max: 10, ..Bounds::default() };
    let rig = Rig::with(&[upstream.address], Options { settings: bounded(bounds), ..Options::default() });
    soon(rig.balancer.ready()).await;
    let post = "POST / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n";
    let announced = rig.exchange(&format!("{post}Content-Length: 11\r\n\r\nhello world")).await;
    assert_eq!((status(&announced), problem(&announced).status), (413, 413));
    let chunked = rig.exchange(&format!("{post}Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n")).await;
    assert_eq!(status(&chunked), 413);
    assert!(upstream.heads().is_empty());
    let fits = rig.exchange(&format!("{post}Transfer-Encoding: chunked\r\n\r\na\r\nhello worl\r\n0\r\n\r\n")).await;
    assert_eq!((status(&fits), &upstream.seen.lock().unwrap()[0].1[..]), (200, &b"hello worl"[..]));
    assert!(rig.balancer.view()[0].ewma_us.is_some_and(|us| us < 1e6), "the upstream is not blamed");
}

#[tokio::test]
async fn a_client_that_goes_on_sending_a_refused_body_still_reads_why() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let body = "x".repeat(4 << 20);
    for framing in [format!("Content-Length: {}\r\n\r\n", body.len()), "X-A: ".to_owned()] {
        let client = tokio::net::TcpStream::connect(rig.address).await.unwrap();
        let (mut read, mut write) = client.into_split();
        let text = format!("POST / HTTP/1.1\r\nHost: {}\r\n{framing}{body}", rig.host);
        let sending = tokio::spawn(async move { write.write_all(text.as_bytes()).await });
        // All of it is taken, so nothing resets the connection and with it the answer.
        soon(sending).await.unwrap().unwrap();
        let mut answer = String::new();
        soon(read.read_to_string(&mut answer)).await.unwrap_or_else(|error| panic!("{error}, {answer:?}"));
        assert_eq!(status(&answer), if framing.starts_with("Content") { 413 } else { 431 });
    }
}

#[tokio::test]
async fn an_upload_streams_and_its_cut_end_is_no_end() {
    let (first, cut) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let upstream = {
        let (first, cut) = (Arc::clone(&first), Arc::clone(&cut));
        raw_upstream(move |mut stream| {
            let (first, cut) = (Arc::clone(&first), Arc::clone(&cut));
            async move {
                let mut came = vec![0; 10];
                stream.read_exact(&mut came).await.unwrap();
                assert_eq!(came, b"5\r\nfirst\r\n");
                first.notify_one();
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
                assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
                cut.notify_one();
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let mut client = rig.connect().await;
    let head = format!("POST / HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", rig.host);
    client.write(&format!("{head}5\r\nfirst\r\n")).await;
    soon(first.notified()).await;
    drop(client);
    soon(cut.notified()).await;
    until(|| rig.balancer.view()[0].in_flight == 0).await;
    assert_eq!(rig.balancer.view()[0].ewma_us, None, "the upstream is not blamed");
}

#[tokio::test]
async fn answers_without_a_body_have_none_and_head_keeps_the_length() {
    let upstream = Upstream::start(|head, _| {
        let status = head.uri.path().trim_start_matches('/').parse().unwrap_or(200);
        Response::builder()
            .status(status)
            .header("etag", "\"1\"")
            .body(body(if status == 200 { "hello" } else { "" }))
            .unwrap()
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    let head = rig.exchange("HEAD / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
    assert!(head.contains("content-length: 5\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    for code in [204, 304] {
        let answer = rig.get(&format!("/{code}"), "").await;
        assert_eq!(status(&answer), code);
        assert!(answer.ends_with("\r\n\r\n") && !answer.contains("transfer-encoding"), "{answer}");
        assert!(answer.contains("etag: \"1\""));
    }
}

#[tokio::test]
async fn the_first_chunk_arrives_before_the_upstream_ends() {
    let go_on = Arc::new(Notify::new());
    let upstream = {
        let go_on = Arc::clone(&go_on);
        raw_upstream(move |mut stream| {
            let go_on = Arc::clone(&go_on);
            async move {
                let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
                stream.write_all(head).await.unwrap();
                go_on.notified().await;
                stream.write_all(b"4\r\nlast\r\n0\r\n\r\n").await.unwrap();
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let mut client = rig.connect().await;
    client.write(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    client.read_until("first").await;
    go_on.notify_one();
    client.read_until("last\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn trailers_and_interim_answers_are_handled() {
    let upstream = raw_upstream(|mut stream| async move {
        let text = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
                    Trailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n";
        stream.write_all(text.as_bytes()).await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let rig = Rig::before(&[upstream]).await;
    let answer = rig.get("/", "TE: trailers\r\n").await;
    assert_eq!(status(&answer), 200);
    assert!(answer.ends_with("x-sum: 7\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn trailers_of_an_upload_pass() {
    let upstream = raw_upstream(|mut stream| async move {
        let mut sent = Vec::new();
        while !sent.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut sent).await.is_ok_and(|count| count > 0));
        }
        stream.write_all(&[b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", &sent[..]].concat()).await.unwrap();
    })
    .await;
    let rig = Rig::before(&[upstream]).await;
    let post = "POST / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nTE: trailers\r\nTrailer: x-sum\r\n\
                Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n";
    let answer = rig.exchange(post).await;
    assert!(answer.contains("2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn interim_answers_are_never_the_final_one() {
    let upstream = raw_upstream(|mut stream| async move {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
                    HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        stream.write_all(text.as_bytes()).await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let rig = Rig::before(&[upstream]).await;
    let answer = rig.get("/", "").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nhello"), "{answer}");
    assert!(!answer.contains("103") && !answer.contains("link"), "hyper cannot pass one on: {answer}");
}

#[tokio::test]
async fn what_an_upstream_says_of_a_body_that_is_not_there_misleads_nobody() {
    for (method, head, length) in [
        ("HEAD", "200 OK\r\nContent-Length: 5", Some("5")),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked", None),
        // RFC 9110, section 8.6: may be left out here, and must be there.
        ("GET", "304 Not Modified\r\nContent-Length: 5", None),
        ("GET", "204 No Content\r\nContent-Length: 5", None),
    ] {
        let upstream = raw_upstream(move |mut stream| async move {
            stream.write_all(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()).await.unwrap();
            let _ = stream.read(&mut [0]).await;
        })
        .await;
        let rig = Rig::before(&[upstream]).await;
        let mut client = rig.connect().await;
        let request = format!("{method} / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host);
        client.write(&request).await;
        let answer = client.read_until("\r\n\r\n").await;
        let said = answer.lines().find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!(said, length, "{method} {head}: {answer}");
        // The next answer begins where this one's head ended.
        client.write(&request).await;
        assert!(client.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 "), "{method} {head}");
    }
}

#[tokio::test]
async fn trailers_that_nobody_announced_are_dropped() {
    let upstream = raw_upstream(|mut stream| async move {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n";
        stream.write_all(text.as_bytes()).await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let rig = Rig::before(&[upstream]).await;
    let answer = rig.get("/", "TE: trailers\r\n").await;
    assert!(answer.ends_with("2\r\nhi\r\n0\r\n\r\n"), "{answer}");
}

/// RFC 9110, section 6.5.1; the rules for heads would be worth nothing if trailers could say the same.
const NOT_IN_TRAILERS: [&str; 33] = [
    "x-forwarded-for",
    "x-forwarded-any",
    "forwarded",
    "via",
    "roundtrip-hop",
    "roundtrip-any",
    "x_sum",
    "connection",
    "keep-alive",
    "proxy-authorization",
    "te",
    "upgrade",
    "cookie",
    "set-cookie",
    "cache-status",
    "cache-control",
    "host",
    "content-type",
    "content-encoding",
    "authorization",
    "www-authenticate",
    "traceparent",
    "tracestate",
    "expect",
    "range",
    "if-match",
    "age",
    "date",
    "vary",
    "server-timing",
    "location",
    "strict-transport-security",
    "max-forwards",
];

#[tokio::test]
async fn trailers_say_nothing_that_is_for_a_head_to_say() {
    let lies: String = NOT_IN_TRAILERS.map(|name| format!("{name}: lie\r\n")).concat();
    let all = format!("{}, x-sum, grpc-status, content-digest", NOT_IN_TRAILERS.join(", "));
    let trailers = format!("{lies}x-sum: 7\r\ngrpc-status: 0\r\ncontent-digest: d\r\n\r\n");
    let (announced, answered) = (all.clone(), trailers.clone());
    let (sent, mut sents) = tokio::sync::mpsc::unbounded_channel();
    let upstream = raw_upstream(move |mut stream| {
        let (announced, answered, told) = (announced.clone(), answered.clone(), sent.clone());
        async move {
            let mut sent = Vec::new();
            while !sent.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut sent).await.is_ok_and(|count| count > 0));
            }
            told.send(String::from_utf8(sent).unwrap()).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: {announced}\r\n\r\n");
            stream.write_all(format!("{head}2\r\nhi\r\n0\r\n{answered}").as_bytes()).await.unwrap();
            let _ = stream.read(&mut [0]).await;
        }
    })
    .await;
    let rig = Rig::before(&[upstream]).await;
    let post = format!(
        "POST / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nTE: trailers\r\nTrailer: {all}\r\n\
         Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n{trailers}"
    );
    let answer = rig.exchange(&post).await;
    let sent = soon(sents.recv()).await.unwrap();
    for message in [sent, answer] {
        let (_, trailers) = message.split_once("\r\n0\r\n").unwrap_or_else(|| panic!("{message}"));
        let mut names: Vec<&str> = trailers.lines().filter_map(|line| Some(line.split_once(':')?.0)).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-digest", "grpc-status", "x-sum"], "{message}");
    }
}
