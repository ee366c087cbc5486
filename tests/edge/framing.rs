//! Heads, byte by byte: what is refused, how, and that nothing is smuggled.

use roundtrip::observe::hop::Hop;

use crate::rig::{Rig, Upstream, problem, soon, status};

/// Sends `request` with a smuggled one behind it: one answer of the edge's own has to come, then the end.
async fn refused(rig: &Rig, request: &str, expected: u16) {
    let mut journeys = rig.recorder.subscribe();
    let answer = rig.exchange(&format!("{request}0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n")).await;
    assert_eq!(status(&answer), expected, "{request:?}: {answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?}: one answer, then the end: {answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{request:?}: {answer}");
    let problem = problem(&answer);
    assert_eq!((problem.status, problem.hop), (expected, Some(Hop::Http)), "{request:?}");
    assert_eq!(soon(journeys.recv()).await.unwrap().summary.status, expected, "{request:?}: it has a trace");
}

#[tokio::test]
async fn a_request_whose_end_is_in_doubt_is_refused_and_the_connection_closed() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: 5,5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer_Encoding: chunked\r\nX-A: b\r\n",
    ] {
        refused(&rig, &format!("POST / HTTP/1.1\r\nHost: HOST\r\n{framing}\r\n"), 400).await;
    }
    refused(&rig, "POST / HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n", 400).await;
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn a_head_that_breaks_the_grammar_is_refused() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for fields in [
        "X-Bare: lf\n",
        "X-Folded: a\r\n b\r\n",
        "X-Bare: a\rb\r\n",
        "X-Nul: a\0b\r\n",
        "X-Space : a\r\n",
        "X Space: a\r\n",
        "No colon\r\n",
        ": no name\r\n",
        "X-Bell: \x07\r\n",
        "X-(Paren): a\r\n",
    ] {
        refused(&rig, &format!("GET / HTTP/1.1\r\nHost: HOST\r\n{fields}\r\n"), 400).await;
    }
    for lines in [
        "GET / HTTP/1.1\r\n Host: HOST\r\n",
        "GET / HTTP/1.1\n",
        "GET /\r\n",
        "GET  / HTTP/1.1\r\nHost: HOST\r\n",
        "GET / HTTP/1.1 \r\nHost: HOST\r\n",
        "GET /a b HTTP/1.1\r\nHost: HOST\r\n",
        "GET\t/ HTTP/1.1\r\nHost: HOST\r\n",
        "GET /a\x01 HTTP/1.1\r\nHost: HOST\r\n",
        "GET /a#b HTTP/1.1\r\nHost: HOST\r\n",
        "GET a HTTP/1.1\r\nHost: HOST\r\n",
        "GET * HTTP/1.1\r\nHost: HOST\r\n",
        "get / HTTP/1.1\r\nHost: HOST\r\n",
        "G=T / HTTP/1.1\r\nHost: HOST\r\n",
        "GET / http/1.1\r\nHost: HOST\r\n",
        "GET / HTTP/11\r\nHost: HOST\r\n",
        "GET / HTTP\r\nHost: HOST\r\n",
        " GET / HTTP/1.1\r\nHost: HOST\r\n",
        "\x16\x03\x01 / HTTP/1.1\r\n",
    ] {
        refused(&rig, &format!("{lines}\r\n"), 400).await;
    }
    for version in ["HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/1.2"] {
        refused(&rig, &format!("GET / {version}\r\nHost: HOST\r\n\r\n"), 505).await;
    }
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn a_chunk_that_is_none_ends_the_request_with_a_400() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let post = "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunk in [
        "0x5\r\nhello",
        "+5\r\nhello",
        "-5\r\nhello",
        "g\r\nhello",
        "\r\nhello",
        "5;a\nb\r\nhello",
        "11111111111111111\r\nhello",
        " 5\r\nhello",
        "5\nhello",
        "5\r\nhelloworld",
        "5\r\nhello\n",
        "5\r\r\nhello",
    ] {
        refused(&rig, &format!("{post}{chunk}\r\n"), 400).await;
    }
    assert!(upstream.heads().is_empty());
    let odd = "00005;name=value;x=\"y\"\r\nhello\r\n0;last\r\n\r\n";
    let answer = rig.exchange(&format!("{}{odd}", post.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))).await;
    assert_eq!((status(&answer), &upstream.seen.lock().unwrap()[0].1[..]), (200, &b"hello"[..]));
}

#[tokio::test]
async fn requests_before_a_refused_one_are_answered_first_however_the_bytes_arrive() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let good = format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\n\r\nhi", rig.host);
    let text = format!("{good}{good}GET /bad HTTP/1.1\r\nX-Bare: lf\n\r\n{good}");
    for piece in [text.len(), 7, 1] {
        let mut client = rig.connect().await;
        for piece in text.as_bytes().chunks(piece) {
            client.write(std::str::from_utf8(piece).unwrap()).await;
        }
        let answer = client.rest().await;
        let statuses: Vec<u16> = answer.split("HTTP/1.1 ").skip(1).map(|rest| rest[..3].parse().unwrap()).collect();
        assert_eq!(statuses, [200, 200, 400], "{answer}");
    }
}

#[tokio::test]
async fn heads_have_bounds() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for (path, fields, expected) in [
        (format!("/{}", "a".repeat(8 * 1024)), String::new(), 414),
        (format!("/{}", "a".repeat(200 * 1024)), String::new(), 414),
        ("/".to_owned(), "X-A: b\r\n".repeat(64), 431),
        ("/".to_owned(), "X-A: b\r\n".repeat(1_000), 431),
        ("/".to_owned(), format!("X-A: {}\r\n", "b".repeat(17 * 1024)), 431),
        ("/".to_owned(), format!("X-A: {}\r\n", "b".repeat(200 * 1024)), 431),
    ] {
        refused(&rig, &format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n{fields}\r\n"), expected).await;
    }
    assert!(upstream.heads().is_empty());
    assert_eq!(status(&rig.get("/", &"X-A: b\r\n".repeat(62)).await), 200);
}

#[tokio::test]
async fn a_trailer_line_that_does_not_end_with_crlf_hides_no_request() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let post = "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n";
    let bad = "POST /bad HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    let middle = format!("GET /mid HTTP/1.1\r\nHost: HOST\r\nContent-Length: {}\r\n\r\n{bad}", bad.len());
    for trailers in ["X: a\n\r\n", "\n", "X: a\r\n\n", "X\n: a\r\n\r\n", "X: a\r\r\n\r\n", "\r\r\n", "\nX: a\r\n\r\n"] {
        refused(&rig, &format!("{post}{trailers}{middle}"), 400).await;
        // Nor is what would end it waited for.
        refused(&rig, &format!("{post}{trailers}"), 400).await;
    }
    for trailers in ["X-A: b\r\n".repeat(65), format!("X-A: {}\r\n", "b".repeat(17 * 1024))] {
        refused(&rig, &format!("{post}{trailers}\r\n{middle}"), 400).await;
    }
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn a_head_that_is_refused_after_trailers_is_answered() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let post = "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    for trailers in ["\r\n", "X-A: b\r\n\r\n"] {
        let answer = rig.exchange(&format!("{post}{trailers}GET / HTTP/1.1\r\nX-Bare: lf\n\r\n")).await;
        let statuses: Vec<u16> = answer.split("HTTP/1.1 ").skip(1).map(|rest| rest[..3].parse().unwrap()).collect();
        assert_eq!(statuses, [200, 400], "{answer}");
    }
}
