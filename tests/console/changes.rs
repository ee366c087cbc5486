//! Settings and faults over the console: what is changed is written down first, and for good.

use roundtrip::web::secret;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::people::Ask;
use crate::harness::reply::Reply;
use crate::harness::{House, PATIENCE};

async fn command(house: &House, path: &str, body: &Value) -> Reply {
    let key = format!("Roundtrip-Control {}", secret::hex(&house.control_key));
    house.stranger().send(Ask::new("POST", path).json(body).header("authorization", &key)).await
}

/// Who, what kind, of what, before, after: the newest first.
fn told(changes: &Value) -> Vec<(&str, &str, &str, &Value, &Value)> {
    let list = changes["changes"].as_array().expect("changes");
    list.iter()
        .map(|row| {
            let field = |name: &str| row[name].as_str().unwrap_or_default();
            (field("who"), field("kind"), field("subject"), &row["before"], &row["after"])
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_says_who_made_it_and_what_was_there_before() {
    let house = House::open().await;
    let owner = house.owner().await;
    let both = json!({ "balancer.policy": "round_robin", "data.cache.ttl": 0, "balancer.panic_threshold": 50 });
    assert_eq!(owner.patch("/api/settings", &both).await.status, 200);
    let fault = json!({ "fault.dns.delay": { "strength": 250, "for_s": 60 } });
    assert_eq!(command(&house, "/api/control/settings", &fault).await.status, 200);
    assert_eq!(owner.patch("/api/settings", &json!({ "fault.dns.delay": false })).await.status, 200);

    let changes = owner.get("/api/changes").await.json();
    let told = told(&changes);
    assert_eq!(told.len(), 4, "what stays as it is is no change: {changes}");
    assert_eq!(told[0].0, "owner");
    assert_eq!((told[0].3["strength"].as_i64(), told[0].4), (Some(250), &Value::Null));
    assert_eq!((told[1].0, told[1].1, told[1].2), ("a command", "fault", "fault.dns.delay"));
    assert_eq!((told[1].3, told[1].4["left_s"].as_f64()), (&Value::Null, Some(60.0)));
    assert_eq!(told[2], ("owner", "setting", "data.cache.ttl", &json!(30), &json!(0)));
    assert_eq!(told[3], ("owner", "setting", "balancer.policy", &json!("p2c_peak_ewma"), &json!("round_robin")));
    let first = owner.get("/api/changes?limit=2").await.json();
    let rest = owner.get(&format!("/api/changes?limit=9&before={}", first["next"])).await.json();
    assert_eq!(
        (first["changes"].as_array().map(Vec::len), rest["changes"].as_array().map(Vec::len)),
        (Some(2), Some(2))
    );
    assert_eq!((&rest["changes"][1], &rest["next"]), (&changes["changes"][3], &Value::Null));

    let happened = owner.get("/api/happenings?limit=1000").await.json();
    let last = happened["events"].as_array().and_then(|events| events.last()).expect("a happening");
    assert_eq!(
        (&last["kind"], &last["fault"], &last["who"]),
        (&json!("fault-off"), &json!("fault.dns.delay"), &json!("owner"))
    );
    let on = happened["events"].as_array().expect("events").iter().find(|event| event["kind"] == "fault-on");
    assert_eq!(on.expect("one")["what"], "fault.dns.delay on: 250 ms, for 60 s");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_down_can_be_neither_changed_nor_taken_away() {
    let house = House::open().await;
    let owner = house.owner().await;
    assert_eq!(owner.patch("/api/settings", &json!({ "data.cache.ttl": 7 })).await.status, 200);
    let before = owner.get("/api/changes").await.json();
    let database = Connection::open(house.folder().join("control.db")).expect("the database");
    for attempt in [
        "UPDATE event SET who = 'nobody'",
        "DELETE FROM event",
        "INSERT OR REPLACE INTO event (id, at_ms, who, kind, subject) VALUES (1, 0, 'nobody', 'setting', 'x')",
        "REPLACE INTO event (id, at_ms, who, kind, subject) VALUES (1, 0, 'nobody', 'setting', 'x')",
    ] {
        let refused = database.execute_batch(attempt).expect_err(attempt);
        assert!(refused.to_string().contains("events are never"), "{attempt}: {refused}");
    }
    assert_eq!(owner.get("/api/changes").await.json(), before);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_down_is_not_changed_but_faults_can_always_be_ended() {
    let house = House::open().await;
    let fault = json!({ "fault.dns.delay": true });
    assert_eq!(command(&house, "/api/control/settings", &fault).await.status, 200);
    house.control.close().await.expect("an orderly close");
    let refused = command(&house, "/api/control/settings", &json!({ "data.cache.ttl": 1 })).await;
    refused.is_problem(503, "data-unavailable", None);
    assert_eq!(house.stack.settings().snapshot().data.cache.ttl.as_secs(), 30);
    let restored = command(&house, "/api/control/restore", &json!({})).await.json();
    assert_eq!((&restored["ended"], &restored["recorded"]), (&json!(["fault.dns.delay"]), &json!(false)));
    assert!(house.stack.settings().snapshot().faults.none());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_none_is_answered_with_the_one_that_may_be_meant() {
    let house = House::open().await;
    let owner = house.owner().await;
    let reply = owner.patch("/api/settings", &json!({ "fault.dns.dely": true })).await;
    let problem = reply.is_problem(422, "bad-setting", None);
    let detail = problem["errors"][0]["detail"].as_str().expect("a detail");
    assert_eq!(detail, "fault.dns.dely: there is no such setting; did you mean 'fault.dns.delay'?");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_day_switches_on_all_that_belongs_to_it() {
    let house = House::open().await;
    let owner = house.owner().await;
    let days = owner.get("/api/bad-days").await.json();
    let day = days["bad_days"].as_array().expect("days").iter().find(|day| day["id"] == "the-supplier-is-on-strike");
    let expected: Vec<&String> = day.expect("that day")["changes"].as_object().expect("changes").keys().collect();
    let begun = owner.post("/api/bad-days/the-supplier-is-on-strike", &json!({})).await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    let snapshot = house.stack.settings().snapshot().clone();
    let on: Vec<&str> = snapshot.faults.iter().map(|(fault, _)| fault.key()).collect();
    assert_eq!(on, expected);
    owner.post("/api/bad-days/no-such-day", &json!({})).await.is_problem(404, "no-such-day", None);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_hears_of_faults_at_once_and_at_each_change() {
    let house = House::open().await;
    let owner = house.owner().await;
    owner.patch("/api/settings", &json!({ "fault.supplier.lies": true })).await;
    let mut stream = house.sealed(house.console.address()).await;
    let authority = owner.origin().trim_start_matches("https://").to_owned();
    let head = format!("GET /api/events HTTP/1.1\r\nHost: {authority}\r\nCookie: {}\r\n\r\n", owner.cookies());
    stream.write_all(head.as_bytes()).await.expect("is sent");
    let (mut text, mut bytes) = (String::new(), [0; 8192]);
    let mut read_until = async |what: &str| {
        while !text.contains(what) {
            let reading = tokio::time::timeout(PATIENCE, stream.read(&mut bytes)).await;
            let count = reading.unwrap_or_else(|_| panic!("no {what} in {text}")).expect("is read");
            assert_ne!(count, 0, "no {what} in {text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    read_until("event: faults\ndata: {\"on\":[{\"key\":\"fault.supplier.lies\"").await;
    owner.post("/api/restore", &json!({})).await;
    read_until("event: faults\ndata: {\"on\":[]}").await;
    read_until("event: happening\ndata: {").await;
    read_until("\"what\":\"fault.supplier.lies off\"").await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_docs_are_pages_for_those_who_are_signed_in() {
    let house = House::open().await;
    let owner = house.owner().await;
    for path in ["/docs", "/docs/settings", "/docs/backups", "/docs/edge"] {
        let away = house.stranger().get(path).await;
        assert_eq!((away.status, away.header("location")), (303, format!("/sign-in?next={path}").as_str()));
        owner.get(path).await.is_page();
    }
    let page = owner.get("/docs/settings").await.text();
    assert!(page.contains("fault.dns.nxdomain") && page.contains("balancer.policy"), "{page}");
    owner.get("/docs/nothing").await.is_problem(404, "no-such-page", None);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_changes_the_stack_is_written_down() {
    let house = House::open().await;
    let owner = house.owner().await;
    let password = json!({ "password": "plate-knife-fork-spoon" });
    let mix = owner.get("/api/load").await.json()["mixes"][0]["id"].clone();
    let load = json!({ "mix": mix, "rate": 1, "duration_s": 60 });
    let nothing = json!({});
    for (method, path, body, status, kind, subject) in [
        ("POST", "/api/instances", &nothing, 201, "instance", "one more"),
        ("POST", "/api/instances/i2/drain", &nothing, 200, "instance", "i2"),
        ("POST", "/api/instances/i2/undrain", &nothing, 200, "instance", "i2"),
        ("DELETE", "/api/instances/i2", &nothing, 204, "instance", "i2"),
        ("PATCH", "/api/upstreams/i1", &json!({ "weight": 5 }), 200, "upstream", "i1"),
        ("PATCH", "/api/upstreams/i1", &json!({ "draining": true }), 200, "instance", "i1"),
        ("PATCH", "/api/upstreams/i1", &json!({ "draining": false }), 200, "instance", "i1"),
        ("POST", "/api/cache/purge", &json!({ "all": true }), 200, "cache", "everything"),
        ("PUT", "/api/staff/waiter/password", &password, 204, "password", "waiter"),
        ("POST", "/api/load", &load, 202, "load", mix.as_str().expect("a mix")),
        ("DELETE", "/api/load", &nothing, 204, "load", mix.as_str().expect("a mix")),
        ("POST", "/api/rollouts", &json!({ "kind": "release", "version": "v2" }), 202, "rollout", "release"),
        ("DELETE", "/api/rollouts/current", &nothing, 202, "rollout", "release"),
    ] {
        let reply = owner.send(owner.fair(method, path).json(body)).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        let changes = owner.get("/api/changes?limit=1").await.json();
        let told = told(&changes);
        assert_eq!(told[0].0, "owner", "{method} {path}");
        assert_eq!((told[0].1, told[0].2), (kind, subject), "{method} {path}");
        assert_ne!(told[0].3, told[0].4, "{method} {path}");
        assert!(!changes.to_string().contains("spoon"), "no secret");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_could_do_is_not_told_as_done() {
    let house = House::open().await;
    let owner = house.owner().await;
    let nothing = json!({});
    for (method, path, body, status) in [
        ("POST", "/api/backups/restore", &json!({ "name": "none" }), 404),
        ("POST", "/api/instances/i9/drain", &nothing, 404),
        ("DELETE", "/api/instances/i9", &nothing, 404),
        ("PATCH", "/api/upstreams/i9", &json!({ "weight": 1 }), 404),
        ("PUT", "/api/staff/nobody/password", &json!({ "password": "plate-knife-fork-spoon" }), 404),
        ("DELETE", "/api/load", &nothing, 409),
        ("DELETE", "/api/rollouts/current", &nothing, 409),
    ] {
        let reply = owner.send(owner.fair(method, path).json(body)).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
    }
    std::fs::write(house.folder().join("roundtrip.toml"), "no-such-key = 1\n").expect("a file");
    assert_eq!(owner.post("/api/configuration/reload", &nothing).await.status, 422);
    assert_eq!(owner.get("/api/changes").await.json()["changes"], json!([]));
    // What turns out to be impossible only once it was begun says so.
    let same = owner.post("/api/rollouts", &json!({ "kind": "release", "version": "v1" })).await;
    assert_eq!(same.status, 409);
    let changes = owner.get("/api/changes?limit=1").await.json();
    assert_eq!(told(&changes)[0].4, &json!({ "failed": "Nothing to release" }));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_is_loaded_again_tells_each_setting_and_that_it_was_loaded() {
    let house = House::open().await;
    let owner = house.owner().await;
    std::fs::write(house.folder().join("roundtrip.toml"), "[settings]\n'data.cache.ttl' = 7\n").expect("a file");
    let reloaded = house.console.load_configuration("SIGHUP").await;
    assert!(reloaded.is_ok(), "{reloaded:?}");
    let changes = owner.get("/api/changes").await.json();
    let (null, file) = (&Value::Null, "roundtrip.toml");
    let expected = [
        ("SIGHUP", "configuration", file, null, &json!("loaded")),
        ("SIGHUP", "setting", "data.cache.ttl", &json!(30), &json!(7)),
        ("SIGHUP", "configuration", file, null, &json!("begun")),
    ];
    assert_eq!(told(&changes), expected);
    assert_eq!(house.stack.settings().snapshot().data.cache.ttl.as_secs(), 7);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_ends_by_its_time_is_written_down_and_one_that_is_only_renewed_is_not() {
    let house = House::open().await;
    let owner = house.owner().await;
    for seconds in [60, 90, 1] {
        let fault = json!({ "fault.supplier.lies": { "for_s": seconds } });
        assert_eq!(owner.patch("/api/settings", &fault).await.status, 200);
    }
    let read = async {
        loop {
            let changes = owner.get("/api/changes").await.json();
            if told(&changes).first().is_some_and(|newest| newest.0 == "its time") {
                return changes;
            }
            tokio::task::yield_now().await;
        }
    };
    let changes = tokio::time::timeout(PATIENCE, read).await.expect("it is written down");
    let told = told(&changes);
    assert_eq!(told.len(), 2, "{changes}");
    assert_eq!(told[0], ("its time", "fault", "fault.supplier.lies", &json!("on"), &Value::Null));
    house.stop().await;
}
