//! Answers that the edge compresses, and those that it must not.

#[path = "edge/rig.rs"]
mod rig;

use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::http::response::Parts;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rig::{Options, Rig, Upstream, body, field, raw_upstream, soon};
use roundtrip::edge::site::{PathRule, Route, Rules, Site};
use roundtrip::web::host::HostList;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

/// Longer than what is not worth it, and unlike itself enough to show what was lost.
fn text() -> String {
    (0..4_000).map(|number| format!("line {number}\n")).collect()
}

/// Answers with [`text`] under these fields.
async fn upstream(fields: &'static [(&'static str, &'static str)]) -> Upstream {
    Upstream::start(move |_, _| {
        let mut response = Response::builder();
        for (name, value) in [("content-type", "text/plain")].iter().chain(fields) {
            // A later one of the same name replaces it.
            response.headers_mut().unwrap().insert(*name, value.parse().unwrap());
        }
        response.body(body(text())).unwrap()
    })
    .await
}

/// A body that comes piece by piece.
struct Pieces(mpsc::Receiver<&'static str>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
    }
}

async fn open(rig: &Rig, method: &str, fields: &[(&str, &str)]) -> (Parts, Incoming) {
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri("/").header("host", &rig.host);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    soon(sender.send_request(request)).await.unwrap().into_parts()
}

async fn ask(rig: &Rig, method: &str, fields: &[(&str, &str)]) -> (Parts, Vec<u8>) {
    let (head, body) = open(rig, method, fields).await;
    (head, soon(body.collect()).await.unwrap().to_bytes().to_vec())
}

async fn get(rig: &Rig, accept: &str) -> (HeaderMap, Vec<u8>) {
    let (head, body) = ask(rig, "GET", &[("accept-encoding", accept)]).await;
    assert_eq!(head.status, 200);
    (head.headers, body)
}

fn decoded(coding: &str, bytes: &[u8]) -> String {
    let mut plain = String::new();
    let mut reader: Box<dyn Read + '_> = match coding {
        "br" => Box::new(brotli::Decompressor::new(bytes, 4096)),
        "zstd" => Box::new(zstd::stream::read::Decoder::new(bytes).unwrap()),
        "gzip" => Box::new(flate2::read::GzDecoder::new(bytes)),
        other => panic!("{other:?}"),
    };
    reader.read_to_string(&mut plain).unwrap();
    plain
}

fn one(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = field(headers, name);
    assert!(values.len() < 2, "{name}: {values:?}");
    values.pop()
}

#[tokio::test]
async fn a_public_answer_is_sent_in_the_coding_that_the_client_likes_best() {
    let upstream =
        upstream(&[("cache-control", "public, max-age=60"), ("etag", "\"a\""), ("accept-ranges", "bytes")]).await;
    let rig = Rig::before(&[upstream.address]).await;
    for (accept, coding) in [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip, zstd", "zstd"),
        ("gzip", "gzip"),
        ("br;q=0.5, gzip", "gzip"),
        ("*;q=0.1", "zstd"),
        ("zstd;q=0.1, br;q=0.2", "br"),
    ] {
        let (headers, body) = get(&rig, accept).await;
        assert_eq!(one(&headers, "content-encoding").as_deref(), Some(coding), "{accept}");
        assert!(body.len() < text().len() / 2, "{coding}: {}", body.len());
        assert_eq!(decoded(coding, &body), text());
        // Known once the form is kept; else none is said.
        assert!(one(&headers, "content-length").is_none_or(|length| length == body.len().to_string()));
        assert_eq!(one(&headers, "vary").as_deref(), Some("accept-encoding"));
        // The tag no longer names the bytes, and ranges would be of other bytes.
        assert_eq!(one(&headers, "etag").as_deref(), Some("W/\"a\""));
        assert_eq!(one(&headers, "accept-ranges"), None);
    }
    for accept in ["", "identity", "br;q=0", "deflate", "identity;q=1, br;q=0.5"] {
        let (headers, body) = get(&rig, accept).await;
        assert_eq!((one(&headers, "content-encoding"), body), (None, text().into_bytes()), "{accept}");
        assert_eq!(one(&headers, "content-length"), Some(text().len().to_string()));
        assert_eq!(one(&headers, "etag").as_deref(), Some("\"a\""));
        // A cache must know that others get something else.
        assert_eq!(one(&headers, "vary").as_deref(), Some("accept-encoding"), "{accept}");
    }
}

