//! `roundtrip data`.

use serde_json::{Value, json};

use crate::harness::order_of;
use crate::rig::Place;
use crate::{is_untouched, snapshot};

const KEYS: [&str; 9] = [
    "foreign_keys",
    "integrity",
    "ledger_sum_cents",
    "ok",
    "order_ids_sha256",
    "orders",
    "stock_ok",
    "tickets_ok",
    "wrong",
];

#[test]
fn the_same_seed_is_the_same_data_and_verifying_it_changes_nothing() {
    let reports: Vec<Value> = (0..2)
        .map(|_| {
            let place = Place::new();
            place.run(&["data", "generate", "--orders", "500", "--seed", "7"]).succeeded();
            let before = snapshot(&place.data());
            let report = place.run(&["data", "verify", "--json"]).succeeded().json();
            is_untouched(&place.data(), &before);
            report
        })
        .collect();
    assert_eq!(reports[0], reports[1]);
    let report = reports[0].as_object().expect("an object");
    let mut keys: Vec<&String> = report.keys().collect();
    keys.sort();
    assert_eq!(keys, KEYS);
    assert_eq!((&report["ok"], &report["orders"], &report["ledger_sum_cents"]), (&json!(true), &json!(500), &json!(0)));
    assert_eq!((&report["integrity"], &report["foreign_keys"]), (&json!("ok"), &json!("ok")));
    assert_eq!(report["order_ids_sha256"].as_str().map(str::len), Some(64));
}

#[test]
fn what_is_broken_is_said_in_one_line_and_where_there_is_no_data_in_another() {
    let place = Place::new();
    let done = place.run(&["data", "verify"]).refused("is no data folder");
    assert_eq!(done.code, Some(2));
    assert!(!place.data().exists());
    place.run(&["data", "generate", "--orders", "50", "--seed", "7"]).succeeded();
    let db = rusqlite::Connection::open(place.data().join("bistro.db")).expect("the database");
    db.execute("UPDATE pantry_item SET used = used + 1 WHERE id = 3", []).expect("a change");
    db.close().expect("an end");
    let done = place.run(&["data", "verify", "--json"]).refused("pantry items whose use is not that of the orders");
    assert_eq!(done.code, Some(1));
    assert_eq!(
        (&done.json()["ok"], &done.json()["stock_ok"], &done.json()["tickets_ok"]),
        (&json!(false), &json!(false), &json!(true))
    );
    std::fs::write(place.data().join("bistro.db"), "a diary").expect("a file");
    assert_eq!(place.run(&["data", "verify"]).refused("bistro.db").code, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_and_one_that_died_are_verified_as_they_are() {
    let place = Place::new();
    let server = place.serve(&[]);
    let visitor = server.visitor();
    for _ in 0..3 {
        assert_eq!(visitor.post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    }
    let beside = place.run(&["data", "verify", "--json"]).succeeded().json();
    assert_eq!(beside["orders"], 3);
    assert_eq!(visitor.post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    server.signal(rustix::process::Signal::KILL);
    server.ended();
    // The last order is in the log alone.
    let wal = place.data().join("bistro.db-wal");
    let log = std::fs::read(&wal).expect("a log");
    assert!(!log.is_empty());
    assert_eq!(place.run(&["data", "verify", "--json"]).succeeded().json()["orders"], 4);
    assert_eq!(std::fs::read(&wal).expect("a log"), log, "nobody emptied it");
    let exported = place.run(&["data", "export", "--orders"]).succeeded();
    assert_eq!(exported.out.lines().count(), 4);
}

#[test]
fn orders_are_exported_one_a_line_whole_or_not_at_all() {
    let place = Place::new();
    place.run(&["data", "generate", "--orders", "200", "--seed", "7"]).succeeded();
    let lines = place.run(&["data", "export", "--orders"]).succeeded().out;
    let orders: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(orders.len(), 200);
    let sum = |order: &Value| -> i64 {
        order["lines"].as_array().expect("lines").iter().filter_map(|line| line["line_total_cents"].as_i64()).sum()
    };
    assert!(orders.iter().all(|order| order["total_cents"] == sum(order)));

    place.run(&["data", "export", "--orders", "--format", "csv", "--output", "orders.csv"]).succeeded();
    let csv = std::fs::read_to_string(place.path().join("orders.csv")).expect("a file");
    let records = orders.iter().map(|order| order["lines"].as_array().map_or(0, Vec::len)).sum::<usize>();
    assert_eq!(csv.matches("\r\n").count(), 1 + records);
    assert!(csv.starts_with("id,table,state,version,"));

    place.run(&["data", "export", "--orders", "--output", "none/orders.csv"]).refused("none/orders.csv");
    std::fs::write(place.data().join("bistro.db"), "a diary").expect("a file");
    place.run(&["data", "export", "--orders", "--output", "orders.jsonl"]).refused("not a database");
    let files = snapshot(place.path()).into_keys().filter(|path| path.to_string_lossy().contains("orders."));
    assert_eq!(files.collect::<Vec<_>>(), [place.path().join("orders.csv")]);
}

#[test]
fn nothing_is_invented_beneath_a_running_server() {
    let place = Place::new();
    let server = place.serve(&[]);
    place.run(&["data", "generate", "--orders", "5", "--seed", "7"]).refused("another Roundtrip uses");
    server.stop();
    place.run(&["data", "generate", "--orders", "5", "--seed", "7"]).succeeded();
    assert_eq!(place.run(&["data", "verify", "--json"]).succeeded().json()["orders"], 5);
}
