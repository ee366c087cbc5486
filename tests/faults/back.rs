//! What the tests of the back half have in common.

use std::time::Duration;

use roundtrip::observe::journey::Journey;
use serde_json::{Value, json};

use crate::harness::probes::{outgoing, probe};
use crate::harness::reply::Reply;
use crate::harness::{House, PATIENCE};

pub const MENU: &str = "/api/v1/menu";
pub const ORDERS: &str = "/api/v1/orders";

/// Switches a fault on or off, or changes a setting.
#[track_caller]
pub fn set(house: &House, key: &str, value: Value) {
    house.stack.settings().change([(key, &value)]).expect("it fits");
}

#[track_caller]
pub fn off(house: &House, key: &str) {
    set(house, key, json!(false));
}

/// Every request goes all the way: neither the edge nor the instances remember the menu.
pub async fn without_caches(instances: usize) -> House {
    let house = if instances == 1 { House::with_one_instance().await } else { House::open().await };
    house.edge_keeps_nothing();
    set(&house, "data.cache.mode", json!("off"));
    house
}

/// Waits for what must come. Looks often: nobody tells a test.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let come = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, come).await.is_ok(), "not so: {what}");
}

/// The console answers, whatever is broken: from its own database, and with what it knows of the stack.
pub async fn console_lives(house: &House) {
    let answer = tokio::time::timeout(PATIENCE, house.stranger().get("/api/session")).await;
    let status = answer.expect("the console answers").status;
    assert!(status < 500, "{status}");
    house.stack.counts().await.expect("the control plane reads the data");
}

/// A probe of `GET path`, and what the journey says of it.
pub async fn look(house: &House, path: &str) -> (u16, std::sync::Arc<Journey>) {
    let (answer, journey) = probe(house, outgoing(house, "GET", path, None)).await;
    (answer.status, journey)
}

/// Microseconds of the spans that the fault is marked on.
pub fn struck_us(journey: &Journey, key: &str) -> f64 {
    journey.spans.iter().filter(|span| span.fault.as_deref() == Some(key)).map(|span| span.duration_us).sum()
}

/// The problem of a fault that answers 500.
#[track_caller]
pub fn is_of_fault(reply: &Reply, hop: &str, key: &str) {
    let detail = reply.is_problem(500, "fault", Some(hop))["detail"].to_string();
    assert!(detail.contains(key), "{detail}");
}
