//! How often somebody may ask, over real sockets.

#[path = "edge/rig.rs"]
mod rig;

use std::time::Duration;

use hyper::Response;
use rig::{Rig, Upstream, body, probe_key, soon, status};
use roundtrip::edge::limit::{By, LimitRule};
use roundtrip::edge::site::{PathRule, Route, Rules, Site};
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::{SpanId, TraceId};
use roundtrip::observe::part::ClientPart;
use roundtrip::observe::span::{Context, Status, Trace};
use roundtrip::web::host::HostList;
use roundtrip::web::probe::{PROBE, Probe};
use roundtrip::web::problem::Problem;
use roundtrip::web::traceparent::TraceParent;
use serde_json::{Value, json};
use time::OffsetDateTime;

const SESSION: &str = "__Host-rt_bistro";
/// So long that nothing comes back while a test runs.
const HOUR: Duration = Duration::from_secs(3_600);

/// Routes before one upstream, each with its rule.
fn serve(rig: &Rig, rules: &[(&str, LimitRule)]) {
    let route = |(path, limit): &(&str, LimitRule)| Route {
        host: None,
        path: PathRule::Prefix((*path).to_owned()),
        pool: "pool".to_owned(),
        balancer: rig.balancer.clone(),
        rules: Rules { limit: limit.clone(), ..Rules::transparent() },
    };
    let hosts = HostList::new(&[rig::NAME.to_owned()], rig.address.port(), 443);
    rig.edge.replace(Site::new(hosts, Vec::new(), rules.iter().map(route).collect()));
}

fn own(requests: u64, by: By) -> LimitRule {
    LimitRule::Own { requests, window: HOUR, by }
}

fn set(rig: &Rig, settings: &[(&str, Value)]) {
    rig.settings.change(settings.iter().map(|(key, value)| (*key, value))).unwrap();
}

/// House limits for requests from here, too, that the shortest test uses up.
fn tighten(rig: &Rig, session_burst: u64, address_burst: u64) {
    set(
        rig,
        &[
            ("http.limit.loopback", json!(true)),
            ("http.limit.session.rate", json!(1)),
            ("http.limit.session.burst", json!(session_burst)),
            ("http.limit.address.rate", json!(1)),
            ("http.limit.address.burst", json!(address_burst)),
        ],
    );
}

fn value(answer: &str, name: &str) -> Option<String> {
    let (head, _) = answer.split_once("\r\n\r\n").unwrap();
    let mut values = head.lines().filter_map(|line| line.strip_prefix(&format!("{name}: ")));
    let value = values.next().map(str::to_owned);
    assert_eq!(values.next(), None, "{answer}");
    value
}

