//! The live series.

use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::people::Owner;
use crate::harness::{House, PATIENCE};

async fn window(owner: &Owner, seconds: u64) -> Value {
    let reply = owner.get(&format!("/api/live?window={seconds}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// Asks until it holds, as long as patience lasts.
async fn until(owner: &Owner, holds: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let told = window(owner, 60).await;
        if holds(&told) {
            return told;
        }
        assert!(began.elapsed() < PATIENCE, "{told}");
        tokio::task::yield_now().await;
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().filter_map(Value::as_f64).collect()
}

/// Requests in all steps.
fn counted(told: &Value) -> u64 {
    let rows = told["heat"]["counts"].as_array().expect("rows");
    rows.iter().flat_map(numbers).sum::<f64>() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_came_percentiles_are_null_and_not_zero() {
    let house = House::open().await;
    let owner = house.owner().await;
    let told = until(&owner, |told| told["series"]["at_ms"].as_array().is_some_and(|steps| !steps.is_empty())).await;
    let series = &told["series"];
    let steps = series["at_ms"].as_array().expect("steps").len();
    for column in ["rate", "errors", "p50_ms", "p99_ms", "hits", "instances"] {
        assert_eq!(series[column].as_array().map(Vec::len), Some(steps), "{column}: {told}");
    }
    assert!(series["p50_ms"].as_array().is_some_and(|all| all.iter().all(Value::is_null)), "{told}");
    assert!(series["hits"].as_array().is_some_and(|all| all.iter().all(Value::is_null)), "{told}");
    assert!(numbers(&series["rate"]).iter().all(|rate| *rate == 0.0), "{told}");
    assert_eq!(numbers(&series["instances"]).last(), Some(&3.0), "{told}");
    assert!(told["sampling"].is_null(), "{told}");
    let hops: Vec<_> = told["saturation"].as_array().expect("hops").iter().map(|hop| hop["hop"].clone()).collect();
    assert_eq!(hops, ["client", "dns", "tls", "http", "balancer", "api", "service", "data"]);
    for hop in told["saturation"].as_array().expect("hops") {
        let share = hop["share"].as_f64().expect("a share");
        assert!((0.0..=1.0).contains(&share) && hop["text"].as_str().is_some_and(|text| !text.is_empty()), "{hop}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_in_it_with_its_duration_and_where_it_went() {
    let house = House::open().await;
    house.edge_keeps_nothing();
    let owner = house.owner().await;
    until(&owner, |told| told["series"]["at_ms"].as_array().is_some_and(|steps| !steps.is_empty())).await;
    let visitor = house.visitor();
    for _ in 0..40 {
        assert_eq!(visitor.get("/api/v1/menu/1").await.status, 200);
    }
    let told = until(&owner, |told| counted(told) >= 40).await;
    assert_eq!(counted(&told), 40, "{told}");
    let percentiles = numbers(&told["series"]["p99_ms"]);
    assert!(!percentiles.is_empty() && percentiles.iter().all(|ms| *ms > 0.0 && *ms < 20_000.0), "{told}");
    // After the first, each of them was found in an instance's cache.
    assert!(numbers(&told["series"]["hits"]).iter().any(|share| *share > 0.0), "{told}");
    let instances = told["instances"].as_array().expect("instances");
    assert_eq!(instances.len(), 3, "{told}");
    assert!(instances.iter().any(|one| one["rate"].as_f64() > Some(0.0) && one["p50_ms"].is_f64()), "{told}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_nobody_offers_is_refused() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    for wrong in ["61", "0", "-1", "x", "99999999999999999999"] {
        owner.get(&format!("/api/live?window={wrong}")).await.is_problem(400, "bad-query", None);
    }
    assert_eq!(window(&owner, 3_600).await["step_s"], 24);
    house.stranger().get("/api/live").await.is_problem(401, "sign-in-first", None);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_second_is_told_to_the_pages_that_listen() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    let mut stream = house.sealed(house.console.address()).await;
    let authority = owner.origin().trim_start_matches("https://").to_owned();
    let head = format!("GET /api/events HTTP/1.1\r\nHost: {authority}\r\nCookie: {}\r\n\r\n", owner.cookies());
    stream.write_all(head.as_bytes()).await.expect("is sent");
    let (mut text, mut bytes) = (String::new(), [0; 8192]);
    let told = async {
        while text.matches("event: live\ndata: {").count() < 2 {
            let count = stream.read(&mut bytes).await.expect("is read");
            assert_ne!(count, 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await;
    assert!(told.is_ok(), "two seconds are told in: {text}");
    house.stop().await;
}
