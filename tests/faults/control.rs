//! Switching faults on and off, and who is told of it.

use roundtrip::observe::happening::Kind;
use roundtrip::settings::fault::ROWS;
use roundtrip::stack::faults::Unchanged;
use serde_json::{Map, Value, json};

use crate::back::{set, until};
use crate::harness::{House, PATIENCE};

fn keys() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.key).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_ends_when_its_time_is_over_and_leaves_clean_settings() {
    let house = House::with_one_instance().await;
    let mut told = house.stack.happenings().subscribe();
    let (short, long) = (json!({ "for_s": 1 }), json!({ "for_s": 600 }));
    let changes = [("fault.supplier.lies", &short), ("fault.supplier.fails", &long)];
    house.stack.change_settings("owner", changes).expect("fits");
    let mut heard: Vec<(Kind, &str, String)> = Vec::new();
    while heard.last().is_none_or(|(kind, ..)| *kind != Kind::FaultOff) {
        let next = tokio::time::timeout(PATIENCE, told.recv()).await.expect("it ends").expect("a happening");
        if next.fault.is_some() {
            heard.push((next.kind, next.fault.unwrap_or_default(), next.who.clone()));
        }
    }
    let expected = [
        (Kind::FaultOn, "fault.supplier.lies", "owner".to_owned()),
        (Kind::FaultOn, "fault.supplier.fails", "owner".to_owned()),
        (Kind::FaultOff, "fault.supplier.lies", "its time".to_owned()),
    ];
    assert_eq!(heard, expected);
    let snapshot = house.stack.settings().snapshot().clone();
    assert_eq!(snapshot.faults.iter().map(|(fault, _)| fault.key()).collect::<Vec<_>>(), ["fault.supplier.fails"]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_switched_on_again_lasts_from_then_on() {
    let house = House::with_one_instance().await;
    let mut told = house.stack.happenings().subscribe();
    let set = |value: Value| house.stack.change_settings("owner", [("fault.supplier.lies", &value)]).expect("fits");
    set(json!({ "for_s": 600 }));
    set(json!({ "for_s": 1 }));
    loop {
        let next = tokio::time::timeout(PATIENCE, told.recv()).await.expect("it ends").expect("a happening");
        if next.kind == Kind::FaultOff {
            break;
        }
    }
    assert!(house.stack.settings().snapshot().faults.none());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_answers_while_every_fault_is_on_and_one_button_ends_them_all() {
    let house = House::open().await;
    let owner = house.owner().await;
    let all: Map<String, Value> = keys().into_iter().map(|key| (key.to_owned(), json!(true))).collect();
    let on = owner.patch("/api/settings", &Value::Object(all)).await;
    assert_eq!(on.status, 200, "{}", on.text());
    for path in ["/", "/docs/settings", "/api/session", "/api/settings", "/api/happenings", "/api/changes"] {
        assert_eq!(owner.get(path).await.status, 200, "{path}");
    }
    let listed = owner.get("/api/settings").await.json();
    let shown = listed["settings"].as_array().expect("settings").iter().filter(|row| row["type"] == "fault");
    assert!(shown.clone().count() == keys().len() && shown.clone().all(|row| row["value"].is_object()), "{listed}");

    let restored = owner.post("/api/restore", &json!({})).await.json();
    assert_eq!(restored["ended"], json!(keys()));
    assert_eq!(restored["recorded"], true);
    assert!(house.stack.settings().snapshot().faults.none());
    let last = house.stack.happenings().latest(keys().len());
    let ended = last.iter().filter(|happening| happening.kind == Kind::FaultOff && happening.who == "owner").count();
    assert!(ended > 0, "{last:?}");
    assert_eq!(owner.post("/api/restore", &json!({})).await.json()["ended"], json!([]));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_to_an_upstream_is_told_beside_the_faults() {
    let house = House::open().await;
    assert!(house.stack.kill_instance("i2").await);
    let told = house.stack.happenings().latest(usize::MAX);
    let of_i2 = told.iter().filter(|happening| happening.kind == Kind::Upstream && happening.what.starts_with("i2: "));
    assert!(of_i2.clone().any(|happening| happening.what.contains("→ stopped")), "{told:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_begins_that_was_asked_for_before_everything_was_restored() {
    let house = House::with_one_instance().await;
    let (on, policy) = (json!(true), json!("round_robin"));
    let asked = house.stack.restores();
    house.stack.end_faults("owner");
    let late = [("balancer.policy", &policy), ("fault.supplier.lies", &on)];
    assert_eq!(house.stack.change_settings_asked_for("a command", late, asked), Err(Unchanged::Restored));
    assert!(house.stack.settings().snapshot().faults.none());
    assert_ne!(house.stack.settings().snapshot().balancer.policy.id(), "round_robin", "all or nothing");
    // What begins no fault, and what is asked for from now on.
    let others = [("balancer.policy", &policy)];
    assert_eq!(house.stack.change_settings_asked_for("a command", others, asked), Ok(()));
    assert_eq!(house.stack.change_settings_asked_for("a command", late, house.stack.restores()), Ok(()));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_is_set_anew_while_it_is_on_begins_once() {
    let house = House::with_one_instance().await;
    let set = |value: Value| house.stack.change_settings("owner", [("fault.dns.delay", &value)]).expect("fits");
    set(json!({ "strength": 250, "for_s": 60 }));
    set(json!({ "strength": 300, "for_s": 60 }));
    set(json!(false));
    let told = house.stack.happenings().latest(usize::MAX);
    let of_it = told.iter().filter(|happening| happening.fault == Some("fault.dns.delay"));
    let of_it: Vec<_> = of_it.map(|happening| (happening.kind, happening.what.as_str())).collect();
    let expected = [
        (Kind::FaultOn, "fault.dns.delay on: 250 ms, for 60 s"),
        (Kind::Setting, "fault.dns.delay: 250 ms, for 60 s → 300 ms, for 60 s"),
        (Kind::FaultOff, "fault.dns.delay off"),
    ];
    assert_eq!(of_it, expected);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_tells_how_things_stand_while_a_fault_holds_every_reader_of_the_data() {
    let folder = tempfile::tempdir().expect("a folder");
    // As many as there are connections that read: each instance has one thread.
    let house = House::on(folder.path(), 4).await;
    house.edge_keeps_nothing();
    set(&house, "data.cache.mode", json!("off"));
    let owner = house.owner().await;
    set(&house, "fault.data.delay", json!(5_000));
    let mut guests = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let guest = house.visitor();
        guests.spawn(async move { guest.get("/api/v1/menu").await.status });
    }
    let is_held = || house.stack.unready().iter().any(|reason| reason.why.contains("connections that read"));
    until("every reader is held", async || is_held()).await;
    let stack = owner.get("/api/stack").await;
    assert_eq!(stack.status, 200, "{}", stack.text());
    assert_eq!((&stack.json()["restaurant"], &stack.json()["orders"]), (&json!(true), &json!(0)));
    assert_eq!(owner.post("/api/restore", &json!({})).await.status, 200);
    guests.join_all().await;
    house.stop().await;
}
