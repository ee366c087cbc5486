//! Checks, ejection, the circuit breaker, and what is told about them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use hyper::Response;
use roundtrip::balancer::events::Event;
use roundtrip::balancer::failure::Failure;
use roundtrip::balancer::target::Target;
use roundtrip::balancer::{Balancer, UpstreamConfig};
use roundtrip::policy::breaker;
use roundtrip::policy::health::State;
use roundtrip::settings::runtime::Settings;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::rig::{Rig, SECRET, Upstream, body, nobody, soon, status, until};
use crate::{caller, detailed, forward, request, set};

/// An upstream whose answers have the status that is stored.
async fn of_status(first: u16) -> (Upstream, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(first));
    let said = Arc::clone(&status);
    let answer = move |_: &_, _| Response::builder().status(said.load(Ordering::SeqCst)).body(body("")).unwrap();
    (Upstream::start(answer).await, status)
}

/// The changes of one upstream, and the last reason.
fn told(events: &[Event], id: &str) -> (Vec<String>, String) {
    let of = || events.iter().filter(|event| event.upstream == id);
    let last = of().next_back().map(|event| event.reason.clone()).unwrap_or_default();
    (of().map(|event| format!("{} > {}", event.from, event.to)).collect(), last)
}

#[tokio::test]
async fn five_errors_in_a_row_eject_and_one_good_probe_brings_back() {
    let (good, (bad, status)) = (Upstream::saying("good").await, of_status(500).await);
    let rig = Rig::before(&[good.address, bad.address]).await;
    set(&rig.settings, "balancer.policy", json!("round_robin"));
    set(&rig.settings, "balancer.ejection.base", json!(300));
    let mut changes = rig.balancer.changes();
    let ask = async || soon(forward(&rig.balancer, request(), &caller(), &detailed())).await.unwrap();
    for _ in 0..10 {
        ask().await;
    }
    let view = &rig.balancer.view()[1];
    assert_eq!((view.state, view.reason.as_deref()), (State::Ejected, Some("it answered 500")));
    assert!(view.ejected_for_ms.is_some_and(|left| left <= 300));
    soon(changes.changed()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(ask().await.upstream, "i1");
    }
    // Its probe fails: it is out again, and for longer.
    until(|| rig.balancer.view()[1].state == State::Probing).await;
    while bad.heads().len() < 6 {
        ask().await;
    }
    let view = &rig.balancer.view()[1];
    assert!(view.state == State::Ejected && view.ejected_for_ms.is_some_and(|left| left > 300), "{view:?}");
    status.store(200, Ordering::SeqCst);
    until(|| rig.balancer.view()[1].state == State::Probing).await;
    while ask().await.upstream != "i2" {}
    let (changes, reason) = told(&rig.balancer.events(), "i2");
    assert_eq!(
        changes,
        [
            "starting > healthy",
            "healthy > ejected",
            "ejected > probing",
            "probing > ejected",
            "ejected > probing",
            "probing > healthy"
        ]
    );
    assert_eq!(reason, "it answered well");
}

#[tokio::test]
async fn while_one_probe_is_under_way_nobody_else_goes_there() {
    let (release, held) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicBool::new(false)));
    let (good, bad) = (Upstream::saying("good").await, {
        let (release, held) = (Arc::clone(&release), Arc::clone(&held));
        crate::rig::raw_upstream(move |mut stream| {
            let (release, held) = (Arc::clone(&release), Arc::clone(&held));
            async move {
                let well = held.load(Ordering::SeqCst);
                if well {
                    release.notified().await;
                }
                let status = if well { "200 OK" } else { "500 Internal Server Error" };
                let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
            }
        })
        .await
    });
    let rig = Rig::before(&[good.address, bad]).await;
    set(&rig.settings, "balancer.policy", json!("round_robin"));
    set(&rig.settings, "balancer.ejection.base", json!(100));
    let ask = async || soon(forward(&rig.balancer, request(), &caller(), &detailed())).await.unwrap();
    for _ in 0..10 {
        ask().await;
    }
    held.store(true, Ordering::SeqCst);
    until(|| rig.balancer.view()[1].state == State::Probing).await;
    let probes = [rig.balancer.clone(), rig.balancer.clone()].map(|balancer| {
        tokio::spawn(async move { forward(&balancer, request(), &caller(), &detailed()).await.unwrap().upstream })
    });
    until(|| rig.balancer.view()[1].in_flight == 1).await;
    for _ in 0..6 {
        assert_eq!(ask().await.upstream, "i1");
    }
    assert_eq!(rig.balancer.view()[1].state, State::Probing);
    release.notify_one();
    let mut asked = Vec::new();
    for probe in probes {
        asked.push(soon(probe).await.unwrap());
    }
    asked.sort();
    assert_eq!(asked, ["i1", "i2"]);
    assert_eq!(rig.balancer.view()[1].state, State::Healthy);
}

