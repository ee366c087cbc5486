//! `roundtrip backup`, and what kills it.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::order_of;
use crate::rig::Place;

/// Rounds of the test that kills.
const ROUNDS: u32 = 12;

fn orders(place: &Place) -> Value {
    place.run(&["data", "verify", "--json"]).succeeded().json()["orders"].clone()
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::DirBuilder::new().mode(0o700).create(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a copy");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_is_backed_up_and_restored_and_takes_orders_on() {
    let place = Place::new();
    let server = place.serve(&[]);
    let visitor = server.visitor();
    assert_eq!(visitor.post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    let name = place.run(&["backup", "create", "--json"]).succeeded().json()["name"].clone();
    assert_eq!(visitor.post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    assert_eq!(orders(&place), 2);
    assert_eq!(place.run(&["backup", "verify", "--json"]).succeeded().json()["orders"], 1);
    let restored = place.run(&["backup", "restore", "--json"]).succeeded().json();
    assert_eq!((&restored["name"], &restored["orders"]), (&name, &json!(1)));
    assert_eq!(orders(&place), 1);
    assert_eq!(visitor.post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    let listed = place.run(&["backup", "list", "--json"]).succeeded().json();
    let reasons: Vec<&Value> =
        listed["backups"].as_array().expect("a list").iter().map(|backup| &backup["reason"]).collect();
    assert_eq!(reasons, ["safety", "manual"]);
    place.run(&["backup", "restore", "--console"]).refused("stop the server");
    server.signal(rustix::process::Signal::TERM);
    // A restore is told in the log.
    assert!(server.ended().succeeded().err.contains("restores the backup"));
    assert_eq!(orders(&place), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_server_left_in_its_log_is_kept_by_a_restore() {
    let place = Place::new();
    let server = place.serve(&[]);
    place.run(&["backup", "create"]).succeeded();
    assert_eq!(server.visitor().post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    server.signal(rustix::process::Signal::KILL);
    server.ended();
    let restored = place.run(&["backup", "restore", "--json"]).succeeded().json();
    assert_eq!(orders(&place), 0);
    let safety = restored["safety"].as_str().expect("a copy of what was there");
    place.run(&["backup", "restore", safety]).succeeded();
    assert_eq!(orders(&place), 1);
    let server = place.serve(&[]);
    assert_eq!(server.visitor().post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    server.stop();
}

#[test]
fn a_restore_that_is_killed_at_any_point_leaves_the_old_data_or_the_new() {
    let place = Place::new();
    place.run(&["data", "generate", "--orders", "1500", "--seed", "1"]).succeeded();
    place.run(&["backup", "create"]).succeeded();
    place.run(&["data", "generate", "--orders", "500", "--seed", "2"]).succeeded();
    let original = place.path().join("original");
    copy_folder(&place.data(), &original);
    // As long as one takes that is not killed, and from then on points within it.
    let begun = Instant::now();
    place.run(&["backup", "restore"]).succeeded();
    let whole = begun.elapsed();
    assert_eq!(orders(&place), 1_500);
    let mut unfinished = 0;
    for round in 0..ROUNDS {
        std::fs::remove_dir_all(place.data()).expect("a folder");
        copy_folder(&original, &place.data());
        let ended = place.kill_after(&["backup", "restore"], whole * round / ROUNDS);
        let found = orders(&place);
        assert!(found == 2_000 || found == 1_500, "{found} orders in round {round}");
        unfinished += u32::from(!ended && found == 2_000);
        // And nothing is in the way of the next one.
        place.run(&["backup", "restore"]).succeeded();
        assert!([json!(1_500), json!(2_000)].contains(&orders(&place)));
    }
    assert!(unfinished > 0, "no round was cut off before its end");
}

#[test]
fn what_can_not_be_done_is_refused_in_one_line() {
    let place = Place::new();
    place.run(&["serve", "--backup-every", "soon"]).refused("backup-every is 'soon'");
    place.run(&["backup", "create"]).refused("no data folder");
    place.run(&["data", "generate", "--orders", "5", "--seed", "1"]).succeeded();
    assert!(place.run(&["backup", "list"]).succeeded().out.contains("no backup yet"));
    place.run(&["backup", "restore"]).refused("there is no backup yet");
}

#[test]
fn a_drill_loses_everything_and_gets_it_back() {
    let place = Place::new();
    let outcome = place.run(&["drill", "--orders", "300", "--json"]).succeeded().json();
    assert_eq!((&outcome["ok"], &outcome["wrong"]), (&json!(true), &json!([])));
    assert_eq!(outcome["crash"]["lost"], 0);
    assert!(outcome["crash"]["acknowledged"].as_u64().is_some_and(|count| count > 0));
    assert_eq!(outcome["disaster"]["lost_from_before_backup"], 0);
    assert!(outcome["disaster"]["lost"].as_u64().is_some_and(|lost| lost > 0), "it measures what it says: {outcome}");
    assert_eq!(std::fs::read_dir(place.path()).expect("a folder").count(), 0);
}
