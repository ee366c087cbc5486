//! Upstreams that do what they should not. Each time: the right status, the hop named, the upstream marked,
//! and nothing left behind.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use roundtrip::balancer::target::Target;
use roundtrip::balancer::{Balancer, PoolRules, UpstreamConfig};
use roundtrip::policy::breaker;
use roundtrip::policy::health::State;
use roundtrip::settings::runtime::Settings;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{Rig, SECRET, Upstream, raw_upstream, soon, status, until};
use crate::{caller, detailed, forward, request, set};

/// Connections that an upstream has open.
#[derive(Clone, Default)]
struct Open(Arc<AtomicUsize>);

struct Counted(Open);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Open {
    fn one(&self) -> Counted {
        self.0.fetch_add(1, Ordering::SeqCst);
        Counted(self.clone())
    }
}

/// Writes `first`, and then `again` for as long as somebody reads; then waits for the end unless it hangs up.
async fn writing(open: &Open, first: &'static str, again: &'static str, hangs_up: bool) -> SocketAddr {
    let open = open.clone();
    raw_upstream(move |mut stream: TcpStream| {
        let counted = open.one();
        async move {
            let _counted = counted;
            let mut goes_on = stream.write_all(first.as_bytes()).await.is_ok();
            while goes_on && !again.is_empty() {
                goes_on = stream.write_all(again.as_bytes()).await.is_ok();
            }
            if !hangs_up {
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    })
    .await
}

async fn nothing_is_left(rig: &Rig, open: &Open) {
    until(|| rig.balancer.view()[0].in_flight == 0 && open.0.load(Ordering::SeqCst) == 0).await;
    assert_eq!(rig.balancer.waiting(), 0);
}

/// A large head, an endless row of informational answers, no HTTP, or nothing at all.
#[tokio::test]
async fn an_answer_that_is_none_is_a_502_and_no_answer_a_504() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
    let long = "X-Long: 0123456789012345678901234567890123456789\r\n";
    for (first, again, hangs_up, expected, kind) in [
        ("HTTP/1.1 200 OK\r\n", long, false, 502, "broken-answer"),
        ("", early, false, 502, "broken-answer"),
        ("SSH-2.0-OpenSSH_9.9\r\n", "", false, 502, "broken-answer"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "", true, 502, "broken-answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "", false, 502, "broken-answer"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "",
            false,
            502,
            "broken-answer",
        ),
        ("", "", true, 502, "broken-answer"),
        ("", "", false, 504, "slow-answer"),
        ("HTTP/1.1 100 Continue\r\n\r\n", "", false, 504, "slow-answer"),
    ] {
        let open = Open::default();
        let rig = Rig::before(&[writing(&open, first, again, hangs_up).await]).await;
        set(&rig.settings, "balancer.timeout.head", json!(if expected == 504 { 50 } else { 10_000 }));
        let answer = rig.get("/", "").await;
        assert_eq!(status(&answer), expected, "{first:?}: {answer}");
        assert!(answer.contains(kind) && answer.contains("\"hop\":\"balancer\"") && answer.contains("i1"), "{answer}");
        assert!(rig.balancer.view()[0].ewma_us.is_some_and(|us| us >= 1e6), "it is blamed");
        nothing_is_left(&rig, &open).await;
    }
}

#[tokio::test]
async fn an_answer_shorter_than_announced_is_cut_and_its_upstream_blamed() {
    for first in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nno number\r\n",
    ] {
        let open = Open::default();
        let rig = Rig::before(&[writing(&open, first, "", true).await]).await;
        let answer = rig.get("/", "").await;
        assert!(status(&answer) == 200 && !answer.ends_with("0\r\n\r\n"), "{answer}");
        nothing_is_left(&rig, &open).await;
        assert!(rig.balancer.view()[0].ewma_us.is_some_and(|us| us >= 1e6), "{first:?}");
    }
}

#[tokio::test]
async fn bytes_beyond_the_announced_length_reach_nobody() {
    let open = Open::default();
    let lies = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let rig = Rig::before(&[writing(&open, lies, "", false).await]).await;
    for _ in 0..3 {
        let answer = rig.get("/", "").await;
        assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    }
    nothing_is_left(&rig, &open).await;
}

/// A TLS server with a certificate that ends so many days from now; and that certificate.
async fn tls_upstream(days: i64) -> (SocketAddr, CertificateDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = OffsetDateTime::now_utc() - Duration::days(30);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(days);
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                // A health check that only connects says nothing.
                while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsealed").await;
                }
            });
        }
    });
    (address, certificate)
}

