//! Instances under faults: dead, paused, silent, slow, failing, greedy.

use roundtrip::faults::{Place, over};
use roundtrip::policy::health::State;
use roundtrip::settings::fault::Fault;
use serde_json::json;

use crate::back::{MENU, console_lives, is_of_fault, look, off, set, struck_us, until, without_caches};
use crate::harness::House;

fn state(house: &House, id: &str) -> Option<State> {
    house.stack.instances().into_iter().find(|view| view.id == id).map(|view| view.state)
}

fn answering(house: &House) -> Vec<String> {
    house.stack.menu_caches().into_iter().map(|(id, _)| id).collect()
}

fn in_flight(house: &House) -> u64 {
    house.stack.instances().iter().map(|view| view.in_flight).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_instance_is_dead_until_the_fault_is_over_and_then_it_serves_again() {
    let house = without_caches(3).await;
    let key = "fault.instance.kill";
    let person = house.visitor();
    set(&house, key, json!({ "instances": ["i2"] }));
    until("it is gone", async || answering(&house) == ["i1", "i3"]).await;
    until("the balancer has found out", async || state(&house, "i2") == Some(State::Unhealthy)).await;
    for _ in 0..6 {
        assert_eq!(person.get(MENU).await.status, 200);
    }
    assert!(!house.stack.buyers().iter().any(|(id, _)| id == "i2"));
    console_lives(&house).await;
    set(&house, key, json!({ "instances": ["i2"], "for_s": 1 }));
    until("it serves again", async || state(&house, "i2") == Some(State::Healthy)).await;
    assert_eq!(answering(&house), ["i1", "i2", "i3"]);
    assert!(house.stack.buyers().iter().any(|(id, _)| id == "i2"));
    set(&house, "balancer.policy", json!("round_robin"));
    let mut served = Vec::new();
    for _ in 0..3 {
        let (_, journey) = look(&house, MENU).await;
        let by = crate::harness::probes::attribute(&journey, "roundtrip.instance").cloned();
        served.push(by.expect("an instance").as_str().expect("an id").to_owned());
    }
    served.sort_unstable();
    assert_eq!(served, ["i1", "i2", "i3"]);
    // Killed again when the stack stops, it stays so.
    set(&house, key, json!({ "instances": ["i2"] }));
    until("it is gone", async || answering(&house) == ["i1", "i3"]).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_instances_can_be_killed_and_all_come_back() {
    let house = without_caches(3).await;
    set(&house, "fault.instance.kill", json!(true));
    until("all are gone", async || answering(&house).is_empty()).await;
    let status = house.visitor().get(MENU).await.status;
    assert!(matches!(status, 502 | 503), "{status}");
    console_lives(&house).await;
    off(&house, "fault.instance.kill");
    until("all serve again", async || house.visitor().get(MENU).await.status == 200).await;
    until("all are there", async || answering(&house) == ["i1", "i2", "i3"]).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_instance_holds_what_comes_and_answers_it_when_the_fault_is_over() {
    let house = without_caches(1).await;
    set(&house, "fault.instance.pause", json!(true));
    let person = house.visitor();
    let held = tokio::spawn(async move { person.get(MENU).await.status });
    until("it is held", async || in_flight(&house) == 1).await;
    console_lives(&house).await;
    assert!(!held.is_finished());
    set(&house, "fault.instance.pause", json!({ "for_s": 1 }));
    assert_eq!(held.await.expect("an answer"), 200);
    assert_eq!(look(&house, MENU).await.1.summary.faults, Vec::<String>::new());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_never_answers_and_closes_its_connections_when_it_is_over() {
    let house = without_caches(1).await;
    let key = "fault.instance.black_hole";
    // Health checks are swallowed, too: they are not to take the instance out before the request is there.
    set(&house, "balancer.health.interval", json!(60_000));
    set(&house, key, json!({ "route": MENU }));
    let person = house.visitor();
    let swallowed = tokio::spawn(async move { person.get(MENU).await });
    until("it is swallowed", async || in_flight(&house) == 1).await;
    assert_eq!(house.visitor().get("/api/v1/session").await.status, 200, "another route");
    console_lives(&house).await;
    assert!(!swallowed.is_finished());
    set(&house, key, json!({ "route": MENU, "for_s": 1 }));
    let reply = swallowed.await.expect("an answer");
    reply.is_problem(502, "broken-answer", Some("balancer"));
    assert_eq!(house.visitor().get(MENU).await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_instance_takes_so_much_longer_for_each_request() {
    let house = without_caches(1).await;
    let key = "fault.instance.slow";
    set(&house, key, json!({ "strength": 50, "instances": ["v1"], "for_s": 60 }));
    let (status, journey) = look(&house, MENU).await;
    assert_eq!((status, journey.summary.faults.as_slice()), (200, &[key.to_owned()][..]));
    assert!(struck_us(&journey, key) >= 50_000.0);
    console_lives(&house).await;
    set(&house, key, json!({ "strength": 50, "for_s": 1 }));
    over(house.stack.settings(), Fault::InstanceSlow, Place::ANYWHERE).await;
    assert_eq!(look(&house, MENU).await.1.summary.faults, Vec::<String>::new());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_answers_500_says_that_a_fault_does_it_and_can_be_aimed_at_a_role() {
    let house = without_caches(1).await;
    let key = "fault.instance.errors";
    let (waiter, guest) = (house.staff("waiter").await, house.visitor());
    set(&house, key, json!({ "route": MENU }));
    is_of_fault(&guest.get(MENU).await, "service", key);
    assert_eq!(guest.get("/api/v1/session").await.status, 200);
    set(&house, key, json!({ "route": MENU, "role": "waiter" }));
    assert_eq!(guest.get(MENU).await.status, 200);
    is_of_fault(&waiter.get(MENU).await, "service", key);
    console_lives(&house).await;
    set(&house, key, json!({ "route": MENU, "for_s": 1 }));
    over(house.stack.settings(), Fault::InstanceErrors, Place::path(MENU)).await;
    assert_eq!(waiter.get(MENU).await.status, 200);
    house.stop().await;
}

/// Resident memory of this process, in MiB.
#[cfg(target_os = "linux")]
fn resident_mib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("proc");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096 / (1024 * 1024)
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaked_memory_is_really_taken_and_given_back() {
    let house = House::with_one_instance().await;
    let before = resident_mib();
    set(&house, "fault.instance.memory_leak", json!(256));
    until("it has grown", async || resident_mib() >= before + 200).await;
    console_lives(&house).await;
    let grown = resident_mib();
    off(&house, "fault.instance.memory_leak");
    until("it is given back", async || resident_mib() + 150 <= grown).await;
    house.stop().await;
}

/// Threads of this process that have this name.
#[cfg(target_os = "linux")]
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("proc").flatten();
    tasks.filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)).count()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hog_is_one_thread_and_ends_with_its_fault() {
    let house = House::with_one_instance().await;
    let (key, hog) = ("fault.instance.cpu_hog", "fault-cpu-hog");
    set(&house, key, json!(5));
    until("it computes", async || threads(hog) == 1).await;
    set(&house, key, json!(10));
    assert_eq!(house.visitor().get(MENU).await.status, 200);
    console_lives(&house).await;
    assert_eq!(threads(hog), 1);
    set(&house, key, json!({ "strength": 5, "for_s": 1 }));
    until("it has ended", async || threads(hog) == 0).await;
    house.stop().await;
}
