//! The edge behind TLS: h2 and HTTP/1.1 by what was negotiated.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use roundtrip::observe::assemble::CLIENT_HELLO;
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::{SpanId, TraceId};
use roundtrip::observe::journey::{Journey, JourneySpan};
use roundtrip::observe::part::ClientPart;
use roundtrip::observe::span::{Context, Trace};
use roundtrip::settings::http::bounds::Bounds;
use roundtrip::web::probe::{PROBE, Probe};
use roundtrip::web::traceparent::TraceParent;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::rig::{NAME, Options, Rig, Upstream, body, bounded, field, probe_key, raw_upstream, soon, status, until};

/// A server's configuration with a certificate made for this, and a client's that trusts it.
struct Tls {
    server: Arc<rustls::ServerConfig>,
    certificate: rustls::pki_types::CertificateDer<'static>,
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl Tls {
    fn new() -> Self {
        let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let mut server = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { server: Arc::new(server), certificate: cert.der().clone() }
    }

    async fn rig(&self, upstream: std::net::SocketAddr) -> Rig {
        let options = Options { tls: Some(Arc::clone(&self.server)), ..Options::default() };
        let rig = Rig::with(&[upstream], options);
        soon(rig.balancer.ready()).await;
        rig
    }

    async fn connect(&self, rig: &Rig, protocol: &str) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let mut client = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(rig.address).await.unwrap();
        soon(TlsConnector::from(Arc::new(client)).connect(NAME.try_into().unwrap(), stream)).await.unwrap()
    }

    async fn h2(&self, rig: &Rig) -> SendRequest<Full<Bytes>> {
        let stream = TokioIo::new(self.connect(rig, "h2").await);
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

fn get(rig: &Rig, path: &str) -> hyper::http::request::Builder {
    Request::get(format!("https://{}{path}", rig.host))
}

fn nothing() -> Full<Bytes> {
    Full::default()
}

#[tokio::test]
async fn h2_requests_become_http_1_1_for_the_upstream() {
    let upstream = Upstream::saying("hello").await;
    let (tls, path) = (Tls::new(), "/a?b=c");
    let rig = tls.rig(upstream.address).await;
    let mut h2 = tls.h2(&rig).await;
    let request = get(&rig, path).header("cookie", "a=1").header("cookie", "b=2").body(nothing()).unwrap();
    let answer = soon(h2.send_request(request)).await.unwrap();
    assert_eq!(
        (answer.status(), &field(answer.headers(), "via")[..]),
        (StatusCode::OK, &["1.1 roundtrip".to_owned()][..])
    );
    assert_eq!(soon(answer.into_body().collect()).await.unwrap().to_bytes(), "hello");
    let head = &upstream.heads()[0];
    assert_eq!((head.uri.to_string(), head.version), (path.to_owned(), hyper::Version::HTTP_11));
    assert_eq!(field(&head.headers, "host"), [rig.host.as_str()]);
    assert_eq!(field(&head.headers, "cookie"), ["a=1; b=2"]);
    assert_eq!(field(&head.headers, "via"), ["2 roundtrip"]);
    assert_eq!(field(&head.headers, "x-forwarded-proto"), ["https"]);
}

#[tokio::test]
async fn many_streams_share_a_connection_and_bodies_pass_both_ways() {
    let upstream = Upstream::start(|_, bytes| Response::new(body(bytes))).await;
    let tls = Tls::new();
    let rig = tls.rig(upstream.address).await;
    let h2 = tls.h2(&rig).await;
    let mut posts = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (mut h2, text) = (h2.clone(), format!("{number}").repeat(10_000));
        let request = Request::post(format!("https://{}/", rig.host)).body(Full::from(text.clone())).unwrap();
        posts.spawn(async move {
            let answer = h2.send_request(request).await.unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), text);
        });
    }
    while let Some(post) = soon(posts.join_next()).await {
        post.unwrap();
    }
}