#[tokio::test]
async fn what_is_kept_is_compressed_once_and_its_form_is_kept_beside_it() {
    let upstream = upstream(&[("cache-control", "max-age=60"), ("etag", "\"v1\"")]).await;
    let rig = Rig::before(&[upstream.address]).await;
    let bytes = || rig.edge.cache().figures().bytes;
    get(&rig, "zstd").await;
    let plain = bytes();
    let (head, first) = get(&rig, "zstd").await;
    assert_eq!(zstd::decode_all(&first[..]).unwrap(), text().as_bytes());
    assert_eq!(bytes(), plain + first.len() as u64, "it takes room as the answer does");
    for _ in 0..2 {
        let (again, body) = get(&rig, "zstd").await;
        assert_eq!((field(&again, "content-length"), &body), (vec![first.len().to_string()], &first));
        assert_eq!((field(&again, "etag"), field(&again, "vary")), (field(&head, "etag"), field(&head, "vary")));
    }
    let (_, other) = get(&rig, "gzip").await;
    assert_eq!(bytes(), plain + (first.len() + other.len()) as u64, "each coding has a form of its own");
    assert_eq!(get(&rig, "identity").await.1, text().as_bytes());
    assert_eq!((rig.edge.cache().clear(), bytes()), (1, 0));
    assert_eq!(upstream.heads().len(), 1);
}

#[tokio::test]
async fn an_answer_to_somebody_known_is_never_compressed() {
    let upstream = upstream(&[("cache-control", "public")]).await;
    let rig = Rig::before(&[upstream.address]).await;
    for secret in [("cookie", "a=b"), ("authorization", "Bearer a")] {
        let (head, body) = ask(&rig, "GET", &[("accept-encoding", "br"), secret]).await;
        assert_eq!((one(&head.headers, "content-encoding"), body.len()), (None, text().len()), "{secret:?}");
    }
    let (head, _) = ask(&rig, "GET", &[("accept-encoding", "br"), ("range", "bytes=0-5")]).await;
    assert_eq!(one(&head.headers, "content-encoding"), None);
}

#[tokio::test]
async fn an_answer_that_says_it_is_private_whole_or_compressed_already_is_left_as_it_is() {
    let cases: [&[(&str, &str)]; 10] = [
        &[("cache-control", "private")],
        &[("cache-control", "max-age=1, No-Store")],
        &[("cache-control", "private=\"x\"")],
        &[("cache-control", "no-transform")],
        &[("set-cookie", "a=b")],
        &[("content-type", "image/png")],
        &[("content-type", "text/event-stream")],
        &[("content-encoding", "gzip")],
        &[("content-digest", "sha-256=:aaaa:")],
        &[("content-range", "bytes 0-1/2")],
    ];
    for fields in cases {
        let upstream = upstream(fields).await;
        let rig = Rig::before(&[upstream.address]).await;
        let (headers, body) = get(&rig, "br, gzip").await;
        assert_eq!(String::from_utf8(body).unwrap(), text(), "{fields:?}");
        let said = fields.iter().find(|(name, _)| *name == "content-encoding").map(|(_, value)| (*value).to_owned());
        assert_eq!(one(&headers, "content-encoding"), said, "{fields:?}");
        assert_eq!(one(&headers, "content-length"), Some(text().len().to_string()), "{fields:?}");
    }
}

#[tokio::test]
async fn a_part_says_that_its_whole_depends_on_the_coding_asked_for() {
    for (media_type, vary) in [("text/plain", Some("accept-encoding".to_owned())), ("image/png", None)] {
        let upstream = Upstream::start(move |_, _| {
            let part = Response::builder().status(206).header("content-range", "bytes 0-1/5000");
            part.header("content-type", media_type).body(body("ab")).unwrap()
        })
        .await;
        let rig = Rig::before(&[upstream.address]).await;
        let (head, bytes) = ask(&rig, "GET", &[("accept-encoding", "br"), ("range", "bytes=0-1")]).await;
        assert_eq!((head.status.as_u16(), &bytes[..]), (206, &b"ab"[..]));
        assert_eq!((one(&head.headers, "vary"), one(&head.headers, "content-encoding")), (vary, None), "{media_type}");
    }
}

#[tokio::test]
async fn short_answers_and_transparent_routes_are_left_as_they_are_and_a_setting_turns_it_off() {
    let upstream = upstream(&[]).await;
    let rig = Rig::before(&[upstream.address]).await;
    assert!(get(&rig, "br").await.0.contains_key("content-encoding"));
    let set = |key, value| rig.settings.change([(key, &value)]).unwrap();
    set("http.compress.min_bytes", json!(text().len() + 1));
    assert!(!get(&rig, "br").await.0.contains_key("content-encoding"));
    set("http.compress.min_bytes", json!(text().len()));
    assert!(get(&rig, "br").await.0.contains_key("content-encoding"));
    set("http.compress.enabled", json!(false));
    let (headers, _) = get(&rig, "br").await;
    assert!(!headers.contains_key("content-encoding") && !headers.contains_key("vary"));
    set("http.compress.enabled", json!(true));

    let hosts = HostList::new(&[rig::NAME.to_owned()], rig.address.port(), 443);
    let path = PathRule::Prefix("/".to_owned());
    let all = Route {
        host: None,
        path,
        pool: "pool".to_owned(),
        balancer: rig.balancer.clone(),
        rules: Rules::transparent(),
    };
    rig.edge.replace(Site::new(hosts, Vec::new(), vec![all]));
    let (headers, body) = get(&rig, "br").await;
    assert_eq!(String::from_utf8(body).unwrap(), text());
    assert!(!headers.contains_key("content-encoding") && !headers.contains_key("vary"));
}

