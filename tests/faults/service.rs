//! The kitchen under faults.

use serde_json::json;

use crate::back::{ORDERS, console_lives, set, until};
use crate::harness::people::Person;
use crate::harness::{House, audit, order_of};

/// Waiting, cooking, dead.
async fn lengths(chef: &Person) -> [i64; 3] {
    let queue = chef.get("/api/v1/kitchen").await.json();
    ["waiting", "cooking", "dead"].map(|length| queue[length].as_i64().expect("a length"))
}

async fn stop_and_audit(folder: &std::path::Path, house: House) -> i64 {
    house.stop().await;
    audit(folder).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_workers_leave_tickets_waiting_and_cook_them_when_the_fault_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::on(folder.path(), 3).await;
    let (key, chef) = ("fault.service.paused_workers", house.staff("chef").await);
    set(&house, "service.kitchen.cook_time", json!(1));
    set(&house, key, json!(true));
    for _ in 0..3 {
        assert_eq!(house.visitor().post(ORDERS, &order_of(1, 1)).await.status, 201);
    }
    assert_eq!(lengths(&chef).await, [3, 0, 0]);
    console_lives(&house).await;
    // Aimed at one instance, the others cook.
    set(&house, key, json!({ "instances": ["i1"] }));
    until("the others have cooked", async || lengths(&chef).await == [0, 0, 0]).await;
    set(&house, key, json!({ "for_s": 1 }));
    assert_eq!(house.visitor().post(ORDERS, &order_of(1, 1)).await.status, 201);
    until("it is cooked when the time is over", async || lengths(&chef).await == [0, 0, 0]).await;
    assert_eq!(stop_and_audit(folder.path(), house).await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_ticket_ends_as_a_dead_letter_and_is_sound_when_the_fault_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::on(folder.path(), 3).await;
    let (key, chef) = ("fault.service.poison_ticket", house.staff("chef").await);
    for (name, value) in [("cook_time", 1), ("attempts", 2)] {
        set(&house, &format!("service.kitchen.{name}"), json!(value));
    }
    set(&house, key, json!(100));
    assert_eq!(house.visitor().post(ORDERS, &order_of(1, 1)).await.status, 201);
    until("it is dead", async || lengths(&chef).await == [0, 0, 1]).await;
    console_lives(&house).await;
    set(&house, key, json!({ "for_s": 1 }));
    until("it is cooked", async || lengths(&chef).await == [0, 0, 0]).await;

    // Dead when the stack stops, it is sound at the next start.
    set(&house, key, json!(100));
    assert_eq!(house.visitor().post(ORDERS, &order_of(1, 1)).await.status, 201);
    until("it is dead", async || lengths(&chef).await == [0, 0, 1]).await;
    house.stop().await;
    let house = House::on(folder.path(), 1).await;
    let chef = house.staff("chef").await;
    until("it is cooked", async || lengths(&chef).await == [0, 0, 0]).await;
    assert_eq!(stop_and_audit(folder.path(), house).await, 2);
}