#[tokio::test]
async fn the_last_one_is_never_ejected() {
    let (bad, _) = of_status(500).await;
    let rig = Rig::before(&[bad.address]).await;
    set(&rig.settings, "balancer.breaker.mode", json!("off"));
    for _ in 0..12 {
        assert_eq!(status(&rig.get("/", "").await), 500);
    }
    assert_eq!(rig.balancer.view()[0].state, State::Healthy);
}

#[tokio::test]
async fn the_breaker_opens_on_half_failures_and_closes_after_three_good_trials() {
    let (upstream, said) = of_status(503).await;
    let rig = Rig::before(&[upstream.address]).await;
    set(&rig.settings, "balancer.breaker.open", json!(100));
    for _ in 0..10 {
        assert_eq!(status(&rig.get("/", "").await), 503);
    }
    assert_eq!(rig.balancer.view()[0].breaker, breaker::State::Open);
    set(&rig.settings, "balancer.breaker.mode", json!("forced_open"));
    let refused = rig.get("/", "").await;
    assert!(refused.contains("/problems/circuit-open") && refused.contains("\"hop\":\"balancer\""), "{refused}");
    assert!(refused.to_ascii_lowercase().contains("retry-after: 1"), "{refused}");
    assert_eq!(upstream.heads().len(), 10, "it was not asked");
    set(&rig.settings, "balancer.breaker.mode", json!("on"));
    said.store(200, Ordering::SeqCst);
    until(|| rig.balancer.view()[0].breaker == breaker::State::HalfOpen).await;
    for _ in 0..3 {
        assert_eq!(status(&rig.get("/", "").await), 200);
    }
    assert_eq!(rig.balancer.view()[0].breaker, breaker::State::Closed);
    let (changes, _) = told(&rig.balancer.events(), "i1");
    assert!(changes.contains(&"breaker closed > breaker open".to_owned()), "{changes:?}");
    assert_eq!(changes.last().map(String::as_str), Some("breaker half_open > breaker closed"));
}

#[tokio::test]
async fn a_failed_check_says_why() {
    let (well, path) = (Arc::new(AtomicBool::new(true)), "/alive");
    let asked = Arc::clone(&well);
    let upstream = Upstream::start(move |_, _| {
        Response::builder().status(if asked.load(Ordering::SeqCst) { 204 } else { 500 }).body(body("")).unwrap()
    })
    .await;
    let settings = Settings::default();
    set(&settings, "balancer.health.interval", json!(100));
    set(&settings, "balancer.health.fall", json!(1));
    let config = UpstreamConfig { health_path: Some(path.to_owned()), ..UpstreamConfig::new("i1", upstream.address) };
    let balancer = Balancer::new(vec![config], settings, SECRET.to_owned());
    soon(balancer.ready()).await;
    well.store(false, Ordering::SeqCst);
    until(|| balancer.view()[0].state == State::Unhealthy).await;
    assert_eq!(balancer.view()[0].reason.as_deref(), Some("its health check failed: /alive answered 500"));
    let hosts: Vec<_> = upstream.heads().iter().map(|head| head.headers["host"].clone()).collect();
    assert!(hosts.iter().all(|host| host == &upstream.address.to_string()));
}

#[tokio::test]
async fn ready_is_a_first_look_at_all_whatever_it_finds() {
    let none = Balancer::new(Vec::new(), Settings::default(), SECRET.to_owned());
    soon(none.ready()).await;
    let rig = Rig::before(&[nobody(), nobody()]).await;
    assert!(rig.balancer.view().iter().all(|view| view.state == State::Unhealthy));
    let answer = rig.get("/", "").await;
    assert!(status(&answer) == 503 && answer.contains("\"hop\":\"balancer\""), "{answer}");
}