#[tokio::test]
async fn h2_refusals_are_problems_too() {
    let upstream = Upstream::saying("hello").await;
    let tls = Tls::new();
    let rig = tls.rig(upstream.address).await;
    let mut h2 = tls.h2(&rig).await;
    let wrong = Request::get("https://evil.example/").body(nothing()).unwrap();
    assert_eq!(soon(h2.send_request(wrong)).await.unwrap().status(), 421);
    let two = get(&rig, "/").header("host", "evil.example").body(nothing()).unwrap();
    assert_eq!(soon(h2.send_request(two)).await.unwrap().status(), 400);
    let many = (0..70).fold(get(&rig, "/"), |request, _| request.header("x-a", "b")).body(nothing()).unwrap();
    assert_eq!(soon(h2.send_request(many)).await.unwrap().status(), 431);
    let large = get(&rig, "/").header("x-a", "b".repeat(17 * 1024)).body(nothing()).unwrap();
    let refused = soon(h2.send_request(large)).await;
    assert!(refused.as_ref().map_or(true, |answer| answer.status() == 431), "{refused:?}");
    let body = Full::from(vec![b'a'; 300 * 1024]);
    let post = Request::post(format!("https://{}/", rig.host)).body(body).unwrap();
    assert_eq!(soon(h2.send_request(post)).await.unwrap().status(), 413);
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn a_cut_answer_is_a_reset_stream() {
    let upstream = raw_upstream(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").await.unwrap();
    })
    .await;
    let tls = Tls::new();
    let rig = tls.rig(upstream).await;
    let answer = soon(tls.h2(&rig).await.send_request(get(&rig, "/").body(nothing()).unwrap())).await.unwrap();
    assert!(soon(answer.into_body().collect()).await.is_err());
}

