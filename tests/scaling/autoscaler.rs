//! Instances that come and go by themselves.

use roundtrip::policy::health::State;
use serde_json::json;

use crate::harness::House;
use crate::traffic::{Traffic, ids, own, set, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_autoscaler_adds_under_load_and_removes_after_it_and_no_request_is_lost() {
    let house = House::with_one_instance().await;
    // Of six requests at once nearly all are under way at an instance that takes its time.
    for (key, value) in
        [("concurrency", 2), ("target", 80), ("max", 3), ("up_after", 1), ("down_after", 1), ("cool_down", 1)]
    {
        set(&house, &format!("balancer.autoscaler.{key}"), json!(value));
    }
    set(&house, "balancer.autoscaler.on", json!(true));
    let traffic = Traffic::on(&house);
    soon(|| ids(&house).len() == 3).await;
    traffic.loses_nothing().await;
    soon(|| ids(&house) == ["i1"]).await;
    let shown = own(&house).autoscaler();
    let changes: Vec<&str> =
        shown.log.iter().map(|line| line.change.as_str()).filter(|change| *change != "wait").collect();
    assert_eq!(changes[0], "1", "{:?}", shown.log);
    assert!(changes[1].starts_with("+ i2") && changes.ends_with(&["− i3", "− i2"]), "{:?}", shown.log);
    let why =
        shown.log.iter().find(|line| line.change.starts_with('+')).map(|line| line.why.clone()).expect("a reason");
    assert!(why.contains("% busy for ") && why.ends_with(" s"), "{why}");
    let who: Vec<String> = house.stack.happenings().latest(100).iter().map(|one| one.who.clone()).collect();
    assert!(who.contains(&"the autoscaler".to_owned()));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_instance_is_left_dead_by_the_autoscaler() {
    let house = House::open().await;
    set(&house, "balancer.autoscaler.min", json!(3));
    set(&house, "balancer.autoscaler.max", json!(3));
    assert!(house.stack.kill_instance("i2").await);
    set(&house, "balancer.autoscaler.on", json!(true));
    soon(|| own(&house).autoscaler().busy.is_some()).await;
    assert_eq!(ids(&house), ["i1", "i2", "i3"]);
    assert!(own(&house).list()[1].killed);
    assert_eq!(house.stack.menu_caches().len(), 2, "nobody started it again, nor another in its place");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_autoscaler_removes_one_that_is_not_well_before_one_that_is() {
    let house = House::open().await;
    set(&house, "fault.instance.kill", json!({ "instances": ["i3"] }));
    set(&house, "fault.instance.pause", json!({ "instances": ["i1"], "for_s": 300 }));
    soon(|| own(&house).list()[0].state == State::Unhealthy).await;
    set(&house, "balancer.autoscaler.max", json!(2));
    set(&house, "balancer.autoscaler.on", json!(true));
    soon(|| ids(&house) == ["i2", "i3"]).await;
    house.stop().await;
}
