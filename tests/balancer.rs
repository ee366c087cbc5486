//! The balancer over real sockets, mostly seen through the edge.

#[path = "balancer/bad_upstreams.rs"]
mod bad_upstreams;
#[path = "balancer/health.rs"]
mod health;
#[path = "balancer/live.rs"]
mod live;
#[path = "balancer/policies.rs"]
mod policies;
#[path = "balancer/queue.rs"]
mod queue;
#[path = "balancer/retries.rs"]
mod retries;
#[path = "edge/rig.rs"]
mod rig;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use hyper::header::HOST;
use hyper::{Request, Response};
use rig::{Options, Rig, SECRET, Upstream, body, configs, field, nobody, raw_upstream, soon, status, until};
use roundtrip::balancer::answer::Answer;
use roundtrip::balancer::failure::Failure;
use roundtrip::balancer::upload::Upload;
use roundtrip::balancer::{Balancer, Caller};
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::SpanId;
use roundtrip::observe::journey::Candidate;
use roundtrip::observe::part::CANDIDATES;
use roundtrip::observe::span::{Context, Record, Span, Status, Trace};
use roundtrip::policy::health::State;
use roundtrip::settings::balancer::BalancerPolicy;
use roundtrip::settings::runtime::Settings;
use roundtrip::web::probe::HopClaim;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const POST: &str = "POST / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";

async fn three() -> [Upstream; 3] {
    [Upstream::saying("1").await, Upstream::saying("2").await, Upstream::saying("3").await]
}

fn addresses(upstreams: &[Upstream]) -> Vec<std::net::SocketAddr> {
    upstreams.iter().map(|upstream| upstream.address).collect()
}

fn set(settings: &Settings, key: &str, value: Value) {
    settings.change([(key, &value)]).unwrap();
}

fn body_of(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

fn detailed() -> Span {
    let context = Context { detail: true, ..Context::new_root() };
    Trace::start(context, SpanId::random(), Hop::Http, "Serve the request", Tick::now())
}

fn request() -> Request<Upload> {
    Request::get("/").header(HOST, "a").body(Upload::Empty).unwrap()
}

async fn forward(
    balancer: &Balancer,
    request: Request<Upload>,
    caller: &Caller,
    root: &Span,
) -> Result<Answer, Failure> {
    let (head, upload) = request.into_parts();
    balancer.forward(&head, upload, caller, root).await
}

fn caller() -> Caller {
    Caller::at(Ipv4Addr::LOCALHOST.into())
}

/// The candidates of one request's choice.
async fn choices(balancer: &Balancer) -> Vec<Candidate> {
    let root = detailed();
    soon(forward(balancer, request(), &caller(), &root)).await.unwrap();
    let spans = root.trace().finish();
    serde_json::from_value(attribute(named(&spans, "Choose an instance")[0], CANDIDATES)).unwrap()
}

fn named<'a>(spans: &'a [Record], name: &str) -> Vec<&'a Record> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn attribute(span: &Record, key: &str) -> Value {
    span.attributes.iter().find(|(name, _)| name == key).map_or(Value::Null, |(_, value)| value.clone())
}

#[tokio::test]
async fn round_robin_takes_turns() {
    let upstreams = three().await;
    let rig = Rig::before(&addresses(&upstreams)).await;
    set(&rig.settings, "balancer.policy", json!("round_robin"));
    let mut said = String::new();
    for _ in 0..6 {
        said.push_str(body_of(&rig.get("/", "").await));
    }
    assert_eq!(said, "123123");
}