fn problem(answer: &str) -> Problem {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Asks until it is refused: how many were answered before, and the refusal.
async fn until_refused(rig: &Rig, path: &str, fields: &str) -> (u64, String) {
    for answered in 0..1_000 {
        let answer = rig.get(path, fields).await;
        if status(&answer) == 429 {
            return (answered, answer);
        }
        assert_eq!(status(&answer), 200, "{answer}");
    }
    panic!("never refused");
}

async fn hello() -> (Upstream, Rig) {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    (upstream, rig)
}

#[tokio::test]
async fn load_from_this_machine_is_not_counted_unless_a_setting_says_so() {
    let (_upstream, rig) = hello().await;
    tighten(&rig, 1, 1);
    set(&rig, &[("http.limit.loopback", json!(false))]);
    for _ in 0..10 {
        let answer = rig.get("/", "").await;
        assert_eq!((status(&answer), value(&answer, "ratelimit")), (200, None));
    }
    set(&rig, &[("http.limit.loopback", json!(true))]);
    until_refused(&rig, "/", "").await;
    set(&rig, &[("http.limit.enabled", json!(false))]);
    assert_eq!(status(&rig.get("/", "").await), 200);
}

#[tokio::test]
async fn each_answer_says_how_much_is_left_of_the_tightest_limit_and_names_them_all() {
    let (_upstream, rig) = hello().await;
    tighten(&rig, 100, 50);
    let answer = rig.get("/", "").await;
    assert_eq!(value(&answer, "ratelimit-policy").unwrap(), "\"address\";q=50;w=50");
    assert_eq!(value(&answer, "ratelimit").unwrap(), "\"address\";r=49;t=1");
    let answer = rig.get("/", &format!("Cookie: {SESSION}=one\r\n")).await;
    assert_eq!(value(&answer, "ratelimit-policy").unwrap(), "\"session\";q=100;w=100, \"address\";q=50;w=50");
    assert!(value(&answer, "ratelimit").unwrap().starts_with("\"address\";r=4"), "{answer}");
}

#[tokio::test]
async fn one_too_many_is_429_that_names_the_limit_and_the_time_and_reaches_no_upstream() {
    let (upstream, rig) = hello().await;
    tighten(&rig, 100, 3);
    let (answered, refusal) = until_refused(&rig, "/", "").await;
    assert!(answered >= 3);
    assert_eq!(upstream.heads().len() as u64, answered);
    let problem = problem(&refusal);
    assert_eq!((problem.hop, problem.kind.as_str()), (Some(Hop::Http), "/problems/too-many-requests"));
    assert!(problem.detail.contains("requests from this address is 3 at once and 1 in 1 s"), "{}", problem.detail);
    assert_eq!((value(&refusal, "retry-after").unwrap().as_str(), problem.retry_after_s), ("1", Some(1)));
    assert_eq!(value(&refusal, "ratelimit-policy").unwrap(), "\"address\";q=3;w=3");
    assert!(value(&refusal, "ratelimit").unwrap().starts_with("\"address\";r=0;t="), "{refusal}");
}

#[tokio::test]
async fn a_busy_session_is_refused_alone_and_takes_nothing_from_its_neighbours() {
    let (_upstream, rig) = hello().await;
    tighten(&rig, 3, 1_000);
    let (answered, refusal) = until_refused(&rig, "/", &format!("Cookie: a=b; {SESSION}=busy\r\n")).await;
    assert!(answered >= 3 && problem(&refusal).detail.contains("this session"), "{refusal}");
    assert_eq!(value(&refusal, "ratelimit-policy").unwrap(), "\"session\";q=3;w=3");
    for name in ["calm", "calmer"] {
        assert_eq!(status(&rig.get("/", &format!("Cookie: {SESSION}={name}\r\n")).await), 200, "{name}");
    }
    for _ in 0..100 {
        rig.get("/", &format!("Cookie: {SESSION}=busy\r\n")).await;
    }
    let answer = rig.get("/", "").await;
    let left = value(&answer, "ratelimit").unwrap();
    let left: u64 = left.strip_prefix("\"address\";r=").unwrap().split(';').next().unwrap().parse().unwrap();
    // At one a second, few of the hundred were let in.
    assert!(left > 900, "{answer}");
}

#[tokio::test]
async fn whoever_invents_sessions_is_counted_by_address() {
    let (_upstream, rig) = hello().await;
    tighten(&rig, 100, 5);
    let mut refused = 0;
    for number in 0..50 {
        let answer = rig.get("/", &format!("Cookie: {SESSION}={number}\r\n")).await;
        refused += u64::from(status(&answer) == 429);
    }
    assert!(refused > 0);
}

#[tokio::test]
async fn sign_ins_are_counted_from_this_machine_too_and_nothing_else_of_their_address_is() {
    let (upstream, rig) = hello().await;
    serve(&rig, &[("/session", LimitRule::SignIn)]);
    set(&rig, &[("http.limit.sign_in.rate", json!(1)), ("http.limit.sign_in.burst", json!(2))]);
    let post = |path: &'static str| {
        let rig = &rig;
        async move {
            rig.exchange(&format!(
                "POST {path} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
            ))
            .await
        }
    };
    let answer = post("/session").await;
    assert_eq!(value(&answer, "ratelimit-policy").unwrap(), "\"sign-in\";q=2;w=120");
    // However the path is spelled.
    assert_eq!(status(&post("/%73ession").await), 200);
    let refusal = post("/session").await;
    assert_eq!(status(&refusal), 429);
    assert!(problem(&refusal).detail.contains("sign-ins from this address"), "{refusal}");
    let wait: u64 = value(&refusal, "retry-after").unwrap().parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    let who = rig.get("/session", "").await;
    assert_eq!((status(&who), value(&who, "ratelimit")), (200, None));
    assert_eq!(upstream.heads().len(), 3);
}