fn trusting(certificate: Option<CertificateDer<'static>>) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    certificate.into_iter().for_each(|certificate| roots.add(certificate).unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

#[tokio::test]
async fn tls_to_an_upstream_is_verified_and_a_bad_certificate_is_told_in_words() {
    for (days, trusted, name, words) in [
        (1, true, "localhost", None),
        (-1, true, "localhost", Some("has expired")),
        (1, false, "localhost", Some("not trusted here")),
        (1, true, "127.0.0.1", Some("for another name")),
    ] {
        let (address, certificate) = tls_upstream(days).await;
        let target = Target::tls(name, address.port(), trusting(trusted.then_some(certificate))).unwrap();
        let settings = Settings::default();
        let balancer = Balancer::new(vec![UpstreamConfig::new("i1", target)], settings, SECRET.to_owned());
        soon(balancer.ready()).await;
        let answered = soon(forward(&balancer, request(), &caller(), &detailed())).await;
        let view = balancer.view().remove(0);
        let Some(words) = words else {
            assert_eq!((answered.unwrap().head.status.as_u16(), view.state), (200, State::Healthy));
            continue;
        };
        let problem = answered.unwrap_err().problem();
        assert_eq!((problem.status, problem.kind.as_str()), (502, "/problems/upstream-certificate"));
        assert!(problem.detail.contains(words) && problem.detail.contains("i1"), "{problem:?}");
        assert_eq!(view.state, State::Unhealthy);
        assert!(view.reason.is_some_and(|reason| reason.contains(words)));
        assert_eq!(view.in_flight, 0);
    }
}

#[tokio::test]
async fn one_that_speaks_no_tls_is_told_from_one_with_a_bad_certificate() {
    let plain = raw_upstream(|stream| async move { drop(stream) }).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    for address in [plain, silent] {
        let target = Target::tls("localhost", address.port(), trusting(None)).unwrap();
        let settings = Settings::default();
        set(&settings, "balancer.timeout.connect", json!(50));
        let balancer = Balancer::new(vec![UpstreamConfig::new("i1", target)], settings, SECRET.to_owned());
        soon(balancer.ready()).await;
        let failure = soon(forward(&balancer, request(), &caller(), &detailed())).await.unwrap_err();
        assert!(failure.problem().status == 503 && failure.to_string().contains("TLS handshake"), "{failure}");
    }
}

const CUT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";

#[tokio::test]
async fn one_that_cuts_every_answer_is_ejected_and_a_cut_probe_does_not_bring_it_back() {
    let (open, good) = (Open::default(), Upstream::saying("good").await);
    let rig = Rig::before(&[good.address, writing(&open, CUT, "", true).await]).await;
    set(&rig.settings, "balancer.policy", json!("round_robin"));
    set(&rig.settings, "balancer.breaker.mode", json!("off"));
    set(&rig.settings, "balancer.ejection.base", json!(300));
    for _ in 0..10 {
        rig.get("/", "").await;
    }
    let view = &rig.balancer.view()[1];
    assert_eq!((view.state, view.reason.as_deref()), (State::Ejected, Some("it broke off")));
    until(|| rig.balancer.view()[1].state == State::Probing).await;
    for _ in 0..2 {
        rig.get("/", "").await;
    }
    assert_eq!(rig.balancer.view()[1].state, State::Ejected);
}

#[tokio::test]
async fn an_answer_that_is_cut_is_one_failed_call_to_the_breaker() {
    let open = Open::default();
    let rig = Rig::before(&[writing(&open, CUT, "", true).await]).await;
    for (key, value) in [("window", 4), ("minimum", 4), ("failure_rate", 100)] {
        set(&rig.settings, &format!("balancer.breaker.{key}"), json!(value));
    }
    for expected in [breaker::State::Closed, breaker::State::Closed, breaker::State::Closed, breaker::State::Open] {
        rig.get("/", "").await;
        assert_eq!(rig.balancer.view()[0].breaker, expected);
    }
}

#[tokio::test]
async fn the_breaker_of_a_pool_without_one_is_not_opened_by_a_cut_answer() {
    let open = Open::default();
    let rig = Rig::before(&[writing(&open, CUT, "", true).await]).await;
    rig.balancer.set_own_rules(PoolRules { without_breaker: true, ..PoolRules::default() });
    set(&rig.settings, "balancer.breaker.minimum", json!(1));
    rig.get("/", "").await;
    rig.balancer.set_own_rules(PoolRules::default());
    assert_eq!(rig.balancer.view()[0].breaker, breaker::State::Closed);
}