#[tokio::test]
async fn a_name_is_resolved_and_its_addresses_are_tried_in_turn() {
    // Listens on 127.0.0.1 alone, though localhost may lead to ::1 first.
    let upstream = Upstream::saying("hello").await;
    let config = UpstreamConfig::new("i1", Target::plain("localhost", upstream.address.port()));
    let balancer = Balancer::new(vec![config], Settings::default(), SECRET.to_owned());
    soon(balancer.ready()).await;
    let answer = soon(forward(&balancer, request(), &caller(), &detailed())).await.unwrap();
    assert_eq!(answer.head.status, 200);
    let view = &balancer.view()[0];
    assert_eq!(view.target, format!("localhost:{}", upstream.address.port()));
    assert!(view.address.is_some());
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_unhealthy_and_named() {
    let config = UpstreamConfig::new("i1", Target::plain("nothing.invalid", 80));
    let balancer = Balancer::new(vec![config], Settings::default(), SECRET.to_owned());
    until(|| balancer.view()[0].state == State::Unhealthy).await;
    let view = &balancer.view()[0];
    assert!(view.reason.as_deref().is_some_and(|reason| reason.contains("nothing.invalid")), "{view:?}");
    assert_eq!(view.address, None);
    let failure = soon(forward(&balancer, request(), &caller(), &detailed())).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable { .. }));
    let problem = failure.problem();
    assert!(problem.status == 503 && problem.detail.contains("nothing.invalid"), "{problem:?}");
}

#[tokio::test]
async fn while_one_is_on_trial_an_older_request_decides_nothing() {
    let (release, asked) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicU16::new(0)));
    let bad = {
        let (release, asked) = (Arc::clone(&release), Arc::clone(&asked));
        crate::rig::raw_upstream(move |mut stream| {
            let (release, number) = (Arc::clone(&release), asked.fetch_add(1, Ordering::SeqCst));
            async move {
                if number == 0 {
                    release.notified().await;
                }
                let status = if number == 0 { "200 OK" } else { "500 Internal Server Error" };
                let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
            }
        })
        .await
    };
    let good = Upstream::saying("good").await;
    let rig = Rig::before(&[good.address, bad]).await;
    set(&rig.settings, "balancer.policy", json!("round_robin"));
    set(&rig.settings, "balancer.ejection.base", json!(100));
    rig.balancer.set_draining("i1", true);
    let balancer = rig.balancer.clone();
    let older = tokio::spawn(async move { forward(&balancer, request(), &caller(), &detailed()).await.unwrap() });
    until(|| asked.load(Ordering::SeqCst) == 1).await;
    rig.balancer.set_draining("i1", false);
    for _ in 0..10 {
        soon(forward(&rig.balancer, request(), &caller(), &detailed())).await.unwrap();
    }
    until(|| rig.balancer.view()[1].state == State::Probing).await;
    release.notify_one();
    assert_eq!(soon(older).await.unwrap().upstream, "i2");
    until(|| rig.balancer.view()[1].in_flight == 0).await;
    assert_eq!(rig.balancer.view()[1].state, State::Probing);
}

#[tokio::test]
async fn one_that_gets_no_requests_does_not_count_as_another_when_the_last_one_fails() {
    let ((idle, _), (bad, _)) = (of_status(500).await, of_status(500).await);
    let rig = Rig::before(&[idle.address, bad.address]).await;
    let ask = async || soon(forward(&rig.balancer, request(), &caller(), &detailed())).await.unwrap().upstream;
    set(&rig.settings, "balancer.ejection.failures", json!(1));
    rig.balancer.set_weight("i1", 0);
    assert_eq!(ask().await, "i2");
    assert_eq!(rig.balancer.view()[1].state, State::Healthy, "the other has no weight");
    rig.balancer.set_weight("i1", 1);
    rig.balancer.set_draining("i2", true);
    set(&rig.settings, "balancer.breaker.window", json!(1));
    set(&rig.settings, "balancer.breaker.open", json!(60_000));
    assert_eq!(ask().await, "i1");
    assert_eq!(rig.balancer.view()[0].breaker, breaker::State::Open);
    rig.balancer.set_draining("i2", false);
    assert_eq!(ask().await, "i2");
    assert_eq!(rig.balancer.view()[1].state, State::Healthy, "the other's breaker is open");
}
