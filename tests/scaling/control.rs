//! The same, from the console.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::House;
use crate::traffic::{set, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_adds_empties_and_removes_instances() {
    let house = House::open().await;
    let owner = house.owner().await;
    let added = owner.post("/api/instances", &json!({})).await;
    assert_eq!((added.status, &added.json()["id"]), (201, &json!("i4")));
    let drained = owner.post("/api/instances/i4/drain", &json!({})).await;
    assert_eq!((drained.status, &drained.json()["draining"]), (200, &json!(true)));
    let undrained = owner.post("/api/instances/i4/undrain", &json!({})).await;
    assert_eq!((undrained.status, &undrained.json()["draining"]), (200, &json!(false)));
    assert_eq!(owner.delete("/api/instances/i4").await.status, 204);
    let missing = owner.delete("/api/instances/i4").await;
    assert_eq!((missing.status, &missing.json()["detail"]), (404, &json!("No instance is called 'i4'.")));
    let shown = owner.get("/api/instances").await.json();
    let first = &shown["instances"][0];
    assert_eq!((&first["id"], &first["version"], &first["workers"]), (&json!("i1"), &json!("v1"), &json!(1)));
    assert_eq!((&shown["rollout"], &shown["autoscaler"]["on"]), (&Value::Null, &json!(false)));
    let stack = owner.get("/api/stack").await.json();
    assert_eq!((&stack["instances"][0]["version"], &stack["instances"][0]["workers"]), (&json!("v1"), &json!(1)));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_releases_a_version_and_calls_it_back() {
    let house = House::open().await;
    set(&house, "balancer.release.watch", json!(3_600));
    let owner = house.owner().await;
    for wrong in [json!({}), json!({ "kind": "release" }), json!({ "kind": "release", "version": "no version" })] {
        assert_eq!(owner.post("/api/rollouts", &wrong).await.status, 422, "{wrong}");
    }
    assert_eq!(owner.delete("/api/rollouts/current").await.status, 409);
    let begun = owner.post("/api/rollouts", &json!({ "kind": "release", "version": "v2" })).await;
    assert_eq!((begun.status, &begun.json()["state"]), (202, &json!("running")));
    assert_eq!(owner.post("/api/rollouts", &json!({ "kind": "restart" })).await.status, 409);
    assert_eq!(owner.delete("/api/rollouts/current").await.status, 202);
    let ended = || house.stack.own_instances().unwrap().rollout().is_some_and(|rollout| !rollout.is_under_way());
    soon(ended).await;
    let shown = owner.get("/api/instances").await.json();
    assert_eq!(shown["rollout"]["state"], "rolled-back", "{shown}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_the_owner_changes_instances() {
    let house = House::with_one_instance().await;
    let stranger = house.stranger();
    for (method, path) in [
        ("GET", "/api/instances"),
        ("POST", "/api/instances"),
        ("POST", "/api/instances/i1/drain"),
        ("DELETE", "/api/instances/i1"),
        ("POST", "/api/rollouts"),
        ("DELETE", "/api/rollouts/current"),
        ("POST", "/api/control/instances"),
        ("POST", "/api/control/rollouts"),
    ] {
        let reply = stranger.send(stranger.fair(method, path).json(&json!({}))).await;
        assert_eq!(reply.status, 401, "{method} {path}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_somebody_s_own_service_there_are_no_instances_to_change() {
    let house = House::before(&[SocketAddr::from(([127, 0, 0, 1], 9))]).await;
    let owner = house.owner().await;
    assert_eq!(owner.get("/api/instances").await.status, 409);
    house.stop().await;
}
