//! Who is to blame for being slow, and what becomes of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::Response;
use roundtrip::settings::balancer::{BalancerSettings, Timeouts};
use roundtrip::settings::http::HttpSettings;
use roundtrip::settings::http::bounds::Bounds;
use roundtrip::settings::runtime::{Settings, Snapshot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::rig::{Options, Rig, Upstream, body, bounded, problem, raw_upstream, soon, status, until};

const SHORT: Duration = Duration::from_millis(30);

async fn rig(upstream: std::net::SocketAddr, timeouts: Timeouts, bounds: Bounds) -> Rig {
    let balancer = BalancerSettings { timeouts, ..BalancerSettings::default() };
    let http = HttpSettings { bounds, ..HttpSettings::default() };
    let settings = Settings::new(Snapshot { balancer, http, ..Snapshot::default() });
    let rig = Rig::with(&[upstream], Options { settings, ..Options::default() });
    soon(rig.balancer.ready()).await;
    rig
}

fn timeouts() -> Timeouts {
    BalancerSettings::default().timeouts
}

fn half_a_post(rig: &Rig) -> String {
    format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 10\r\n\r\nhello", rig.host)
}

#[tokio::test]
async fn a_client_that_stalls_its_upload_is_told_so_and_the_upstream_is_not_blamed() {
    let upstream = Upstream::saying("hello").await;
    let bounds = Bounds { body_grace: SHORT * 5, ..Bounds::default() };
    let rig = rig(upstream.address, Timeouts { head: SHORT, ..timeouts() }, bounds).await;
    let mut client = rig.connect().await;
    client.write(&half_a_post(&rig)).await;
    let answer = client.rest().await;
    assert_eq!(status(&answer), 408, "{answer}");
    assert_eq!(rig.balancer.view()[0].ewma_us, None, "the upstream is not blamed");
    until(|| rig.balancer.view()[0].in_flight == 0).await;
}

#[tokio::test]
async fn the_time_of_an_upload_is_not_the_upstream_s() {
    let upstream = Upstream::saying("hello").await;
    let rig = rig(upstream.address, timeouts(), Bounds::default()).await;
    let mut client = rig.connect().await;
    client.write(&half_a_post(&rig)).await;
    // The slowness is what is tested: it is the client's.
    let stall = Duration::from_millis(500);
    tokio::time::sleep(stall).await;
    client.write("world").await;
    assert_eq!(status(&client.read_until("\r\n\r\nhello").await), 200);
    let measured = rig.balancer.view()[0].ewma_us.expect("it answered");
    assert!(measured < stall.as_secs_f64() * 1e6, "{measured} us");
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_a_whole_upload_in_time_is_blamed() {
    let gone = Arc::new(Notify::new());
    let upstream = {
        let gone = Arc::clone(&gone);
        raw_upstream(move |mut stream| {
            let gone = Arc::clone(&gone);
            async move {
                let _ = stream.read_to_end(&mut Vec::new()).await;
                let _ = stream.shutdown().await;
                gone.notify_one();
            }
        })
        .await
    };
    let rig = rig(upstream, Timeouts { head: SHORT, ..timeouts() }, Bounds::default()).await;
    let mut client = rig.connect().await;
    client.write(&format!("{}world", half_a_post(&rig))).await;
    assert_eq!(status(&client.read_until("\r\n\r\n").await), 504);
    assert!(rig.balancer.view()[0].ewma_us.is_some(), "it is blamed");
    soon(gone.notified()).await;
}

/// Answers a head of this type and a first chunk, then nothing until the connection is closed.
async fn falls_silent(media_type: &'static str, closed: &Arc<Notify>) -> std::net::SocketAddr {
    let closed = Arc::clone(closed);
    raw_upstream(move |mut stream| {
        let closed = Arc::clone(&closed);
        async move {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n");
            stream.write_all(format!("{head}5\r\nfirst\r\n").as_bytes()).await.unwrap();
            let _ = stream.read(&mut [0]).await;
            closed.notify_one();
        }
    })
    .await
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_cut_and_its_connection_closed() {
    let short = Timeouts { between_bytes: SHORT, ..timeouts() };
    let events = Timeouts { between_events: SHORT, ..timeouts() };
    for (media_type, timeouts) in [("text/plain", short), ("text/event-stream", events)] {
        let closed = Arc::new(Notify::new());
        let rig = rig(falls_silent(media_type, &closed).await, timeouts, Bounds::default()).await;
        let mut journeys = rig.recorder.subscribe();
        let answer = rig.get("/", "").await;
        assert!(status(&answer) == 200 && answer.contains("first"), "{answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "a cut answer never ends as if it were whole: {answer}");
        soon(closed.notified()).await;
        assert_eq!(soon(journeys.recv()).await.unwrap().summary.status, 200);
        until(|| rig.balancer.view()[0].in_flight == 0).await;
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_cut() {
    // More than all the buffers on the way hold.
    let upstream = Upstream::start(|_, _| Response::new(body(vec![b'x'; 64 << 20]))).await;
    let bounds = Bounds { take_timeout: SHORT, ..Bounds::default() };
    let rig = rig(upstream.address, timeouts(), bounds).await;
    let mut journeys = rig.recorder.subscribe();
    let mut client = rig.connect().await;
    client.write(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    client.read_until("\r\n\r\n").await;
    assert_eq!(soon(journeys.recv()).await.unwrap().summary.status, 499);
    until(|| rig.balancer.view()[0].in_flight == 0).await;
    until(|| upstream.open.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn one_address_has_a_bounded_number_of_connections() {
    let upstream = Upstream::saying("hello").await;
    let bounds = Bounds { connections_of_loopback_max: 1, ..Bounds::default() };
    let rig = Rig::with(&[upstream.address], Options { settings: bounded(bounds), ..Options::default() });
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
    let slow = Bounds { head_timeout: short, idle_timeout: long, ..Bounds::default() };
    let idle = Bounds { head_timeout: long, idle_timeout: short, ..Bounds::default() };
    let rig = Rig::with(&[upstream.address], Options { settings: bounded(slow), ..Options::default() });
    let mut journeys = rig.recorder.subscribe();
    let mut client = rig.connect().await;
    client.write("GET /slow HTTP/1.1\r\nX-Never").await;
    let answer = client.rest().await;
    assert_eq!((status(&answer), problem(&answer).status), (408, 408), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    let journey = soon(journeys.recv()).await.unwrap();
    assert_eq!((journey.summary.status, journey.summary.path.as_str()), (408, "/slow"));
    let rig = Rig::with(&[upstream.address], Options { settings: bounded(idle), ..Options::default() });
    let mut client = rig.connect().await;
    client.write(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    assert_eq!(status(&client.read_until("hello").await), 200);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_body_that_crawls_is_cut_though_it_never_stalls() {
    let upstream = Upstream::saying("hello").await;
    // 500 bytes a second, once the grace is over; no bound on the whole.
    let bounds = Bounds { body_grace: SHORT, body_timeout: Duration::MAX, ..Bounds::default() };
    let rig = rig(upstream.address, timeouts(), bounds).await;
    let mut client = rig.connect().await;
    client.write(&format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\n", rig.host)).await;
    let (mut read, mut write) = client.stream.split();
    let mut answer = String::new();
    tokio::select! {
        _ = async {
            // The crawling is what is tested: 100 bytes a second.
            while write.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            std::future::pending::<()>().await;
        } => {}
        read = soon(read.read_to_string(&mut answer)) => { read.unwrap(); }
    }
    assert_eq!((status(&answer), problem(&answer).kind.as_str()), (408, "/problems/body-too-slow"), "{answer}");
    assert_eq!(rig.balancer.view()[0].ewma_us, None, "the upstream is not blamed");
}

#[tokio::test]
async fn a_kept_answer_is_under_way_until_its_client_has_taken_it() {
    // More than all the buffers on the way hold.
    let large =
        |_: &_, _| Response::builder().header("cache-control", "max-age=60").body(body(vec![b'x'; 32 << 20])).unwrap();
    let upstream = Upstream::start(large).await;
    let bounds = Bounds { take_timeout: SHORT * 100, ..Bounds::default() };
    let rig = rig(upstream.address, timeouts(), bounds).await;
    rig.settings.change([("http.cache.object_bytes", &serde_json::json!(32 << 20))]).unwrap();
    rig.get("/", "").await;
    let mut journeys = rig.recorder.subscribe();
    let mut client = rig.connect().await;
    client.write(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    assert!(client.read_until("\r\n\r\n").await.contains("roundtrip; hit"));
    assert_eq!(soon(journeys.recv()).await.unwrap().summary.status, 499);
    assert_eq!(upstream.heads().len(), 1);
}

#[tokio::test]
async fn a_connection_on_which_a_head_is_coming_in_is_not_idle() {
    let upstream = Upstream::saying("hello").await;
    let bounds = Bounds { head_timeout: Duration::from_secs(3_600), idle_timeout: SHORT, ..Bounds::default() };
    let rig = Rig::with(&[upstream.address], Options { settings: bounded(bounds), ..Options::default() });
    soon(rig.balancer.ready()).await;
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host);
    let (begin, end) = request.split_at(20);
    let mut client = rig.connect().await;
    client.write(begin).await;
    // Others that are idle show that there was time enough to close it.
    for _ in 0..3 {
        let mut idle = rig.connect().await;
        idle.write(&request).await;
        assert_eq!(status(&idle.rest().await), 200);
    }
    client.write(end).await;
    assert_eq!(status(&client.read_until("hello").await), 200);
}

#[tokio::test]
async fn a_client_that_stops_within_its_first_bytes_is_told_so_as_any_other() {
    let upstream = Upstream::saying("hello").await;
    let bounds = Bounds { head_timeout: SHORT, ..Bounds::default() };
    let rig = rig(upstream.address, timeouts(), bounds).await;
    for begun in ["P", "PR"] {
        let mut client = rig.connect().await;
        client.write(begun).await;
        assert_eq!(status(&client.rest().await), 408, "{begun} may be POST, PROPFIND or the beginning of h2");
    }
}
