//! The edge over real sockets: raw bytes in, raw bytes out, a test upstream behind it.

#[path = "edge/rig.rs"]
mod rig;
#[path = "edge/slow.rs"]
mod slow;
#[path = "edge/tls.rs"]
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Response;
use rig::{Options, PATIENCE, Rig, SECRET, Upstream, body, field, probe_key, raw_upstream, soon, status, until};
use roundtrip::edge::limits::EdgeLimits;
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::{SpanId, TraceId};
use roundtrip::observe::part::{ClientPart, InstancePart, Part};
use roundtrip::observe::span::{Context, Trace};
use roundtrip::web::probe::{HopClaim, PROBE, Probe, ProbeKey};
use roundtrip::web::problem::Problem;
use roundtrip::web::traceparent::TraceParent;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

fn problem(answer: &str) -> Problem {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[tokio::test]
async fn a_request_for_another_host_is_misdirected() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for host in ["evil.example", "bistro.localhost", "bistro.localhost:1", "localhost:8444"] {
        let answer = rig.exchange(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!((status(&answer), problem(&answer).hop), (421, Some(Hop::Http)), "{host}");
    }
    assert!(upstream.heads().is_empty());
    assert_eq!(status(&rig.get("/", "").await), 200);
}

#[tokio::test]
async fn there_is_exactly_one_valid_host() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for hosts in
        ["", "Host: HOST\r\nHost: HOST\r\n", "Host: HOST\r\nHost: evil\r\n", "Host: a b/c\r\n", "Host: x@HOST\r\n"]
    {
        let answer = rig.exchange(&format!("GET / HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n")).await;
        assert_eq!(status(&answer), 400, "{hosts}");
    }
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn the_authority_of_an_absolute_target_beats_host() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let answer = rig.exchange("GET http://HOST/a?b=c HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), 200);
    let answer = rig.exchange("GET http://evil/ HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), 421);
    let [head] = &upstream.heads()[..] else { panic!() };
    assert_eq!((head.uri.to_string(), field(&head.headers, "host")), ("/a?b=c".into(), vec![rig.host.clone()]));
}

#[tokio::test]
async fn connect_and_trace_are_refused_and_unknown_methods_pass() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let trace = rig.exchange("TRACE / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&trace), 405);
    assert!(trace.contains("\r\nallow: "));
    let connect = rig.exchange("CONNECT HOST HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&connect), 405);
    let brew = rig.exchange("BREW /pot HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
    assert_eq!((status(&brew), upstream.heads()[0].method.as_str()), (200, "BREW"));
}

#[tokio::test]
async fn what_is_for_one_connection_only_is_stripped_both_ways() {
    let upstream = Upstream::start(|_, _| {
        Response::builder()
            .header("connection", "x-private")
            .header("x-private", "1")
            .header("keep-alive", "timeout=5")
            .header("proxy-authenticate", "Basic")
            .header("x-kept", "1")
            .body(body("hello"))
            .unwrap()
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    let sent = "Connection: x-mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\nProxy-Authorization: x\r\n\
                TE: gzip, trailers\r\nUpgrade: websocket\r\nExpect: nothing\r\nX-Kept: 1\r\n";
    let answer = rig.get("/", sent).await;
    for gone in ["x-private", "keep-alive", "proxy-authenticate"] {
        assert!(!answer.contains(gone), "{gone}: {answer}");
    }
    assert!(answer.contains("x-kept: 1") && answer.contains("via: 1.1 roundtrip"));
    let head = &upstream.heads()[0].headers;
    for gone in ["connection", "x-mine", "keep-alive", "proxy-connection", "proxy-authorization", "upgrade", "expect"] {
        assert!(!head.contains_key(gone), "{gone}");
    }
    assert_eq!((field(head, "te"), field(head, "x-kept")), (vec!["trailers".into()], vec!["1".into()]));
}

#[tokio::test]
async fn what_was_said_about_the_origin_is_replaced_and_our_own_fields_never_come_from_outside() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let lies = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\n\
                X-Forwarded-Host: evil\r\nX-Forwarded-Prefix: /evil\r\nForwarded: for=6.6.6.6\r\nVia: 1.0 fred\r\n\
                roundtrip-hop: hop-secret.0000000000000001.11\r\nroundtrip-probe: x\r\nroundtrip-any: x\r\n";
    assert_eq!(status(&rig.get("/", lies).await), 200);
    let head = &upstream.heads()[0].headers;
    assert_eq!(field(head, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(field(head, "x-forwarded-proto"), ["http"]);
    assert_eq!(field(head, "x-forwarded-host"), [rig.host.as_str()]);
    assert_eq!(field(head, "forwarded"), [format!("for=127.0.0.1;host=\"{}\";proto=http", rig.host)]);
    assert_eq!(field(head, "via"), ["1.0 fred", "1.1 roundtrip"]);
    let ours = |name: &str| name.starts_with("roundtrip-") || name == "x-forwarded-prefix";
    assert!(!head.keys().any(|name| ours(name.as_str())), "{head:?}");
}

#[tokio::test]
async fn a_request_that_has_been_here_before_goes_in_a_circle() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    assert_eq!(status(&rig.get("/", "Via: 1.1 fred, 1.1 roundtrip\r\n").await), 508);
}

#[tokio::test]
async fn a_request_whose_end_is_in_doubt_is_refused_and_the_connection_closed() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let after = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n";
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "X-Bare: lf\n",
        "X-Folded: a\r\n b\r\n",
    ] {
        let answer = rig.exchange(&format!("POST / HTTP/1.1\r\nHost: HOST\r\n{framing}\r\n{after}")).await;
        assert_eq!(status(&answer), 400, "{framing}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{framing}: one answer, then the end: {answer}");
    }
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn a_field_name_with_an_underscore_is_refused() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    assert_eq!(status(&rig.get("/", "X_Forwarded_For: 1\r\n").await), 400);
}

#[tokio::test]
async fn heads_have_bounds() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    assert_eq!(status(&rig.get(&format!("/{}", "a".repeat(8 * 1024)), "").await), 414);
    assert_eq!(status(&rig.get("/", &"X-A: b\r\n".repeat(70)).await), 431);
    assert_eq!(status(&rig.get("/", &format!("X-A: {}\r\n", "b".repeat(17 * 1024))).await), 431);
    assert_eq!(status(&rig.get("/", &format!("X-A: {}\r\n", "b".repeat(200 * 1024))).await), 431);
    assert!(upstream.heads().is_empty());
    assert_eq!(status(&rig.get("/", &"X-A: b\r\n".repeat(60)).await), 200);
}

#[tokio::test]
async fn a_body_too_large_is_refused_whether_announced_or_not() {
    let upstream = Upstream::saying("hello").await;
    let limits = EdgeLimits { body_bytes_max: 10, ..EdgeLimits::default() };
    let rig = Rig::with(&[upstream.address], Options { limits, ..Options::default() });
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
async fn the_client_is_told_to_go_on_before_it_sends_its_body() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut client = rig.connect().await;
    let head = format!("POST / HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", rig.host);
    client.write(&head).await;
    assert_eq!(client.read_until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write("hi").await;
    assert_eq!(status(&client.read_until("hello").await), 200);
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
async fn a_client_that_leaves_ends_the_work_upstream_and_is_recorded_as_gone() {
    let (asked, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let upstream = {
        let (asked, closed) = (Arc::clone(&asked), Arc::clone(&closed));
        raw_upstream(move |mut stream| {
            let (asked, closed) = (Arc::clone(&asked), Arc::clone(&closed));
            async move {
                asked.notify_one();
                // Nothing is answered; the end of the connection is what is waited for.
                assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
                closed.notify_one();
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let mut journeys = rig.recorder.subscribe();
    let mut client = rig.connect().await;
    client.write(&format!("GET /slow HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    soon(asked.notified()).await;
    drop(client);
    soon(closed.notified()).await;
    let journey = soon(journeys.recv()).await.unwrap();
    assert_eq!((journey.summary.status, journey.summary.path.as_str()), (499, "/slow"));
    assert_eq!(rig.balancer.view()[0].ewma_us, None, "the upstream is not blamed");
    until(|| rig.balancer.view()[0].in_flight == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_an_answer_ends_the_work_upstream() {
    let closed = Arc::new(Notify::new());
    let upstream = {
        let closed = Arc::clone(&closed);
        raw_upstream(move |mut stream| {
            let closed = Arc::clone(&closed);
            async move {
                let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
                stream.write_all(head).await.unwrap();
                assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
                closed.notify_one();
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let mut journeys = rig.recorder.subscribe();
    let mut client = rig.connect().await;
    client.write(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    client.read_until("first").await;
    drop(client);
    soon(closed.notified()).await;
    let journey = soon(journeys.recv()).await.unwrap();
    assert_eq!((journey.summary.status, journey.response_bytes), (499, 5));
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
async fn an_answer_that_is_cut_upstream_is_cut_for_the_client() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let upstream = raw_upstream(move |mut stream| async move {
            let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nfirst\r\n");
            stream.write_all(text.as_bytes()).await.unwrap();
        })
        .await;
        let rig = Rig::before(&[upstream]).await;
        let answer = rig.get("/", "").await;
        assert_eq!(status(&answer), 200);
        assert!(answer.contains("first") && !answer.ends_with("0\r\n\r\n"), "{answer}");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        assert!(head != "Content-Length: 100" || body.len() < 100);
    }
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
async fn garbage_from_upstream_is_a_502_that_names_the_balancer() {
    let upstream = raw_upstream(|mut stream| async move { stream.write_all(b"garbage\r\n\r\n").await.unwrap() }).await;
    let rig = Rig::before(&[upstream]).await;
    let answer = rig.get("/", "").await;
    assert_eq!((status(&answer), problem(&answer).hop), (502, Some(Hop::Balancer)));
}

#[tokio::test]
async fn with_all_upstreams_down_the_problem_names_the_balancer_and_says_when_to_come_back() {
    let rig = Rig::with(&[rig::nobody(), rig::nobody()], Options::default());
    let answer = rig.get("/", "").await;
    assert_eq!((status(&answer), problem(&answer).hop), (503, Some(Hop::Balancer)));
    assert!(answer.contains("retry-after: 1\r\n") && answer.contains("content-type: application/problem+json"));
}

#[tokio::test]
async fn times_stand_before_the_upstream_s_own_but_not_where_a_secret_is_checked() {
    let upstream =
        Upstream::start(|_, _| Response::builder().header("server-timing", "api;dur=1").body(body("hi")).unwrap())
            .await;
    let rig = Rig::before(&[upstream.address]).await;
    let answer = rig.get("/", "").await;
    let timings: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix("server-timing: ")).collect();
    let [ours, theirs] = timings[..] else { panic!("{answer}") };
    assert!(ours.starts_with("http;dur=") && ours.contains(", balancer;dur="), "{ours}");
    assert_eq!(theirs, "api;dur=1");
    let answer = rig.get("/secret", "").await;
    assert_eq!(answer.matches("server-timing").count(), 1);
}

#[tokio::test]
async fn one_part_with_the_facts_is_submitted_for_each_request() {
    let upstream = Upstream::start(|_, _| Response::builder().status(404).body(body("nothing")).unwrap()).await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut journeys = rig.recorder.subscribe();
    let request = "POST /a?b=c HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    rig.exchange(request).await;
    let journey = soon(journeys.recv()).await.unwrap();
    let summary = &journey.summary;
    assert_eq!((summary.method.as_str(), summary.path.as_str(), summary.status), ("POST", "/a", 404));
    assert_eq!((journey.request_bytes, journey.response_bytes, journey.complete), (5, 7, true));
    let names: Vec<&str> = journey.spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Serve the request",
            "Check the request",
            "Choose an instance",
            "Forward to an instance",
            "Open a connection",
            "Your service answers",
            "Pass the answer on",
            "Send the answer",
        ]
    );
    let end = |span: &roundtrip::observe::journey::JourneySpan| span.start_us + span.duration_us;
    assert!(journey.spans.iter().all(|span| end(span) <= end(&journey.spans[0]) + 0.11), "{:?}", journey.spans);
    rig.exchange(request).await;
    soon(journeys.recv()).await.unwrap();
    assert_eq!(rig.recorder.recent(10).len(), 2);
}

/// Sends a GET with `traceparent` and a probe signed by `key`; what the instance was told.
async fn probe(
    rig: &Rig,
    upstream: &Upstream,
    trace_id: TraceId,
    claim: SpanId,
    key: &ProbeKey,
) -> (HopClaim, TraceParent) {
    let expires_unix_s = OffsetDateTime::now_utc().unix_timestamp() as u64 + 30;
    let signed = Probe { trace_id, key: claim, bypass_caches: true, expires_unix_s }.sign(key);
    let parent = TraceParent { trace_id, parent: claim, sampled: true };
    rig.get("/", &format!("traceparent: {parent}\r\ntracestate: a=b\r\n{PROBE}: {signed}\r\n")).await;
    let heads = upstream.heads();
    let head = &heads.last().unwrap().headers;
    assert_eq!(field(head, "tracestate"), ["a=b"]);
    assert!(!head.contains_key(PROBE));
    let told = HopClaim::verify(&field(head, "roundtrip-hop")[0], SECRET).unwrap();
    (told, TraceParent::parse(&field(head, "traceparent")[0]).unwrap())
}

#[tokio::test]
async fn only_a_probe_that_we_signed_is_recorded_in_full() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before_own(&[upstream.address]).await;
    let (trace_id, key) = (TraceId::random(), SpanId::random());
    let (told, parent) = probe(&rig, &upstream, trace_id, key, &ProbeKey::new(&[8; 32])).await;
    assert!(!told.detail && !told.bypass_caches && told.key != key, "{told:?}");
    assert_eq!((parent.trace_id, parent.sampled), (trace_id, true), "the flag is for those behind us");
    assert_ne!(parent.parent, key, "the attempt's span");

    let context = Context { trace_id, parent: None, key, detail: true, bypass_caches: true };
    let root = Trace::start(context, key, Hop::Client, "Send and receive", Tick::now());
    let (told, parent) = probe(&rig, &upstream, trace_id, key, &probe_key()).await;
    assert_eq!(told, HopClaim { key, detail: true, bypass_caches: true });
    let trace = root.trace().clone();
    root.end();
    // The instance's part hangs beneath the attempt that its traceparent named.
    let instance = Context { parent: Some(parent.parent), ..context };
    let span = Trace::start(instance, SpanId::random(), Hop::Api, "Answer", Tick::now());
    let spans = span.trace().finish();
    rig.recorder.submit(Part::Instance(InstancePart { key, spans }));
    let journey = soon(rig.recorder.finish(ClientPart {
        trace_id,
        key,
        sent_at: OffsetDateTime::now_utc(),
        method: "GET".into(),
        path: "/".into(),
        sent_as: None,
        fresh: true,
        bypass_caches: true,
        status: 200,
        request_bytes: 0,
        response_bytes: 5,
        spans: trace.finish(),
    }))
    .await;
    assert!(journey.complete && journey.summary.probe);
    let span = |name: &str| journey.spans.iter().find(|span| span.name == name).unwrap();
    let served = &span("Serve the request").attributes;
    assert_eq!((&served["http.request.method"], &served["http.response.status_code"]), (&"GET".into(), &200.into()));
    assert_eq!(span("Choose an instance").attributes["roundtrip.balancer.policy"], "p2c_peak_ewma");
    assert_eq!(span("Forward to an instance").attributes["roundtrip.instance"], "i1");
    assert_eq!(span("Answer").parent, Some(span("Forward to an instance").id));
    assert!(journey.instances[0].chosen && journey.instances[0].id == "i1");
}

#[tokio::test]
async fn a_stop_lets_what_is_under_way_end_and_lets_nobody_else_in() {
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let upstream = {
        let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
        raw_upstream(move |mut stream| {
            let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
            async move {
                asked.notify_one();
                go_on.notified().await;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
                let _ = stream.read(&mut [0]).await;
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let mut client = rig.connect().await;
    client.write(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    soon(asked.notified()).await;
    let mut idle = rig.connect().await;
    let (address, stopped) = (rig.address, Arc::new(AtomicBool::new(false)));
    let stopping = {
        let stopped = Arc::clone(&stopped);
        tokio::spawn(async move {
            rig.edge.stop(PATIENCE).await;
            stopped.store(true, Ordering::SeqCst);
        })
    };
    assert_eq!(idle.rest().await, "");
    assert!(!stopped.load(Ordering::SeqCst));
    go_on.notify_one();
    let answer = client.rest().await;
    assert!(status(&answer) == 200 && answer.ends_with("hello") && answer.contains("connection: close"), "{answer}");
    soon(stopping).await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn one_address_has_a_bounded_number_of_connections() {
    let upstream = Upstream::saying("hello").await;
    let limits = EdgeLimits { connections_per_address_max: 1, ..EdgeLimits::default() };
    let rig = Rig::with(&[upstream.address], Options { limits, ..Options::default() });
    let mut first = rig.connect().await;
    let mut second = rig.connect().await;
    assert_eq!(second.rest().await, "");
    first.write(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    assert_eq!(status(&first.read_until("hello").await), 200);
}

#[tokio::test]
async fn a_head_that_does_not_end_and_an_idle_connection_are_closed() {
    let upstream = Upstream::saying("hello").await;
    let (short, long) = (Duration::from_millis(10), Duration::from_secs(3_600));
    let slow = EdgeLimits { head_timeout: short, idle_timeout: long, ..EdgeLimits::default() };
    let idle = EdgeLimits { head_timeout: long, idle_timeout: short, ..EdgeLimits::default() };
    let rig = Rig::with(&[upstream.address], Options { limits: slow, ..Options::default() });
    let mut client = rig.connect().await;
    client.write("GET / HTTP/1.1\r\nX-Never").await;
    assert_eq!(client.rest().await, "");
    let rig = Rig::with(&[upstream.address], Options { limits: idle, ..Options::default() });
    let mut client = rig.connect().await;
    client.write(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    assert_eq!(status(&client.read_until("hello").await), 200);
    assert_eq!(client.rest().await, "");
}