#[tokio::test]
async fn a_route_s_own_limit_counts_by_what_it_names() {
    let (_upstream, rig) = hello().await;
    serve(
        &rig,
        &[
            ("/token", own(2, By::Token)),
            ("/session", own(2, By::Session("sid".to_owned()))),
            ("/address", own(2, By::Address)),
            ("/all", own(2, By::Route)),
        ],
    );
    for (path, fields, others, name) in [
        ("/token", "Authorization: Bearer a\r\n", "Authorization: Bearer b\r\n", "token"),
        ("/session", "Cookie: sid=a\r\n", "Cookie: sid=b\r\n", "session"),
    ] {
        let (answered, refusal) = until_refused(&rig, path, fields).await;
        assert_eq!((answered, value(&refusal, "ratelimit-policy").unwrap()), (2, format!("\"{name}\";q=2;w=3600")));
        assert!(!refusal.contains("Bearer"), "{refusal}");
        assert_eq!(status(&rig.get(path, others).await), 200, "{path}");
        // Without the field its address is counted, and not for ever anew.
        let (answered, refusal) = until_refused(&rig, path, "").await;
        assert_eq!((answered, value(&refusal, "ratelimit-policy").unwrap()), (2, "\"address\";q=2;w=3600".to_owned()));
    }
    for (path, name) in [("/address", "address"), ("/all", "route")] {
        let (answered, refusal) = until_refused(&rig, path, "").await;
        assert_eq!((answered, value(&refusal, "ratelimit-policy").unwrap()), (2, format!("\"{name}\";q=2;w=3600")));
        let wait: u64 = value(&refusal, "retry-after").unwrap().parse().unwrap();
        assert!((1_700..=1_800).contains(&wait), "{wait}");
        assert_eq!(status(&rig.get(path, "Cookie: sid=new\r\n").await), 429, "{path}");
    }
}

#[tokio::test]
async fn a_new_configuration_forgets_nobody() {
    let (_upstream, rig) = hello().await;
    serve(&rig, &[("/", own(2, By::Address))]);
    until_refused(&rig, "/", "").await;
    serve(&rig, &[("/", own(2, By::Address)), ("/other", own(2, By::Address))]);
    assert_eq!(status(&rig.get("/", "").await), 429);
    assert_eq!(status(&rig.get("/other", "").await), 200);
}