#[tokio::test]
async fn a_head_has_the_fields_of_its_get_and_no_body() {
    let upstream = upstream(&[("etag", "\"a\""), ("vary", "origin")]).await;
    let rig = Rig::before(&[upstream.address]).await;
    for accept in ["zstd", "identity"] {
        let (mut get, _) = get(&rig, accept).await;
        let (mut head, body) = ask(&rig, "HEAD", &[("accept-encoding", accept)]).await;
        assert!(body.is_empty());
        for changing in ["date", "server-timing", "transfer-encoding"] {
            get.remove(changing);
            head.headers.remove(changing);
        }
        assert_eq!(head.headers, get, "{accept}");
    }
}

#[tokio::test]
async fn what_was_compressed_is_validated_by_the_tag_it_was_sent_with() {
    let upstream = Upstream::start(|head, _| {
        let held = head.headers.get("if-none-match").and_then(|tag| tag.to_str().ok());
        let response = Response::builder().header("etag", "\"a\"").header("content-type", "text/plain");
        match held {
            Some("\"a\"" | "W/\"a\"") => response.status(304).body(body("")).unwrap(),
            _ => response.body(body(text())).unwrap(),
        }
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    let tag = one(&get(&rig, "br").await.0, "etag").unwrap();
    for (held, answered) in [(tag.as_str(), "W/\"a\""), ("\"a\"", "\"a\"")] {
        let (head, _) = ask(&rig, "GET", &[("accept-encoding", "br"), ("if-none-match", held)]).await;
        assert_eq!((head.status.as_u16(), one(&head.headers, "etag").as_deref()), (304, Some(answered)));
    }
}

#[tokio::test]
async fn what_a_slow_upstream_has_sent_is_passed_on_before_the_next_comes() {
    let more = Arc::new(Notify::new());
    let wait = Arc::clone(&more);
    let upstream = Upstream::start(move |_, _| {
        let (sender, receiver) = mpsc::channel(1);
        let wait = Arc::clone(&wait);
        tokio::spawn(async move {
            sender.send("first, ").await.unwrap();
            wait.notified().await;
            sender.send("second").await.unwrap();
        });
        Response::builder().header("content-type", "text/plain").body(Pieces(receiver).boxed_unsync()).unwrap()
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    for coding in ["br", "zstd", "gzip"] {
        let (head, mut body) = open(&rig, "GET", &[("accept-encoding", coding)]).await;
        assert_eq!(one(&head.headers, "content-encoding").as_deref(), Some(coding));
        let mut bytes = Vec::new();
        let first = soon(body.frame()).await.unwrap().unwrap().into_data().unwrap();
        assert!(!first.is_empty());
        bytes.extend_from_slice(&first);
        more.notify_one();
        bytes.extend_from_slice(&soon(body.collect()).await.unwrap().to_bytes());
        assert_eq!(decoded(coding, &bytes), "first, second");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_ends_as_if_it_were_whole() {
    let upstream = raw_upstream(|mut stream| async move {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n";
        stream.write_all(format!("{head}{}", text()).as_bytes()).await.unwrap();
    })
    .await;
    let rig = Rig::with(&[upstream], Options::default());
    soon(rig.balancer.ready()).await;
    let (_, body) = open(&rig, "GET", &[("accept-encoding", "br")]).await;
    assert!(soon(body.collect()).await.is_err());
}

#[tokio::test]
async fn it_is_the_same_over_h2_where_a_cookie_may_come_in_crumbs() {
    let upstream = upstream(&[("etag", "\"a\"")]).await;
    let rig = Rig::before(&[upstream.address]).await;
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let ask = |method: &'static str, cookies: &'static [&'static str]| {
        let mut sender = sender.clone();
        let request = Request::builder().method(method).uri(format!("http://{}/", rig.host));
        let request = cookies.iter().fold(request, |request, cookie| request.header("cookie", *cookie));
        let request = request.header("accept-encoding", "gzip").body(Empty::<Bytes>::new()).unwrap();
        async move {
            let (head, body) = soon(sender.send_request(request)).await.unwrap().into_parts();
            (head.headers, soon(body.collect()).await.unwrap().to_bytes())
        }
    };
    let (headers, body) = ask("GET", &[]).await;
    assert_eq!((one(&headers, "content-encoding").as_deref(), one(&headers, "content-length")), (Some("gzip"), None));
    assert_eq!(decoded("gzip", &body), text());
    let (headers, body) = ask("HEAD", &[]).await;
    assert_eq!((one(&headers, "content-encoding").as_deref(), body.len()), (Some("gzip"), 0));
    let (headers, body) = ask("GET", &["a=b", "c=d"]).await;
    assert_eq!((one(&headers, "content-encoding"), body.len()), (None, text().len()));
}
