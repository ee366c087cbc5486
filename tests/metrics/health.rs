//! Alive and ready.

use serde_json::{Value, json};

use crate::harness::House;
use crate::harness::people::Person;

fn checks(reasons: &Value) -> Vec<&str> {
    reasons.as_array().expect("reasons").iter().filter_map(|reason| reason["check"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_is_alive_and_ready_without_anybody_signed_in() {
    let house = House::open().await;
    let stranger = house.stranger();
    assert_eq!(stranger.get("/healthz").await.json(), json!({ "alive": true }));
    let ready = stranger.get("/readyz").await;
    assert_eq!((ready.status, ready.json()), (200, json!({ "ready": true, "reasons": [] })));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_instance_it_is_alive_and_says_why_it_is_not_ready() {
    let house = House::with_one_instance().await;
    assert!(house.stack.kill_instance("i1").await);
    let ready = house.stranger().get("/readyz").await;
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert_eq!(checks(&ready.json()["reasons"]), ["instances"]);
    assert_eq!(house.stranger().get("/healthz").await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_that_was_stopped_is_not_ready_though_the_console_still_answers() {
    let house = House::with_one_instance().await;
    house.stack.stop(std::time::Duration::from_secs(5)).await.expect("an orderly stop");
    // By its address: nobody resolves its name any more.
    let origin = format!("https://127.0.0.1:{}", house.console.address().port());
    let ready = Person::at(house.outside_client(), origin).get("/readyz").await;
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert!(checks(&ready.json()["reasons"]).contains(&"stack"), "{}", ready.text());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_says_whether_it_is_ready() {
    let house = House::with_one_instance().await;
    let ready = house.visitor().get("/readyz").await;
    assert_eq!((ready.status, ready.json()), (200, json!({ "ready": true, "reasons": [] })));
    house.stop().await;
}
