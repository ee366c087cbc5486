//! What the engine sends, and what it says of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roundtrip::client::lean::{Kind, Origin, Reach};
use roundtrip::client::{Client, ClientConfig, Resolver, Roots, Url};
use roundtrip::lab::load::figures::{Figures, Phase};
use roundtrip::lab::load::mix::{Mix, MixFile};
use roundtrip::lab::load::{Plan, Report, start};
use roundtrip::policy::arrivals::{Spacing, Stage};
use tokio::sync::watch;

use crate::harness::PATIENCE;
use crate::server::{Say, Server, ok, status};

fn client() -> Client {
    // Any authority will do where nothing is sealed.
    let key = rcgen::KeyPair::generate().expect("a key");
    let pem = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate").pem();
    let config = ClientConfig {
        resolver: Resolver::system(),
        roots: Roots::Pem(pem.into_bytes()),
        probe_key: None,
        ca_path: None,
        detail: false,
    };
    Client::new(config).expect("a client")
}

/// `rate` requests a second for `lasts`, to `server`.
fn plan(url: &str, mix: &str, rate: f64, lasts: Duration) -> Plan {
    let url = Url::parse(url).expect("a url");
    let mix = Mix::new(MixFile::parse(mix).expect("a file"), &url, &BTreeMap::new(), 1).expect("a mix");
    Plan {
        origin: Arc::new(Origin::new(&client(), url, Reach::Loopback, false)),
        mix,
        stages: vec![Stage::steady(rate, lasts)],
        spacing: Spacing::Constant,
        seed: 1,
        connections: 8,
        keep_alive: true,
        threads: 1,
        timeout: PATIENCE,
        backlog_max: 10_000,
    }
}

const ROOT: &str = "[[request]]\npath = '/'";
const S: Duration = Duration::from_secs(1);

async fn run(plan: Plan) -> Report {
    let report = start(plan).expect("it starts").report().await.expect("a report");
    adds_up(&report.figures);
    report
}

/// Every request is in one place.
fn adds_up(figures: &Figures) {
    assert_eq!(figures.planned, figures.sent + figures.not_sent + figures.waiting, "{figures:?}");
    let ended = figures.answered + figures.failed() + figures.in_flight + figures.unfinished;
    assert_eq!(figures.sent, ended, "{figures:?}");
    assert_eq!(figures.statuses.values().sum::<u64>(), figures.answered);
    assert_eq!(figures.classes.values().sum::<u64>(), figures.answered);
}

