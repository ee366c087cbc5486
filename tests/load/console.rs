//! "Send traffic", from the console.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::people::Owner;
use crate::harness::{House, PATIENCE, audit};

fn load(mix: &str, rate: u64, duration_s: u64) -> Value {
    json!({ "mix": mix, "rate": rate, "duration_s": duration_s, "arrivals": "poisson", "connections": 4 })
}

/// The last load, once it is over.
async fn ended(owner: &Owner, id: &Value) -> Value {
    let over = async {
        loop {
            let view = owner.get("/api/load").await.json();
            if view["running"].is_null() && view["last"]["id"] == *id {
                return view["last"].clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, over).await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_sends_traffic_one_load_at_a_time() {
    let house = House::open().await;
    let owner = house.owner().await;
    house.visitor().get("/api/v1/menu").await;
    let view = owner.get("/api/load").await.json();
    assert_eq!((&view["running"], &view["last"], &view["figures"]), (&Value::Null, &Value::Null, &Value::Null));
    let mixes: Vec<&str> =
        view["mixes"].as_array().into_iter().flatten().filter_map(|mix| mix["id"].as_str()).collect();
    assert_eq!(mixes, ["reads", "orders", "mixed", "menu", "dish"]);
    owner.delete("/api/load").await.is_problem(409, "no-load", None);

    let started = owner.post("/api/load", &load("reads", 20, 3_600)).await;
    assert_eq!(started.status, 202, "{}", started.text());
    let id = started.json()["id"].clone();
    owner.post("/api/load", &load("menu", 20, 1)).await.is_problem(409, "load-under-way", None);
    let view = owner.get("/api/load").await.json();
    assert_eq!((&view["running"]["id"], &view["running"]["rate"]), (&id, &json!(20)));
    assert_eq!(owner.delete("/api/load").await.status, 204);
    let last = ended(&owner, &id).await;
    assert_eq!(last["figures"]["answered"], last["figures"]["sent"], "{last:#}");

    let short = json!({ "target": "menu", "rate": 50, "duration_s": 1 });
    let id = owner.post("/api/load", &short).await.json()["id"].clone();
    let last = ended(&owner, &id).await;
    assert_eq!((&last["figures"]["statuses"], &last["arrivals"]), (&json!({ "200": 50 }), &json!("constant")));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_sent_is_named_and_nobody_else_may_send() {
    let house = House::open().await;
    let owner = house.owner().await;
    for (wrong, pointer) in [
        (load("everything", 1, 1), "/mix"),
        (load("reads", 20_001, 1), "/rate"),
        (load("reads", 0, 1), "/rate"),
        (load("reads", 1, 3_601), "/duration_s"),
        (json!({ "target": "soup", "rate": 1, "duration_s": 1 }), "/target"),
        (json!({ "mix": "reads", "rate": 1, "duration_s": 1, "connections": 1_025 }), "/connections"),
        (json!({ "mix": "reads", "rate": 1, "duration_s": 1, "arrivals": "often" }), "/arrivals"),
    ] {
        let refused = owner.post("/api/load", &wrong).await;
        refused.is_problem(422, "invalid-body", None);
        assert_eq!(refused.pointers(), [pointer]);
    }
    let stranger = house.stranger();
    stranger.post("/api/load", &load("reads", 1, 1)).await.is_problem(401, "sign-in-first", None);
    stranger.get("/api/load").await.is_problem(401, "sign-in-first", None);
    stranger.delete("/api/load").await.is_problem(401, "sign-in-first", None);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_placed_by_as_many_guests_as_there_are_connections_and_the_books_stay_right() {
    let house = House::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let owner = house.owner().await;
    let before = house.books();
    let id = owner.post("/api/load", &load("orders", 30, 2)).await.json()["id"].clone();
    let last = ended(&owner, &id).await;
    let after = house.books();
    let answered = last["figures"]["answered"].as_i64().expect("a count");
    assert!(answered > 0);
    assert_eq!(last["figures"]["statuses"], json!({ "201": answered }), "{last:#}");
    assert_eq!((after.orders - before.orders, after.keys - before.keys), (answered, answered));
    assert!((1..=4).contains(&(after.people - before.people)), "{before:?} {after:?}");
    let database = house.folder().join("bistro.db");
    let copy = folder.path().join("bistro.db");
    house.stack.stop(PATIENCE).await.expect("an orderly stop");
    std::fs::copy(&database, &copy).expect("a copy");
    assert_eq!(audit(folder.path()).await, after.orders);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_is_told_every_second_and_ends_with_the_console() {
    let house = House::open().await;
    let owner = house.owner().await;
    let address = house.console.address();
    let mut page = house.sealed(address).await;
    let authority = owner.origin().trim_start_matches("https://").to_owned();
    let cookies = owner.cookies();
    let head = format!("GET /api/events HTTP/1.1\r\nHost: {authority}\r\nCookie: {cookies}\r\n\r\n");
    page.write_all(head.as_bytes()).await.expect("sent");
    assert_eq!(owner.post("/api/load", &load("menu", 20, 3_600)).await.status, 202);
    let mut text = String::new();
    let told = async {
        let mut bytes = [0; 4_096];
        // Twice, and with figures.
        while text.matches("\"phase\":\"running\"").count() < 2 {
            let read = page.read(&mut bytes).await.expect("bytes");
            assert!(read > 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("in time");
    assert!(text.contains("event: load\ndata: {\"running\":{\"id\":1,\"mix\":\"menu\""), "{text}");
    // With an hour of load to go.
    tokio::time::timeout(PATIENCE, house.stop()).await.expect("it stops");
}