#[tokio::test]
async fn a_transparent_route_has_no_limit_and_the_upstream_s_own_words_are_kept() {
    let upstream = Upstream::start(|_, _| {
        let response = Response::builder().header("ratelimit", "\"theirs\";r=1");
        response.header("ratelimit-policy", "\"theirs\";q=9;w=9").body(body("hi")).unwrap()
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    tighten(&rig, 1, 1);
    serve(&rig, &[("/", Rules::transparent().limit), ("/own", own(5, By::Address))]);
    for path in ["/", "/", "/own"] {
        let answer = rig.get(path, "").await;
        assert_eq!(status(&answer), 200);
        assert_eq!(value(&answer, "ratelimit").unwrap(), "\"theirs\";r=1");
        assert_eq!(value(&answer, "ratelimit-policy").unwrap(), "\"theirs\";q=9;w=9");
    }
    assert_eq!(Rules::strict().limit, LimitRule::House);
}

#[tokio::test]
async fn an_answer_of_our_own_says_what_is_left_too() {
    let rig = Rig::with(&[rig::nobody()], rig::Options::default());
    serve(&rig, &[("/", own(2, By::Address))]);
    let answer = rig.get("/", "").await;
    assert_eq!((status(&answer), value(&answer, "ratelimit").unwrap().as_str()), (503, "\"address\";r=1;t=1800"));
}

#[tokio::test]
async fn a_refusal_is_a_journey_that_turns_at_the_edge_and_shows_what_was_counted() {
    let (_upstream, rig) = hello().await;
    serve(&rig, &[("/", own(1, By::Token))]);
    let token = "Authorization: Bearer secret\r\n";
    assert_eq!(status(&rig.get("/", token).await), 200);

    let (trace_id, claim) = (TraceId::random(), SpanId::random());
    let expires_unix_s = OffsetDateTime::now_utc().unix_timestamp() as u64 + 30;
    let signed = Probe { trace_id, key: claim, bypass_caches: false, expires_unix_s }.sign(&probe_key());
    let context = Context { trace_id, parent: None, key: claim, detail: true, bypass_caches: false };
    let (sent_at, root) = (OffsetDateTime::now_utc(), Trace::start(context, claim, Hop::Client, "Ask", Tick::now()));
    let parent = TraceParent { trace_id, parent: claim, sampled: true };
    let answer = rig.get("/", &format!("{token}traceparent: {parent}\r\n{PROBE}: {signed}\r\n")).await;
    assert_eq!(status(&answer), 429);
    let trace = root.trace().clone();
    root.end();
    let part = ClientPart {
        trace_id,
        key: claim,
        sent_at,
        method: "GET".into(),
        path: "/".into(),
        sent_as: None,
        fresh: true,
        bypass_caches: false,
        status: 429,
        request_bytes: 0,
        response_bytes: 0,
        spans: trace.finish(),
    };
    let journey = soon(rig.recorder.finish(part)).await;

    assert_eq!((journey.summary.status, journey.summary.turn), (429, Hop::Http));
    let span = journey.spans.iter().find(|span| span.name == "Count against the limits").unwrap();
    assert_eq!((span.hop, span.status), (Hop::Http, Status::Error));
    let shown = |key: &str| span.attributes[&format!("roundtrip.http.limit.{key}")].clone();
    assert_eq!([shown("key"), shown("left"), shown("burst")], [json!("token"), json!(0), json!(1)]);
    assert!(!serde_json::to_string(&journey.spans).unwrap().contains("secret"));
}

#[tokio::test]
async fn no_spelling_of_a_path_slips_past_its_rule() {
    let (_upstream, rig) = hello().await;
    serve(&rig, &[("/", LimitRule::Off), ("/api", own(1, By::Address))]);
    until_refused(&rig, "/api", "").await;
    for path in
        ["//api", "/api//x", "/./api", "/x/../api", "/x/%2e%2E/api", "/%61pi", "/../api", "/api/x%2F..%2F..%2Fy"]
    {
        assert_eq!(status(&rig.get(path, "").await), 429, "{path}");
    }
    for path in ["/apix", "/api/../x", "/x/api"] {
        assert_eq!(status(&rig.get(path, "").await), 200, "{path}");
    }
}

#[tokio::test]
async fn what_a_route_tells_its_upstream_changes_nothing_about_who_asks() {
    let (upstream, rig) = hello().await;
    let route = Route {
        host: None,
        path: PathRule::Prefix("/".to_owned()),
        pool: "pool".to_owned(),
        balancer: rig.balancer.clone(),
        rules: Rules {
            limit: own(1, By::Token),
            request_headers: vec![("authorization".parse().unwrap(), "ours".parse().unwrap())],
            ..Rules::transparent()
        },
    };
    let hosts = HostList::new(&[rig::NAME.to_owned()], rig.address.port(), 443);
    rig.edge.replace(Site::new(hosts, Vec::new(), vec![route]));
    for token in ["one", "two"] {
        assert_eq!(status(&rig.get("/", &format!("Authorization: {token}\r\n")).await), 200, "{token}");
    }
    assert!(upstream.heads().iter().all(|head| head.headers["authorization"] == "ours"));
}

#[tokio::test]
async fn inventing_sessions_or_tokens_is_no_way_around_a_limit() {
    for (by, field) in [(By::Session("id".to_owned()), "Cookie: id="), (By::Token, "Authorization: ")] {
        let (_upstream, rig) = hello().await;
        serve(&rig, &[("/", own(1, by))]);
        let mut answered = 0;
        while status(&rig.get("/", &format!("{field}{answered}\r\n")).await) == 200 {
            answered += 1;
            assert!(answered <= 100, "never refused");
        }
        assert!(answered > 10, "a class may share an address: {answered}");
    }
}
