//! The outside world under faults: what it does to an order that needs an express delivery.

use roundtrip::faults::{Place, over};
use roundtrip::settings::fault::Fault;
use serde_json::json;

use crate::back::{ORDERS, console_lives, set};
use crate::harness::{House, audit, order_of};

const JUICE: i64 = 39;
const ORANGES: i64 = 16;

/// The pantry has no oranges: each glass of juice needs an express delivery.
fn without_oranges(house: &House) {
    house.kitchen_rests();
    for (key, value) in [("breaker.mode", json!("off")), ("attempts", json!(2))] {
        set(house, &format!("service.supply.{key}"), value);
    }
    let database = rusqlite::Connection::open(house.folder().join("bistro.db")).expect("the database");
    let sql = "UPDATE pantry_item SET initial = 0, reorder_at = 0 WHERE id = ?1";
    assert_eq!(database.execute(sql, [ORANGES]).expect("an update"), 1);
}

async fn status_of_an_order(house: &House) -> u16 {
    house.visitor().post(ORDERS, &order_of(JUICE, 1)).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supplier_that_is_closed_or_fails_delivers_nothing_until_the_fault_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::on(folder.path(), 1).await;
    without_oranges(&house);
    let mut placed = 0;
    for (key, fault) in
        [("fault.supplier.closed", Fault::SupplierClosed), ("fault.supplier.fails", Fault::SupplierFails)]
    {
        let deliveries = house.stack.deliveries();
        set(&house, key, json!(true));
        assert_eq!(status_of_an_order(&house).await, 409, "{key}");
        assert_eq!(house.stack.deliveries(), deliveries, "{key}");
        console_lives(&house).await;
        set(&house, key, json!({ "for_s": 1 }));
        over(house.stack.settings(), fault, Place::ANYWHERE).await;
        assert_eq!(status_of_an_order(&house).await, 201, "{key}");
        placed += 1;
    }
    house.stop().await;
    assert_eq!(audit(folder.path()).await, placed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_was_booked_and_is_not_delivered_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::on(folder.path(), 1).await;
    without_oranges(&house);
    set(&house, "fault.supplier.lies", json!(true));
    assert_eq!(status_of_an_order(&house).await, 409, "nobody heard of the delivery");
    assert_eq!(house.stack.deliveries(), 1, "both attempts are one delivery");
    console_lives(&house).await;
    set(&house, "fault.supplier.lies", json!({ "for_s": 1 }));
    over(house.stack.settings(), Fault::SupplierLies, Place::ANYWHERE).await;
    assert_eq!(status_of_an_order(&house).await, 201);
    house.stop().await;
    assert_eq!(audit(folder.path()).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_supplier_makes_the_order_wait() {
    let house = House::with_one_instance().await;
    without_oranges(&house);
    set(&house, "supplier.latency", json!(0));
    set(&house, "fault.supplier.delay", json!(150));
    let outgoing = crate::harness::probes::outgoing(&house, "POST", ORDERS, Some(&order_of(JUICE, 1)));
    let (answer, journey) = crate::harness::probes::probe(&house, outgoing).await;
    assert_eq!(answer.status, 201);
    assert!(journey.sides.supplier.as_ref().is_some_and(|side| side.us >= 150_000.0), "{:?}", journey.sides);
    console_lives(&house).await;
    house.stop().await;
}
