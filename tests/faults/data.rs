//! The database under faults: slow, failing, locked, full, without its index; and the instances' caches.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use roundtrip::faults::{Place, over};
use roundtrip::settings::fault::Fault;
use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

use crate::back::{MENU, ORDERS, console_lives, look, off, set, struck_us, until, without_caches};
use crate::harness::probes::attribute;
use crate::harness::{House, RARE_DISH, RARE_PORTIONS, audit, order_of};

const DISH: &str = "/api/v1/menu/15";

fn file(house: &House) -> Connection {
    let database = Connection::open(house.folder().join("bistro.db")).expect("the database");
    database.busy_timeout(Duration::ZERO).expect("no wait");
    database
}

/// Whether somebody else can write beside the server.
fn is_locked(house: &House) -> bool {
    file(house).execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_err()
}

fn index(folder: &Path) -> Option<String> {
    let database = Connection::open(folder.join("bistro.db")).expect("the database");
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = 'orders_by_person'";
    database.query_row(sql, [], |row| row.get(0)).optional().expect("the schema")
}

async fn stop_and_audit(house: House) -> i64 {
    let folder = tempfile::tempdir().expect("a folder");
    let from = house.folder().to_owned();
    // The house's folder goes with it.
    let House { stack, .. } = &house;
    stack.stop(Duration::from_secs(5)).await.expect("an orderly stop");
    std::fs::copy(from.join("bistro.db"), folder.path().join("bistro.db")).expect("a copy");
    audit(folder.path()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_query_takes_so_much_longer_in_the_instance_that_it_is_aimed_at_alone() {
    let house = without_caches(1).await;
    let key = "fault.data.delay";
    set(&house, key, json!({ "strength": 60, "instances": ["i1"] }));
    let (status, journey) = look(&house, MENU).await;
    assert_eq!(status, 200);
    assert!(struck_us(&journey, key) >= 60_000.0, "{:?}", journey.spans);
    console_lives(&house).await;
    set(&house, key, json!({ "strength": 60, "instances": ["i2"] }));
    assert_eq!(look(&house, MENU).await.1.summary.faults, Vec::<String>::new());
    set(&house, key, json!({ "strength": 60, "for_s": 1 }));
    over(house.stack.settings(), Fault::DataDelay, Place::ANYWHERE).await;
    assert_eq!(look(&house, MENU).await.1.summary.faults, Vec::<String>::new());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_that_is_withdrawn_lets_go_of_what_it_holds_up_at_once() {
    let house = without_caches(1).await;
    // An order has a dozen steps: held up so long at each, it would be answered 503 before it is written.
    set(&house, "fault.data.delay", json!(5_000));
    let person = house.visitor();
    let order = tokio::spawn(async move { person.post(ORDERS, &order_of(1, 1)).await.status });
    let busy = || house.stack.instances().iter().any(|view| view.in_flight > 0);
    until("it is under way", async || busy()).await;
    console_lives(&house).await;
    off(&house, "fault.data.delay");
    assert_eq!(order.await.expect("an answer"), 201);
    assert_eq!(stop_and_audit(house).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_fails_is_503_and_nothing_was_done() {
    let house = without_caches(3).await;
    let (key, before) = ("fault.data.fails", house.books());
    set(&house, key, json!(100));
    for _ in 0..4 {
        let refused = house.visitor().post(ORDERS, &order_of(1, 1)).await;
        refused.is_problem(503, "data-unavailable", Some("data"));
        assert!(!refused.header("retry-after").is_empty());
    }
    assert_eq!(house.books(), before);
    assert_eq!(look(&house, MENU).await.1.summary.faults, [key]);
    console_lives(&house).await;
    set(&house, key, json!({ "for_s": 1 }));
    over(house.stack.settings(), Fault::DataFails, Place::ANYWHERE).await;
    assert_eq!(house.visitor().post(ORDERS, &order_of(1, 1)).await.status, 201);
    assert_eq!(stop_and_audit(house).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_refuses_writes_in_bounded_time_while_reads_go_on() {
    let house = without_caches(3).await;
    house.kitchen_rests();
    let key = "fault.data.locked";
    set(&house, key, json!(true));
    until("somebody holds the lock", async || is_locked(&house)).await;
    assert_eq!(house.visitor().get(MENU).await.status, 200);
    console_lives(&house).await;
    let refused = house.visitor().post(ORDERS, &order_of(1, 1)).await;
    refused.is_problem(503, "data-unavailable", Some("data"));
    assert!(!refused.header("retry-after").is_empty());
    set(&house, key, json!({ "for_s": 1 }));
    until("it is let go", async || !is_locked(&house)).await;
    assert_eq!(house.visitor().post(ORDERS, &order_of(1, 1)).await.status, 201);
    // A stack that stops while it is on stops in order, and closes the file.
    set(&house, key, json!(true));
    until("somebody holds the lock", async || is_locked(&house)).await;
    assert_eq!(stop_and_audit(house).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_no_order_that_was_acknowledged() {
    let house = without_caches(3).await;
    house.kitchen_rests();
    let key = "fault.data.full";
    set(&house, key, json!(true));
    let (person, mut placed) = (house.visitor(), 0);
    let refused = loop {
        // The rest of the last pages is still there to be used.
        let reply = person.post(ORDERS, &order_of(1, 1)).await;
        if reply.status != 201 {
            break reply;
        }
        placed += 1;
        assert!(placed < 1_000, "the file still grows");
    };
    refused.is_problem(503, "data-unavailable", Some("data"));
    assert_eq!(person.get(MENU).await.status, 200);
    console_lives(&house).await;
    off(&house, key);
    until("there is room again", async || person.post(ORDERS, &order_of(1, 1)).await.status == 201).await;
    assert_eq!(stop_and_audit(house).await, placed + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_one_has_one_reader_to_lend() {
    let house = without_caches(1).await;
    let used = async || {
        let (_, journey) = look(&house, MENU).await;
        let number = |key| attribute(&journey, key).and_then(serde_json::Value::as_u64).expect("the pool is told");
        (number("roundtrip.pool.size"), number("roundtrip.pool.in_use"))
    };
    let (size, free) = used().await;
    assert!(size > 1 && free < size);
    let key = "fault.data.pool_of_one";
    set(&house, key, json!(true));
    assert_eq!(used().await, (size, size), "all but the one in use are taken away");
    let answers = (0..8).map(|_| {
        let person = house.visitor();
        tokio::spawn(async move { person.get(MENU).await.status })
    });
    for answer in answers.collect::<Vec<_>>() {
        assert_eq!(answer.await.expect("an answer"), 200, "they wait for each other");
    }
    console_lives(&house).await;
    set(&house, key, json!({ "for_s": 1 }));
    until("they are back", async || used().await == (size, free)).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_index_is_really_gone_and_is_built_again_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::on(folder.path(), 1).await;
    let (key, before) = ("fault.data.no_index", index(folder.path()));
    assert!(before.is_some());
    let person = house.visitor();
    assert_eq!(person.post(ORDERS, &order_of(1, 1)).await.status, 201);
    set(&house, key, json!(true));
    until("it is gone", async || index(folder.path()).is_none()).await;
    let own = person.get(ORDERS).await;
    assert_eq!(own.json()["orders"].as_array().map(Vec::len), Some(1), "{}", own.text());
    console_lives(&house).await;
    set(&house, key, json!({ "for_s": 1 }));
    until("it is there again", async || index(folder.path()) == before).await;
    assert_eq!(person.get(ORDERS).await.status, 200);
    // A stack that stops meanwhile leaves it there; one whose process dies finds it again at the next start.
    set(&house, key, json!(true));
    until("it is gone", async || index(folder.path()).is_none()).await;
    house.stop().await;
    assert_eq!(index(folder.path()), before);
    let database = Connection::open(folder.path().join("bistro.db")).expect("the database");
    database.execute_batch("DROP INDEX orders_by_person").expect("dropped");
    drop(database);
    assert_eq!(audit(folder.path()).await, 1);
    assert_eq!(index(folder.path()), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_cache_keeps_nothing_until_the_fault_is_over() {
    let house = House::with_one_instance().await;
    house.edge_keeps_nothing();
    let key = "fault.data.cache_empty";
    let person = house.visitor();
    let entries = || house.stack.menu_caches()[0].1.entries;
    let misses = || house.stack.menu_caches()[0].1.misses;
    assert_eq!(person.get(MENU).await.status, 200);
    assert!(entries() > 0);
    set(&house, key, json!({ "instances": ["i1"] }));
    let before = misses();
    for _ in 0..3 {
        assert_eq!(person.get(MENU).await.status, 200);
    }
    assert_eq!((entries(), misses()), (0, before + 3));
    console_lives(&house).await;
    set(&house, key, json!({ "for_s": 1 }));
    over(house.stack.settings(), Fault::DataCacheEmpty, Place::ANYWHERE).await;
    assert_eq!(person.get(MENU).await.status, 200);
    assert!(entries() > 0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_cache_shows_what_was_until_the_fault_is_over_and_then_forgets_it() {
    let house = House::with_one_instance().await;
    house.edge_keeps_nothing();
    house.kitchen_rests();
    let (key, person) = ("fault.data.cache_stale", house.visitor());
    let available = async || person.get(DISH).await.json()["available"].as_bool().expect("a dish");
    assert!(available().await);
    set(&house, key, json!(true));
    let all = person.post(ORDERS, &order_of(RARE_DISH, RARE_PORTIONS)).await;
    assert_eq!(all.status, 201, "{}", all.text());
    assert!(available().await, "it has not heard that the last one is gone");
    console_lives(&house).await;
    set(&house, key, json!({ "for_s": 1 }));
    over(house.stack.settings(), Fault::DataCacheStale, Place::ANYWHERE).await;
    assert!(!available().await);
    assert_eq!(stop_and_audit(house).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_of_the_data_reaches_the_consoles_own_database() {
    let house = without_caches(1).await;
    for key in ["fails", "locked", "full", "pool_of_one", "no_index"] {
        set(&house, &format!("fault.data.{key}"), json!(true));
    }
    set(&house, "fault.data.delay", json!(5_000));
    until("somebody holds the lock", async || is_locked(&house)).await;
    // Becoming the owner reads and writes control.db several times.
    let owner = house.owner().await;
    assert_eq!(owner.0.get("/api/session").await.status, 200);
    console_lives(&house).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_that_is_dropped_while_faults_are_on_leaves_a_sound_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::on(folder.path(), 3).await;
    let before = index(folder.path());
    assert_eq!(house.visitor().post(ORDERS, &order_of(1, 1)).await.status, 201);
    for key in ["fault.data.no_index", "fault.instance.pause", "fault.service.paused_workers", "fault.data.pool_of_one"]
    {
        set(&house, key, json!(true));
    }
    until("the index is gone", async || index(folder.path()).is_none()).await;
    set(&house, "fault.data.locked", json!(true));
    until("somebody holds the lock", async || is_locked(&house)).await;
    let House { stack, console, door, .. } = house;
    console.stop().await;
    door.stop().await;
    until("nobody else holds it", async || Arc::strong_count(&stack) == 1).await;
    drop(stack);
    until("all is as before", async || index(folder.path()) == before).await;
    assert_eq!(audit(folder.path()).await, 1);
}
