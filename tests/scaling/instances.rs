//! One more, one fewer, one that is emptied.

use roundtrip::policy::health::State;
use roundtrip::stack::instances::InstancesError;
use serde_json::json;

use crate::harness::{House, audit};
use crate::traffic::{Traffic, ids, orders, own, set, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_added_emptied_and_removed_under_load_lose_no_request() {
    let house = House::open().await;
    let traffic = Traffic::on(&house);
    traffic.flows(20).await;
    let added = own(&house).add("a test").await.expect("one more");
    assert_eq!((added.id.as_str(), added.version.as_deref()), ("i4", Some("v1")));
    soon(|| own(&house).list().iter().all(|instance| instance.state == State::Healthy)).await;
    soon(|| house.stack.menu_caches().iter().any(|(id, cache)| id == "i4" && cache.hits > 0)).await;
    let drained = own(&house).set_draining("i2", true, "a test").await.expect("it is emptied");
    assert_eq!(drained.state, State::Draining);
    soon(|| own(&house).list()[1].in_flight == 0).await;
    traffic.flows(20).await;
    own(&house).set_draining("i2", false, "a test").await.expect("it works again");
    traffic.flows(20).await;
    for id in ["i1", "i4", "i2"] {
        own(&house).remove(id, "a test").await.expect("it goes");
        traffic.flows(20).await;
    }
    assert_eq!(ids(&house), ["i3"]);
    traffic.loses_nothing().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_instance_is_gone_from_its_port_the_balancer_the_names_and_the_buyers() {
    let house = House::open().await;
    let address = own(&house).list()[1].address.expect("an address");
    own(&house).remove("i2", "a test").await.expect("it goes");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens");
    assert_eq!(ids(&house), ["i1", "i3"]);
    let named = |names: Vec<String>| names == ["i1", "i3"];
    assert!(named(house.stack.buyers().into_iter().map(|(id, _)| id).collect()));
    assert!(named(house.stack.menu_caches().into_iter().map(|(id, _)| id).collect()));
    let again = own(&house).add("a test").await.expect("one more");
    assert_eq!(again.id, "i2", "the first id that is free");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_instance_stays_and_there_are_never_more_than_sixteen() {
    let house = House::with_one_instance().await;
    let refused = own(&house).remove("i1", "a test").await;
    assert!(matches!(refused, Err(InstancesError::Last(_))), "{refused:?}");
    let refused = own(&house).remove("i9", "a test").await;
    assert!(matches!(refused, Err(InstancesError::Unknown(_))), "{refused:?}");
    for _ in 2..=16 {
        own(&house).add("a test").await.expect("one more");
    }
    let refused = own(&house).add("a test").await;
    assert!(matches!(refused, Err(InstancesError::Full)), "{refused:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cooks_of_an_emptied_instance_hand_their_tickets_back_and_those_of_another_cook_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::on(folder.path(), 2).await;
    set(&house, "service.kitchen.cook_time", json!(300));
    orders(&house, 6).await;
    own(&house).set_draining("i1", true, "a test").await.expect("it is emptied");
    let waiting = async || house.stack.counts().await.expect("counts").expect("a restaurant").waiting;
    // Another cook at once: the setting is read while they work.
    set(&house, "service.kitchen.workers", json!(4));
    set(&house, "service.kitchen.cook_time", json!(20));
    let done = async {
        while waiting().await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, done).await.expect("all are cooked");
    own(&house).remove("i1", "a test").await.expect("it goes");
    house.stop().await;
    assert_eq!(audit(folder.path()).await, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_to_an_instance_is_recorded_with_who_did_it() {
    let house = House::with_one_instance().await;
    own(&house).add("a test").await.expect("one more");
    own(&house).remove("i1", "somebody else").await.expect("it goes");
    let happened: Vec<(String, String)> = house
        .stack
        .happenings()
        .latest(50)
        .iter()
        .filter(|happening| serde_json::to_value(happening.kind).expect("a word") == "instance")
        .map(|happening| (happening.what.clone(), happening.who.clone()))
        .collect();
    let expected = [("i2 started, v1", "a test"), ("i1 was removed", "somebody else")];
    assert_eq!(happened, expected.map(|(what, who)| (what.to_owned(), who.to_owned())));
    house.stop().await;
}