async fn until(figures: &mut watch::Receiver<Arc<Figures>>, so: impl FnMut(&Arc<Figures>) -> bool) -> Arc<Figures> {
    let found = tokio::time::timeout(PATIENCE, figures.wait_for(so)).await;
    found.expect("in time").expect("it still runs").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_as_many_requests_arrive_as_were_planned_and_every_byte_is_counted() {
    for (threads, keep_alive, spacing) in
        [(1, true, Spacing::Constant), (2, true, Spacing::Poisson), (1, false, Spacing::Constant)]
    {
        let server = Server::start(async |_, _| ok()).await;
        let mix = "[[request]]\nmethod = 'POST'\npath = '/x'\nbody = '{\"n\":{seq}}'";
        let plan = Plan { threads, keep_alive, spacing, ..plan(&server.url(), mix, 300.0, S) };
        let report = run(plan).await;
        let (figures, seen) = (&report.figures, server.seen.lock().expect("the log"));
        if spacing == Spacing::Constant {
            assert_eq!(figures.planned, 300);
        }
        assert_eq!((figures.sent, figures.answered), (figures.planned, figures.planned), "{figures:?}");
        assert_eq!(seen.lines.len() as u64, figures.planned);
        assert_eq!((figures.bytes_sent, figures.bytes_received), (seen.bytes_in, seen.bytes_out));
        assert_eq!(figures.connections_opened as usize, seen.connections);
        let expected = if keep_alive { 8 } else { 8 + 300 };
        assert_eq!(seen.connections, expected, "a connection is kept, or it is not");
        assert_eq!((figures.phase, report.latency.count()), (Phase::Done, figures.answered));
        let of_series = |count: fn(&_) -> u64| report.series.iter().map(count).sum::<u64>();
        assert_eq!(of_series(|second: &roundtrip::lab::load::figures::SecondFigures| second.sent), figures.sent);
        assert_eq!(of_series(|second| second.answered), figures.answered);
        assert_eq!(of_series(|second| second.planned), figures.planned);
    }
}

/// The server answers 100 requests, then none for a second, then all. Whoever came meanwhile waited, though
/// there were only eight connections to wait on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_shows_in_the_latency_of_all_that_came_due_meanwhile() {
    let over = Arc::new(watch::channel(false).0);
    let gate = Arc::clone(&over);
    let server = Server::start(move |number, _| {
        let gate = Arc::clone(&gate);
        async move {
            if number == 100 {
                tokio::time::sleep(S).await;
                gate.send_replace(true);
            } else if number > 100 {
                gate.subscribe().wait_for(|over| *over).await.expect("an end");
            }
            ok()
        }
    })
    .await;
    let report = run(plan(&server.url(), ROOT, 200.0, 2 * S)).await;
    assert_eq!((report.figures.planned, report.figures.answered), (400, 400));
    // However slow this machine is: of the 100 that came due in the half second after the 100th, none was
    // answered before the stall was over, half a second later at least.
    let waited = Duration::from_millis(490);
    assert!(report.latency.at_least(waited) >= 99, "{}", report.latency.at_least(waited));
    assert!(report.figures.latency_ms.p99 >= Some(490.0), "{:?}", report.figures.latency_ms);
    // What a closed loop would have seen: of one request a connection.
    assert!(report.service.at_least(waited) < report.latency.at_least(waited));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mix_keeps_its_proportions_and_fills_in_its_data() {
    let server = Server::start(async |_, _| ok()).await;
    let mix = "[data]\ndish = { from = 1, to = 4 }\n\
               [[request]]\nname = 'dish'\npath = '/dish/{dish}'\nweight = 3\n\
               [[request]]\nname = 'key'\nmethod = 'PUT'\npath = '/key'\nheaders = { x-key = '{uuid}' }";
    let report = run(plan(&server.url(), mix, 1_000.0, S)).await;
    let seen = server.seen.lock().expect("the log");
    let dishes = seen.lines.iter().filter(|line| line.starts_with("GET /dish/")).count();
    // A quarter of a thousand, and four standard deviations.
    assert!((695..=805).contains(&dishes), "{dishes}");
    for dish in 1..=4 {
        let line = format!("GET /dish/{dish} HTTP/1.1");
        assert!(seen.lines.iter().filter(|known| **known == line).count() > 100, "{line}");
    }
    let keys = seen.heads.iter().filter_map(|head| head.lines().find(|line| line.starts_with("x-key: ")));
    assert_eq!(keys.collect::<std::collections::BTreeSet<_>>().len(), 1_000 - dishes, "each once");
    let kinds: Vec<(&str, u64)> =
        report.figures.requests.iter().map(|kind| (kind.name.as_str(), kind.answered)).collect();
    assert_eq!(kinds, [("dish", dishes as u64), ("key", 1_000 - dishes as u64)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_status_is_counted_and_a_refusal_is_an_answer() {
    let codes = [200, 201, 302, 404, 429, 500, 503];
    let server = Server::start(move |number, _| async move { status(codes[number % 7]) }).await;
    let report = run(plan(&server.url(), ROOT, 700.0, S)).await;
    let figures = &report.figures;
    assert_eq!(figures.statuses, codes.map(|code| (code, 100)).into());
    let classes = [("2xx", 200), ("3xx", 100), ("4xx", 200), ("5xx", 200)];
    assert_eq!(figures.classes, classes.map(|(class, count)| (class.to_owned(), count)).into());
    assert_eq!((figures.ok, figures.answered, figures.failed()), (300, 700, 0));
    assert_eq!(figures.requests[0].failed, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_whole_answer_is_an_error_of_its_kind() {
    let truncated = || Say::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec());
    let cases: [(Kind, fn() -> Say); 4] = [
        (Kind::Truncated, || Say::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec())),
        (Kind::Reset, || Say::Last(Vec::new())),
        (Kind::BadAnswer, || Say::Last(b"220 mail.example ESMTP\r\n".to_vec())),
        (Kind::Timeout, || Say::Nothing),
    ];
    for (kind, say) in cases {
        let server = Server::start(move |_, _| async move { say() }).await;
        let timeout = if kind == Kind::Timeout { Duration::from_millis(100) } else { PATIENCE };
        let figures = run(Plan { timeout, ..plan(&server.url(), ROOT, 20.0, S) }).await.figures;
        assert_eq!((figures.planned, figures.answered), (20, 0), "{kind:?}");
        assert_eq!(figures.errors.keys().collect::<Vec<_>>(), [&kind.id()], "{figures:?}");
        assert!(figures.why[kind.id()].len() > 10);
        assert_eq!(figures.latency_ms.p50, None, "an error has no latency");
        assert!(figures.warnings.iter().any(|warning| warning.contains("leave out the slowest")), "{figures:?}");
    }
    // The same connection, one in two: the line is opened again.
    let server = Server::start(move |number, _| async move { if number % 2 == 0 { truncated() } else { ok() } }).await;
    let figures = run(Plan { connections: 1, ..plan(&server.url(), ROOT, 20.0, S) }).await.figures;
    assert_eq!((figures.answered, figures.errors["truncated"]), (10, 10));
    assert_eq!(figures.connections_opened, 11, "each that breaks off costs a new one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_is_an_error_of_connecting() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let figures = run(plan(&format!("http://{gone}"), ROOT, 20.0, S)).await.figures;
    assert_eq!((figures.errors["connect"], figures.connections_opened), (20, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backlog_is_bounded_and_what_does_not_fit_is_told() {
    let server = Server::start(async |_, _| Say::Nothing).await;
    let plan = Plan { connections: 2, backlog_max: 10, ..plan(&server.url(), ROOT, 100.0, 3 * S) };
    let running = start(plan).expect("it starts");
    let mut told = running.figures();
    let figures = until(&mut told, |figures| figures.planned > 50).await;
    adds_up(&figures);
    assert_eq!((figures.sent, figures.waiting, figures.in_flight), (2, 10, 2));
    running.orders().abort();
    let figures = running.report().await.expect("a report").figures;
    adds_up(&figures);
    assert_eq!((figures.sent, figures.unfinished, figures.waiting), (2, 2, 0));
    assert!(figures.warnings.iter().any(|warning| warning.contains("never sent")), "{:?}", figures.warnings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_is_stopped_ends_what_is_under_way_and_tells_what_there_is() {
    let server = Server::start(async |_, _| ok()).await;
    let running = start(plan(&server.url(), ROOT, 100.0, 3_600 * S)).expect("it starts");
    let mut told = running.figures();
    until(&mut told, |figures| figures.answered > 0).await;
    running.orders().stop();
    let figures = running.report().await.expect("a report").figures;
    adds_up(&figures);
    assert_eq!((figures.sent, figures.unfinished), (figures.answered, 0));
    assert_eq!(server.count() as u64, figures.sent);
    assert!(figures.elapsed_s < 3_600.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_nobody_waits_for_any_more_is_over() {
    let server = Server::start(async |_, _| ok()).await;
    let running = start(plan(&server.url(), ROOT, 100.0, 3_600 * S)).expect("it starts");
    let mut told = running.figures();
    drop(running);
    let ended = async { while told.changed().await.is_ok() {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("its threads end");
    assert_eq!(told.borrow().phase, Phase::Done);
}

#[tokio::test]
async fn only_this_machine_is_sent_to_unless_more_is_allowed() {
    for (url, fine) in [("http://127.0.0.9/", true), ("http://[::1]/", true), ("http://[::ffff:127.0.0.1]/", true)]
        .into_iter()
        .chain([("http://0.0.0.0/", false), ("http://192.0.2.1/", false), ("http://10.0.0.1/", false)])
    {
        let origin = |reach| Origin::new(&client(), Url::parse(url).expect("a url"), reach, false);
        let here = origin(Reach::Loopback).addresses().await;
        assert_eq!(here.as_ref().err().map(|broken| broken.kind), (!fine).then_some(Kind::NotAllowed), "{url}");
        assert!(origin(Reach::Anywhere).addresses().await.is_ok(), "{url}");
    }
}

#[tokio::test]
async fn a_plan_beyond_its_bounds_does_not_start() {
    let plan = || plan("http://127.0.0.1:1/", ROOT, 1.0, S);
    for wrong in [
        Plan { connections: 0, ..plan() },
        Plan { threads: 3, ..plan() },
        Plan { stages: Vec::new(), ..plan() },
        Plan { stages: vec![Stage::steady(-1.0, S)], ..plan() },
        Plan { stages: vec![Stage::steady(f64::NAN, S)], ..plan() },
        Plan { stages: vec![Stage::steady(1.0, 100_000 * S)], ..plan() },
        Plan { timeout: Duration::ZERO, ..plan() },
    ] {
        assert!(start(wrong).is_err());
    }
}