#[tokio::test]
async fn p2c_uses_them_all_and_says_why() {
    let upstreams = three().await;
    let rig = Rig::before(&addresses(&upstreams)).await;
    for _ in 0..100 {
        assert_eq!(status(&rig.get("/", "").await), 200);
    }
    let root = detailed();
    let answer = soon(forward(&rig.balancer, request(), &caller(), &root)).await.unwrap();
    let spans = root.trace().finish();
    let choice = named(&spans, "Choose an instance")[0];
    let candidates: Vec<Candidate> = serde_json::from_value(attribute(choice, CANDIDATES)).unwrap();
    assert_eq!(candidates.len(), 3);
    assert_eq!(candidates.iter().filter(|candidate| candidate.drawn).count(), 2);
    let chosen = candidates.iter().find(|candidate| candidate.chosen).unwrap();
    assert_eq!(chosen.id, answer.upstream);
    let best = |candidate: &&Candidate| candidate.drawn && candidate.score < chosen.score;
    assert_eq!(candidates.iter().filter(best).count(), 0);
    let why = attribute(choice, "roundtrip.balancer.why");
    assert!(why.as_str().is_some_and(|why| why.contains(&chosen.id) && why.contains("lower score")), "{why}");
    assert!(upstreams.iter().all(|upstream| !upstream.heads().is_empty()));
}

#[tokio::test]
async fn kept_connections_are_used_again_and_the_trace_says_so() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for _ in 0..5 {
        assert_eq!(status(&rig.get("/", "").await), 200);
    }
    let mut peers: HashMap<_, usize> = HashMap::new();
    for (_, _, peer) in upstream.seen.lock().unwrap().iter() {
        *peers.entry(*peer).or_default() += 1;
    }
    assert_eq!(peers.into_values().collect::<Vec<_>>(), [5]);
    // A connection stays with the thread that opened it, which this one has yet to do.
    let first = soon(forward(&rig.balancer, request(), &caller(), &detailed())).await.unwrap();
    soon(first.body.collect()).await.unwrap();
    let root = detailed();
    soon(forward(&rig.balancer, request(), &caller(), &root)).await.unwrap();
    let spans = root.trace().finish();
    let attempt = named(&spans, "Forward to an instance")[0];
    assert_eq!(attribute(attempt, "http.connection.reused"), true);
    assert_eq!(attribute(attempt, "roundtrip.balancer.attempt"), 1);
    assert_eq!(named(&spans, "Take a kept connection")[0].parent, Some(attempt.id));
    assert!(named(&spans, "Open a connection").is_empty());
}