#[tokio::test]
async fn a_reset_stream_ends_the_work_upstream() {
    let (asked, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let upstream = {
        let (asked, closed) = (Arc::clone(&asked), Arc::clone(&closed));
        raw_upstream(move |mut stream| {
            let (asked, closed) = (Arc::clone(&asked), Arc::clone(&closed));
            async move {
                asked.notify_one();
                assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
                closed.notify_one();
            }
        })
        .await
    };
    let tls = Tls::new();
    let rig = tls.rig(upstream).await;
    let mut h2 = tls.h2(&rig).await;
    let sent = tokio::spawn(h2.send_request(get(&rig, "/").body(nothing()).unwrap()));
    soon(asked.notified()).await;
    sent.abort();
    soon(closed.notified()).await;
}

#[tokio::test]
async fn http_1_1_works_behind_tls_as_well() {
    let upstream = Upstream::saying("hello").await;
    let tls = Tls::new();
    let rig = tls.rig(upstream.address).await;
    let mut stream = tls.connect(&rig, "http/1.1").await;
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", rig.host);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(status(&answer), 200);
    assert_eq!(
        field(&upstream.heads()[0].headers, "forwarded"),
        [format!("for=127.0.0.1;host=\"{}\";proto=https", rig.host)]
    );
}

/// Without close_notify (RFC 8446, section 6.1) reading to the end would fail.
#[tokio::test]
async fn tls_is_closed_in_order_whether_an_upgrade_was_refused_or_its_tunnel_ended() {
    let ask = "Upgrade: chat\r\nConnection: upgrade";
    let plain = Upstream::saying("plain").await;
    let tls = Tls::new();
    let rig = tls.rig(plain.address).await;
    let mut stream = tls.connect(&rig, "http/1.1").await;
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n{ask}, close\r\n\r\n", rig.host);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(status(&answer) == 200 && answer.ends_with("plain"), "{answer}");

    let agreeing = raw_upstream(|mut stream| async move {
        let agree = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nwelcome";
        stream.write_all(agree.as_bytes()).await.unwrap();
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let rig = tls.rig(agreeing).await;
    let mut stream = tls.connect(&rig, "http/1.1").await;
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n{ask}\r\n\r\n", rig.host);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(status(&answer) == 101 && answer.ends_with("\r\n\r\nwelcome"), "{answer}");
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_not_waited_for() {
    let upstream = Upstream::saying("hello").await;
    let bounds = Bounds { handshake_timeout: Duration::from_millis(10), ..Bounds::default() };
    let rig = Rig::with(
        &[upstream.address],
        Options { tls: Some(Tls::new().server), settings: bounded(bounds), ..Options::default() },
    );
    assert_eq!(rig.connect().await.rest().await, "");
}

#[tokio::test]
async fn an_h2_client_that_takes_nothing_of_its_answer_is_cut() {
    let upstream = Upstream::start(|_, _| Response::new(body(vec![b'x'; 64 << 20]))).await;
    let tls = Tls::new();
    let bounds = Bounds { take_timeout: Duration::from_millis(30), ..Bounds::default() };
    let options = Options { tls: Some(Arc::clone(&tls.server)), settings: bounded(bounds), ..Options::default() };
    let rig = Rig::with(&[upstream.address], options);
    soon(rig.balancer.ready()).await;
    let mut h2 = tls.h2(&rig).await;
    let answer = soon(h2.send_request(get(&rig, "/").body(nothing()).unwrap())).await.unwrap();
    until(|| rig.balancer.view()[0].in_flight == 0).await;
    assert!(soon(answer.into_body().collect()).await.is_err(), "cut, not ended");
}

/// Sends a probe and joins the parts.
async fn journey(rig: &Rig, h2: &mut SendRequest<Full<Bytes>>, shaken: (Tick, Tick)) -> Arc<Journey> {
    let (trace_id, key) = (TraceId::random(), SpanId::random());
    let context = Context { trace_id, parent: None, key, detail: true, bypass_caches: false };
    let root = Trace::start(context, key, Hop::Client, "Send and receive", shaken.0);
    root.record(Hop::Tls, CLIENT_HELLO, shaken.0, shaken.1);
    let expires_unix_s = OffsetDateTime::now_utc().unix_timestamp() as u64 + 30;
    let signed = Probe { trace_id, key, bypass_caches: false, expires_unix_s }.sign(&probe_key());
    let parent = TraceParent { trace_id, parent: key, sampled: true };
    let request =
        get(rig, "/").header("traceparent", parent.to_string()).header(PROBE, signed).body(nothing()).unwrap();
    let answer = soon(h2.send_request(request)).await.unwrap();
    soon(answer.into_body().collect()).await.unwrap();
    let trace = root.trace().clone();
    root.end();
    let sent_at = OffsetDateTime::now_utc();
    let part = ClientPart {
        trace_id,
        key,
        sent_at,
        method: "GET".into(),
        path: "/".into(),
        sent_as: None,
        fresh: true,
        bypass_caches: false,
        status: 200,
        request_bytes: 0,
        response_bytes: 5,
        spans: trace.finish(),
    };
    soon(rig.recorder.finish(part)).await
}

#[tokio::test]
async fn the_first_request_of_a_connection_tells_of_its_handshake() {
    let upstream = Upstream::saying("hello").await;
    let tls = Tls::new();
    let rig = tls.rig(upstream.address).await;
    let before = Tick::now();
    let mut h2 = tls.h2(&rig).await;
    let shaken = (before, Tick::now());
    let first = journey(&rig, &mut h2, shaken).await;
    assert!(first.complete);
    let answered = |journey: &Journey| journey.spans.iter().find(|span| span.name == "Show the certificate").cloned();
    let span = answered(&first).expect("the edge's side of the handshake");
    let hello = first.spans.iter().find(|span| span.name == CLIENT_HELLO).unwrap();
    assert_eq!(span.parent, Some(hello.id));
    assert!(span.start_us >= hello.start_us && span.duration_us > 0.0);
    assert!(span.start_us + span.duration_us <= hello.start_us + hello.duration_us, "within the client's time");
    let said = |key: &str| span.attributes[key].clone();
    assert_eq!((said("tls.protocol.version"), said("tls.next_protocol")), ("1.3".into(), "h2".into()));
    assert_eq!((said("tls.client.server_name"), said("tls.resumed")), (NAME.into(), false.into()));
    assert!(said("tls.cipher").as_str().is_some_and(|cipher| cipher.starts_with("TLS_")), "{:?}", said("tls.cipher"));
    assert_eq!(said("tls.key_exchange"), "X25519");
    let second = journey(&rig, &mut h2, shaken).await;
    assert!(answered(&second).is_none(), "only the first");
}

#[tokio::test]
async fn a_first_request_that_nobody_probed_tells_of_the_handshake_too() {
    let upstream = Upstream::saying("hello").await;
    let tls = Tls::new();
    let rig = tls.rig(upstream.address).await;
    let mut journeys = rig.recorder.subscribe();
    let mut h2 = tls.h2(&rig).await;
    for first in [true, false] {
        let answer = soon(h2.send_request(get(&rig, "/").body(nothing()).unwrap())).await.unwrap();
        soon(answer.into_body().collect()).await.unwrap();
        let journey = soon(journeys.recv()).await.unwrap();
        let (root, span) = (&journey.spans[0], |name: &str| journey.spans.iter().find(|span| span.name == name));
        assert_eq!((root.name.as_str(), root.parent, root.start_us), ("Serve the request", None, 0.0));
        let (shown, waited) = (span("Show the certificate"), span("Wait for the request"));
        assert_eq!((shown.is_some(), waited.is_some()), (first, first), "{:?}", journey.spans);
        let end = |span: &JourneySpan| span.start_us + span.duration_us;
        assert!(journey.spans.iter().all(|span| end(span) <= end(root) + 0.11), "{:?}", journey.spans);
        if let (Some(shown), Some(waited)) = (shown, waited) {
            assert_eq!((shown.parent, shown.start_us, waited.parent), (Some(root.id), 0.0, Some(root.id)));
            assert!((end(shown) - waited.start_us).abs() < 0.2, "nothing between them");
            let checked = span("Check the request").unwrap();
            assert!((end(waited) - checked.start_us).abs() < 0.2, "and nothing before the request");
        }
    }
}
