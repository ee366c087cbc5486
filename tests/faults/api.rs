//! The API under faults.

use roundtrip::faults::{Place, over};
use roundtrip::settings::fault::Fault;
use serde_json::json;

use crate::back::{MENU, ORDERS, console_lives, is_of_fault, look, off, set, struck_us, until, without_caches};
use crate::harness::order_of;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_of_the_api_is_a_span_of_the_journey() {
    let house = without_caches(1).await;
    let key = "fault.api.delay";
    set(&house, key, json!({ "strength": 50, "route": MENU }));
    let (status, journey) = look(&house, MENU).await;
    assert_eq!((status, journey.summary.faults.as_slice()), (200, &[key.to_owned()][..]));
    assert!(struck_us(&journey, key) >= 50_000.0);
    assert_eq!(look(&house, "/api/v1/session").await.1.summary.faults, Vec::<String>::new());
    console_lives(&house).await;
    set(&house, key, json!({ "strength": 50, "for_s": 1 }));
    over(house.stack.settings(), Fault::ApiDelay, Place::ANYWHERE).await;
    assert_eq!(look(&house, MENU).await.1.summary.faults, Vec::<String>::new());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_that_is_withdrawn_holds_nobody_up_any_longer() {
    let house = without_caches(1).await;
    let key = "fault.api.delay";
    set(&house, key, json!({ "strength": 5_000, "route": MENU }));
    let busy = async || house.stack.instances().iter().any(|view| view.in_flight > 0);
    let withdraw = async {
        until("it is under way", busy).await;
        off(&house, key);
    };
    let ((status, journey), ()) = tokio::join!(look(&house, MENU), withdraw);
    assert_eq!((status, journey.summary.faults.as_slice()), (200, &[key.to_owned()][..]));
    assert!(struck_us(&journey, key) < 5_000_000.0, "{:?}", journey.spans);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_aimed_at_guests_strikes_no_health_check() {
    let house = without_caches(1).await;
    let key = "fault.instance.errors";
    set(&house, key, json!({ "role": "guest" }));
    is_of_fault(&house.visitor().get(MENU).await, "service", key);
    assert_eq!(house.visitor().get("/healthz").await.status, 204);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_answers_500_has_done_nothing_and_its_instances_stay_healthy() {
    let house = without_caches(1).await;
    let (key, before) = ("fault.api.errors", house.books());
    set(&house, key, json!(100));
    is_of_fault(&house.visitor().post(ORDERS, &order_of(1, 1)).await, "api", key);
    assert_eq!(house.books(), before);
    console_lives(&house).await;
    set(&house, key, json!({ "for_s": 1 }));
    over(house.stack.settings(), Fault::ApiErrors, Place::ANYWHERE).await;
    assert_eq!(house.visitor().post(ORDERS, &order_of(1, 1)).await.status, 201);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgotten_sessions_are_known_again_when_the_fault_is_over() {
    let house = without_caches(3).await;
    let (key, chef) = ("fault.api.forget_sessions", house.staff("chef").await);
    assert_eq!(chef.get("/api/v1/kitchen").await.status, 200);
    set(&house, key, json!(true));
    chef.get("/api/v1/kitchen").await.is_problem(401, "sign-in-first", Some("api"));
    console_lives(&house).await;
    set(&house, key, json!({ "for_s": 1 }));
    over(house.stack.settings(), Fault::ApiForgetSessions, Place::ANYWHERE).await;
    assert_eq!(chef.get("/api/v1/kitchen").await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_more_than_64_bytes_is_413_while_the_fault_is_on() {
    let house = without_caches(1).await;
    let (key, person) = ("fault.api.tiny_bodies", house.visitor());
    let long = json!({ "table": 4, "lines": [{ "menu_item_id": 1, "quantity": 1 }], "note": "x".repeat(64) });
    assert!(order_of(1, 1).to_string().len() <= 64);
    set(&house, key, json!({ "route": ORDERS }));
    person.post(ORDERS, &long).await.is_problem(413, "too-large", Some("api"));
    assert_eq!(person.post(ORDERS, &order_of(1, 1)).await.status, 201);
    console_lives(&house).await;
    off(&house, key);
    assert_ne!(person.post(ORDERS, &long).await.status, 413);
    house.stop().await;
}