#[tokio::test]
async fn a_connect_failure_goes_to_another_instance_body_and_all() {
    let (dead, alive) = (Upstream::saying("dead").await, Upstream::saying("alive").await);
    let rig = Rig::before(&[dead.address, alive.address]).await;
    set(&rig.settings, "balancer.policy", json!("round_robin"));
    set(&rig.settings, "balancer.health.interval", json!(60_000));
    dead.kill();
    until(|| dead.open.load(Ordering::SeqCst) == 0 || std::net::TcpStream::connect(dead.address).is_err()).await;
    let root = detailed();
    let answer = soon(forward(&rig.balancer, request(), &caller(), &root)).await.unwrap();
    assert_eq!(answer.upstream, "i2");
    let spans = root.trace().finish();
    let [first, second] = named(&spans, "Forward to an instance")[..] else { panic!("{spans:?}") };
    assert_eq!((first.status, attribute(first, "error.type")), (Status::Error, "connect".into()));
    assert_eq!((second.status, attribute(second, "roundtrip.instance")), (Status::Ok, "i2".into()));
    assert_eq!(rig.balancer.view()[0].state, State::Unhealthy, "one connect failure is enough");
    assert_eq!(body_of(&rig.exchange(POST).await), "alive");
    assert_eq!(alive.seen.lock().unwrap().last().unwrap().1, "hello");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_kept_costs_nobody_a_request() {
    let asked = Arc::new(AtomicUsize::new(0));
    let upstream = {
        let asked = Arc::clone(&asked);
        raw_upstream(move |mut stream| {
            let asked = Arc::clone(&asked);
            async move {
                asked.fetch_add(1, Ordering::SeqCst);
                // Says it keeps the connection, and closes it all the same.
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    for _ in 0..20 {
        assert_eq!(status(&rig.get("/", "").await), 200);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn the_try_over_a_connection_that_turns_out_dead_has_a_span() {
    let upstream = raw_upstream(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        // The next request is taken and not answered.
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let rig = Rig::before(&[upstream]).await;
    let found = async {
        loop {
            let root = detailed();
            let answer = forward(&rig.balancer, request(), &caller(), &root).await.unwrap();
            assert_eq!(answer.head.status, 200);
            let spans = root.trace().finish();
            if let [dead] = named(&spans, "Find the kept connection closed")[..] {
                let attempt = named(&spans, "Forward to an instance")[0];
                assert_eq!((dead.parent, dead.status), (Some(attempt.id), Status::Error));
                assert_eq!(named(&spans, "Open a connection").len(), 1);
                return;
            }
        }
    };
    soon(found).await;
}

#[tokio::test]
async fn a_broken_connection_is_another_try_for_a_get_and_the_end_for_a_post() {
    let breaking = raw_upstream(|stream| async move { drop(stream) }).await;
    let alive = Upstream::saying("alive").await;
    let rig = Rig::before(&[breaking, alive.address]).await;
    set(&rig.settings, "balancer.policy", json!("round_robin"));
    for _ in 0..4 {
        assert_eq!(body_of(&rig.get("/", "").await), "alive");
    }
    let mut statuses = [status(&rig.exchange(POST).await), status(&rig.exchange(POST).await)];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 502], "it may have been carried out: it is not sent twice");
    assert_eq!(alive.heads().iter().filter(|head| head.method == "POST").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_an_instance_under_load_loses_no_get() {
    for policy in BalancerPolicy::CHOICES {
        let upstreams = three().await;
        let rig = Arc::new(Rig::before_own(&addresses(&upstreams)).await);
        set(&rig.settings, "balancer.policy", json!(policy));
        let answered = Arc::new(AtomicUsize::new(0));
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (rig, answered) = (Arc::clone(&rig), Arc::clone(&answered));
            clients.spawn(async move {
                let mut client = rig.connect().await;
                for _ in 0..60 {
                    client.write(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
                    let head = client.read_until("\r\n\r\n").await;
                    assert_eq!(status(&head), 200, "{head}");
                    let mut one = [0];
                    client.take(&mut one).await;
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        until(|| answered.load(Ordering::SeqCst) > 100).await;
        upstreams[1].kill();
        while let Some(client) = soon(clients.join_next()).await {
            client.unwrap();
        }
        assert_eq!(answered.load(Ordering::SeqCst), 480);
    }
}

#[tokio::test]
async fn with_fewer_than_half_healthy_all_are_used_and_the_trace_says_so() {
    let alive = Upstream::saying("alive").await;
    let rig = Rig::with(&[nobody(), nobody(), alive.address], Options::default());
    soon(rig.balancer.ready()).await;
    for _ in 0..20 {
        assert_eq!(body_of(&rig.get("/", "").await), "alive");
    }
    set(&rig.settings, "balancer.policy", json!("round_robin"));
    let mut whys = String::new();
    for _ in 0..3 {
        let root = detailed();
        soon(forward(&rig.balancer, request(), &caller(), &root)).await.unwrap();
        let spans = root.trace().finish();
        whys.push_str(&attribute(named(&spans, "Choose an instance")[0], "roundtrip.balancer.why").to_string());
    }
    assert_eq!(whys.matches("fewer than 50 % are healthy, so all are used").count(), 3, "{whys}");
}

#[tokio::test]
async fn nobody_to_ask_is_told_from_nobody_who_answers() {
    let settings = Settings::default();
    let none = Balancer::new(Vec::new(), settings.clone(), SECRET.to_owned());
    assert!(matches!(forward(&none, request(), &caller(), &detailed()).await, Err(Failure::NoneLeft)));
    let dead = Balancer::new(configs(&[nobody(), nobody()], false), settings.clone(), SECRET.to_owned());
    assert!(matches!(
        forward(&dead, request(), &caller(), &detailed()).await,
        Err(Failure::Unreachable { tried: 2, .. })
    ));
    let breaking = raw_upstream(|stream| async move { drop(stream) }).await;
    let broken = Balancer::new(configs(&[breaking], false), settings, SECRET.to_owned());
    assert!(matches!(forward(&broken, request(), &caller(), &detailed()).await, Err(Failure::Broken { .. })));
}

#[tokio::test]
async fn health_falls_and_rises_and_those_who_watch_are_told() {
    let (first, second) = (Upstream::saying("first").await, Upstream::saying("second").await);
    let rig = Rig::before_own(&[first.address]).await;
    let mut changes = rig.balancer.changes();
    set(&rig.settings, "balancer.health.interval", json!(100));
    first.kill();
    rig.balancer.set_stopped("i1", true);
    assert_eq!(rig.balancer.view()[0].state, State::Stopped);
    assert_eq!(status(&rig.get("/", "").await), 503);
    rig.balancer.set_stopped("i1", false);
    until(|| rig.balancer.view()[0].state == State::Unhealthy).await;
    soon(changes.changed()).await.unwrap();
    rig.balancer.set_upstreams(configs(&[second.address], true));
    soon(rig.balancer.ready()).await;
    assert_eq!(body_of(&rig.get("/", "").await), "second");
}

#[tokio::test]
async fn one_that_is_brought_back_and_a_shorter_interval_are_noticed_before_the_old_pause_is_over() {
    let upstream = Upstream::saying("hello").await;
    let settings = Settings::default();
    set(&settings, "balancer.health.interval", json!(60_000));
    let balancer = Balancer::new(configs(&[upstream.address], true), settings.clone(), SECRET.to_owned());
    soon(balancer.ready()).await;
    balancer.set_stopped("i1", true);
    balancer.set_stopped("i1", false);
    soon(balancer.ready()).await;
    set(&settings, "balancer.health.interval", json!(100));
    until(|| upstream.checks.lock().unwrap().len() > 4).await;
}

#[tokio::test]
async fn only_an_instance_of_ours_gets_the_stack_s_secret() {
    let (own, foreign) = (Upstream::saying("own").await, Upstream::saying("foreign").await);
    for (upstream, is_own) in [(&own, true), (&foreign, false)] {
        let rig = Rig::with(&[upstream.address], Options { own: is_own, ..Options::default() });
        soon(rig.balancer.ready()).await;
        rig.get("/", "").await;
        let head = upstream.heads().remove(0);
        assert_eq!(field(&head.headers, "roundtrip-hop").len(), usize::from(is_own));
        assert_eq!(field(&head.headers, "traceparent").len(), 1);
    }
    let checks = own.checks.lock().unwrap();
    assert!(HopClaim::verify(&field(&checks[0].headers, "roundtrip-hop")[0], SECRET).is_some());
    assert!(foreign.checks.lock().unwrap().is_empty(), "a foreign one is only connected to");
}

#[tokio::test]
async fn a_health_path_decides_by_its_status() {
    let upstream = Upstream::start(|head, _| {
        Response::builder().status(if head.uri.path() == "/good" { 200 } else { 500 }).body(body("")).unwrap()
    })
    .await;
    for (path, state) in [("/good", State::Healthy), ("/bad", State::Unhealthy)] {
        let mut config = configs(&[upstream.address], false);
        config[0].health_path = Some(path.to_owned());
        let balancer = Balancer::new(config, Settings::default(), SECRET.to_owned());
        until(|| balancer.view()[0].state == state).await;
    }
}

#[tokio::test]
async fn connections_are_not_left_behind() {
    let upstream = Upstream::saying("hello").await;
    let balancer = Balancer::new(configs(&[upstream.address], false), Settings::default(), SECRET.to_owned());
    soon(balancer.ready()).await;
    soon(forward(&balancer, request(), &caller(), &detailed())).await.unwrap();
    drop(balancer);
    until(|| upstream.open.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn an_early_answer_is_delivered_at_once() {
    let upstream = raw_upstream(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let rig = Rig::before(&[upstream]).await;
    let mut client = rig.connect().await;
    client.write(&format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 9\r\n\r\nhello", rig.host)).await;
    assert_eq!(status(&client.read_until("\r\n\r\nno").await), 403);
}

/// It is moved whenever it is handed on, and lies in the cache for as long as the answer takes.
#[tokio::test]
async fn a_request_under_way_takes_little_room() {
    let balancer = Balancer::new(Vec::new(), Settings::default(), SECRET.to_owned());
    let (head, upload) = request().into_parts();
    let (caller, root) = (caller(), detailed());
    let bytes = size_of_val(&balancer.forward(&head, upload, &caller, &root));
    assert!(bytes <= 2_560, "{bytes} bytes");
}
