//! Logs: one line each, whoever wrote it, with the trace it belongs to; in memory, on standard error, by command.
#![cfg(unix)]

mod harness;

#[path = "cli/rig.rs"]
mod rig;

use std::sync::Once;

use harness::people::{Ask, Owner};
use harness::probes::{outgoing, probe};
use harness::{House, PATIENCE};
use rig::Place;
use roundtrip::observe::log::{self, LogOptions};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Ends a line, moves the cursor, and closes the quotes.
const FORGED: &[u8] = b"x\" 200 1 \"-\" \"\x9b2J\xc2\x85\xe2\x80\xa8127.0.0.1 - - [now] \"GET /forged\ty";

/// The process has one logger.
fn with_a_logger() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let options = LogOptions { filter: Some("off".to_owned()), ..LogOptions::default() };
        log::install(&options).expect("the only one");
    });
}

async fn lines(owner: &Owner, query: &str) -> Vec<Value> {
    let reply = owner.get(&format!("/api/log?{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["lines"].as_array().expect("lines").clone()
}

/// Sends a request as bytes, to the house's app, and reads its answer.
async fn raw(house: &House, target: &str, agent: &[u8]) -> String {
    let mut socket = house.sealed(house.stack.app()).await;
    let authority = house.stack.app();
    let head = format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nUser-Agent: ");
    socket.write_all(&[head.as_bytes(), agent, b"\r\n\r\n"].concat()).await.expect("is sent");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_has_a_line_that_leads_to_its_journey() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    let (_, journey) = probe(&house, outgoing(&house, "GET", "/api/v1/menu?secret=canary", None)).await;
    let trace_id = journey.summary.trace_id.to_string();
    let found = lines(&owner, &format!("q={trace_id}")).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let line = &found[0];
    assert_eq!((&line["hop"], &line["status"], &line["level"]), (&"http".into(), &200.into(), &"info".into()));
    assert_eq!((&line["trace_id"], &line["instance"]), (&json!(trace_id), &"i1".into()));
    assert!(line["text"].as_str().is_some_and(|text| text.starts_with("GET /api/v1/menu, ")), "{line}");
    assert!(line["us"].as_f64().is_some_and(|us| us > 0.0) && line["one_in"] == 1, "{line}");
    assert!(!line.to_string().contains("canary"), "a query may carry a secret: {line}");
    assert_eq!(owner.get(&format!("/api/journeys/{trace_id}")).await.json()["status"], 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_says_whether_its_trace_is_kept() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    // What is slow is learnt from some hundred requests; before that each is among the slowest.
    for _ in 0..400 {
        house.visitor().get("/healthz").await;
    }
    house.visitor().get("/api/v1/nothing").await;
    let found = lines(&owner, "hop=http").await;
    let kept = house.stack.recorder().kept_ids();
    assert!((1..401).contains(&kept.len()), "{} of them are kept", kept.len());
    for line in found {
        let id = line["trace_id"].as_str().expect("an id").parse().expect("an id");
        assert_eq!(line["kept"], kept.contains(&id), "{line}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_writes_stays_within_its_line() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    let answer = raw(&house, "/api/v1/%0d%0a127.0.0.1\"forged", FORGED).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    let found = lines(&owner, "q=forged").await;
    assert_eq!(found.len(), 1, "{found:?}");
    let text = found[0]["text"].as_str().expect("a text");
    assert!(!text.contains(|c: char| c.is_control() || c == '\u{2028}'), "{text:?}");
    assert!(text.contains("%0d%0a") && text.contains("\\\""), "{text}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_and_its_requests_are_one_log_and_who_follows_misses_nothing() {
    with_a_logger();
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    house.visitor().get("/healthz").await;
    let before = owner.get("/api/log?limit=1").await.json()["last"].as_u64().expect("a number");
    assert_eq!(owner.patch("/api/settings", &json!({ "balancer.policy": "round_robin" })).await.status, 200);
    house.visitor().get("/api/v1/nothing").await;

    let after = lines(&owner, &format!("after={before}&limit=2000")).await;
    let said = |word: &str| after.iter().position(|line| line["text"].as_str().is_some_and(|text| text.contains(word)));
    let (changed, asked) =
        (said("balancer.policy").expect("the change"), said("/api/v1/nothing").expect("the request"));
    assert!(changed < asked, "{after:?}");
    assert_eq!(after[changed]["hop"], Value::Null, "said above the hops: {}", after[changed]);
    let numbers: Vec<u64> = after.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    let hop = format!("after={before}&hop=http&q=nothing");
    assert_eq!(lines(&owner, &hop).await.len(), 1);
    assert_eq!(lines(&owner, &format!("{hop}&level=warn")).await, [] as [Value; 0]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_asks_for_it_is_told_each_line_and_no_other_page_is() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    let authority = owner.origin().trim_start_matches("https://").to_owned();
    let follow = async |path: &str| {
        let mut socket = house.sealed(house.console.address()).await;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nCookie: {}\r\n\r\n", owner.cookies());
        socket.write_all(head.as_bytes()).await.expect("is sent");
        socket
    };
    let (mut with, mut without) = (follow("/api/events?log=1").await, follow("/api/events").await);
    let read_until = async |socket: &mut harness::sealed::Sealed, text: &str| {
        let mut seen = Vec::new();
        let read = async {
            while !String::from_utf8_lossy(&seen).contains(text) {
                assert!(socket.read_buf(&mut seen).await.expect("bytes") > 0, "the stream ended");
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("it is told");
        String::from_utf8_lossy(&seen).into_owned()
    };
    for socket in [&mut with, &mut without] {
        read_until(socket, "event: stack").await;
    }
    house.visitor().get("/api/v1/nothing").await;
    let told = read_until(&mut with, "/api/v1/nothing, ").await;
    assert!(told.contains("event: log\ndata: {"), "{told}");
    // Its journey is told after its line was written.
    let untold = read_until(&mut without, "event: stack").await;
    assert!(!untold.contains("event: log"), "{untold}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_makes_no_sense_is_refused_and_strangers_read_no_log() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    let reply = owner.get("/api/log?level=loud&after=x&hop=a&limit=99999").await;
    reply.is_problem(400, "bad-query", None);
    assert_eq!(reply.pointers(), ["/after", "/hop", "/level", "/limit"]);
    house.stranger().get("/api/log").await.is_problem(401, "sign-in-first", None);
    let by_nobody = house.stranger().post("/api/control/log", &json!({})).await;
    by_nobody.is_problem(401, "commands-only", None);
    house.stop().await;
}

/// Requests a page of a server with a forged user agent and returns what it wrote on standard error.
async fn errors_of(more: &[&str]) -> String {
    let place = Place::new();
    let server = place.serve(more);
    let forged = Ask::new("GET", "/api/v1/nothing?token=canary").header("user-agent", "a\" \"b\tc");
    assert_eq!(server.visitor().send(forged).await.status, 404);
    server.signal(Signal::TERM);
    server.ended().succeeded().err
}

#[tokio::test]
async fn in_json_each_line_on_standard_error_is_an_object() {
    let err = errors_of(&["--log-format", "json", "--log-level", "info", "--access-log", "json"]).await;
    let lines: Vec<Value> = err.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in &lines {
        for member in ["ts", "level", "target"] {
            assert!(line[member].is_string(), "{member} of {line}");
        }
    }
    let access = lines.iter().find(|line| line["target"] == "access").expect("the request");
    assert_eq!((&access["path"], &access["status"]), (&"/api/v1/nothing".into(), &404.into()));
    assert_eq!(access["user_agent"], "a\" \"b\tc");
    assert!(access["upstream"].as_str().is_some_and(|id| ["i1", "i2", "i3"].contains(&id)), "{access}");
    assert!(access["trace_id"].as_str().is_some_and(|id| id.len() == 32));
    assert!(lines.iter().any(|line| line["target"] != "access" && line["msg"].is_string()), "{err}");
    assert!(!err.contains("canary"));
}

#[tokio::test]
async fn the_access_log_is_in_the_common_form_and_off_unless_asked_for() {
    assert_eq!(errors_of(&[]).await, "");
    let err = errors_of(&["--access-log", "common"]).await;
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.starts_with("127.0.0.1 - - ["), "{err}");
    assert!(err.contains("] \"GET /api/v1/nothing HTTP/1.1\" 404 "), "{err}");
    assert!(err.contains(" \"-\" \"a\\\" \\\"b\\tc\" trace_id="), "{err}");
}

#[tokio::test]
async fn commands_read_the_log_and_the_traces_of_the_running_server() {
    let place = Place::new();
    let server = place.serve(&[]);
    assert_eq!(server.visitor().get("/api/v1/nothing").await.status, 404);
    let logged = place.run(&["logs", "--json", "--q", "/api/v1/nothing"]).succeeded();
    let line: Value = serde_json::from_str(logged.out.trim_end()).expect("one line");
    let trace_id = line["trace_id"].as_str().expect("an id").to_owned();
    let text = place.run(&["logs", "--hop", "http"]).succeeded().out;
    assert!(text.contains("404 GET /api/v1/nothing, ") && text.contains(&trace_id), "{text}");

    let traces = place.run(&["traces", "--status", "4xx", "--json"]).succeeded().out;
    let journey: Value = serde_json::from_str(traces.trim_end()).expect("one journey");
    assert_eq!((&journey["trace_id"], &journey["kept"]), (&json!(trace_id), &"refused".into()));
    let text = place.run(&["traces", "--status", "404"]).succeeded().out;
    assert!(text.contains(&trace_id) && text.contains("GET /api/v1/nothing  refused"), "{text}");
    assert!(!place.run(&["traces", "--as", "chef"]).succeeded().out.contains(&trace_id), "no chef sent it");
    place.run(&["traces", "--hop", "pantry"]).refused("One of client, dns");
    server.stop();
}

#[test]
fn a_level_that_is_none_is_refused() {
    let place = Place::new();
    place.run(&["serve", "--log-level", "balancer=loud"]).refused("log-level is 'balancer=loud'");
    place.run(&["serve", "--otlp", "collector:4318"]).refused("otlp: ");
}
