//! All instances, one after another.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use roundtrip::policy::health::State;
use roundtrip::stack::instances::InstancesError;
use roundtrip::stack::instances::rollout::{Progress, Rollout};
use serde_json::json;

use crate::harness::probes::{outgoing, probe};
use crate::harness::{House, PATIENCE};
use crate::traffic::{Traffic, ids, own, set, soon};

fn rollout(house: &House) -> Rollout {
    own(house).rollout().expect("a rollout")
}

async fn ended(house: &House) -> Rollout {
    soon(|| !rollout(house).is_under_way()).await;
    rollout(house)
}

fn versions(house: &House) -> Vec<String> {
    own(house).list().into_iter().filter_map(|instance| instance.version).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_fails_no_request_and_never_misses_more_than_one() {
    let house = House::open().await;
    let addresses = || own(&house).list().into_iter().filter_map(|one| one.address).collect::<BTreeSet<SocketAddr>>();
    let before = addresses();
    let traffic = Traffic::on(&house);
    traffic.flows(20).await;
    own(&house).begin_rollout(None, "a test").expect("it begins");
    let mut least = 3;
    soon(|| {
        let serving = own(&house).list().iter().filter(|one| one.state == State::Healthy).count();
        least = least.min(serving);
        !rollout(&house).is_under_way()
    })
    .await;
    let done = rollout(&house);
    assert_eq!((done.state, done.step, done.of), (Progress::Done, 3, 3), "{done:?}");
    assert!(least >= 2, "{least} took requests");
    assert!(before.is_disjoint(&addresses()), "each is another process now");
    assert_eq!(ids(&house), ["i1", "i2", "i3"]);
    traffic.flows(20).await;
    traffic.loses_nothing().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_instance_another_stands_in_for_it() {
    let house = House::with_one_instance().await;
    let traffic = Traffic::on(&house);
    traffic.flows(20).await;
    own(&house).begin_rollout(None, "a test").expect("it begins");
    assert_eq!(ended(&house).await.state, Progress::Done);
    assert_eq!(ids(&house), ["i1"]);
    traffic.loses_nothing().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_version_takes_the_place_of_the_one_before_and_traces_name_it() {
    let house = House::open().await;
    set(&house, "balancer.release.watch", json!(1));
    let traffic = Traffic::on(&house);
    traffic.flows(20).await;
    own(&house).begin_rollout(Some("v2"), "a test").expect("it begins");
    let busy = own(&house).begin_rollout(None, "a test");
    assert!(matches!(busy, Err(InstancesError::Busy(_))), "{busy:?}");
    let busy = own(&house).add("a test").await;
    assert!(matches!(busy, Err(InstancesError::Busy("release"))), "{busy:?}");
    let done = ended(&house).await;
    assert_eq!(done.state, Progress::Done, "{done:?}");
    assert_eq!(versions(&house), ["v2", "v2", "v2"]);
    traffic.loses_nothing().await;
    let (_, journey) = probe(&house, outgoing(&house, "GET", "/api/v1/menu", None)).await;
    assert!(serde_json::to_string(&*journey).expect("JSON").contains(r#""service.version":"v2""#));
    assert_eq!(own(&house).add("a test").await.expect("one more").version.as_deref(), Some("v2"));
    let already = own(&house).begin_rollout(Some("v2"), "a test");
    assert!(matches!(already, Err(InstancesError::Already(_))), "{already:?}");
    house.stop().await;
}

/// The fault stands in for the mistake in the code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_fails_goes_back_by_itself_with_the_reason() {
    let house = House::open().await;
    set(&house, "fault.instance.errors", json!({ "probability": 50, "instances": ["v2"], "for_s": 300 }));
    set(&house, "balancer.release.watch", json!(60));
    let traffic = Traffic::on(&house);
    traffic.flows(20).await;
    own(&house).begin_rollout(Some("v2"), "a test").expect("it begins");
    let back = ended(&house).await;
    assert_eq!(back.state, Progress::RolledBack, "{back:?}");
    assert!(back.why.is_some_and(|why| why.contains("failed")), "{:?}", back.log);
    assert_eq!((versions(&house), back.step), (vec!["v1".to_owned(); 3], 1), "only one was replaced");
    let statuses = traffic.end().await;
    assert!(statuses[&200] > 0 && statuses.keys().all(|status| [200, 500].contains(status)), "{statuses:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_slow_goes_back_by_itself_with_the_reason() {
    let house = House::open().await;
    set(&house, "fault.instance.slow", json!({ "strength": 400, "instances": ["v2"], "for_s": 300 }));
    set(&house, "balancer.release.watch", json!(60));
    // So that the slow one is asked as often as the others.
    set(&house, "balancer.policy", json!("round_robin"));
    let traffic = Traffic::on(&house);
    traffic.flows(20).await;
    own(&house).begin_rollout(Some("v2"), "a test").expect("it begins");
    let back = ended(&house).await;
    assert_eq!(back.state, Progress::RolledBack, "{back:?}");
    assert!(back.why.is_some_and(|why| why.starts_with("p99 ")), "{:?}", back.log);
    assert_eq!(versions(&house), ["v1", "v1", "v1"]);
    traffic.loses_nothing().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_called_back_by_hand_and_a_stop_does_not_wait_for_one() {
    let house = House::open().await;
    set(&house, "balancer.release.watch", json!(3_600));
    own(&house).begin_rollout(Some("v2"), "a test").expect("it begins");
    soon(|| rollout(&house).state == Progress::Watching).await;
    own(&house).call_back("a test").expect("it goes back");
    let back = ended(&house).await;
    assert_eq!((back.state, back.why.as_deref()), (Progress::RolledBack, Some("it was called back")));
    assert_eq!(versions(&house), ["v1", "v1", "v1"]);
    assert!(matches!(own(&house).call_back("a test"), Err(InstancesError::NoRollout)));
    own(&house).begin_rollout(Some("v3"), "a test").expect("it begins");
    soon(|| rollout(&house).state == Progress::Watching).await;
    tokio::time::timeout(PATIENCE, house.stop()).await.expect("it stops");
}

/// One that gets no requests stands in for nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_one_of_weight_nought_a_restart_loses_no_request_and_both_keep_their_weights() {
    let house = House::open().await;
    own(&house).remove("i3", "a test").await.expect("it goes");
    assert!(house.stack.set_weight("i2", 0).is_some() && house.stack.set_weight("i1", 3).is_some());
    let traffic = Traffic::on(&house);
    traffic.flows(20).await;
    own(&house).begin_rollout(None, "a test").expect("it begins");
    assert_eq!(ended(&house).await.state, Progress::Done);
    let weights: Vec<u32> = own(&house).list().iter().map(|one| one.weight).collect();
    assert_eq!(weights, [3, 0]);
    traffic.loses_nothing().await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_dies_goes_back_and_what_is_dead_comes_back_with_the_one_that_holds() {
    let house = House::open().await;
    set(&house, "balancer.release.watch", json!(3_600));
    set(&house, "fault.instance.kill", json!({ "instances": ["v2"] }));
    own(&house).set_draining("i3", true, "a test").await.expect("it is emptied");
    own(&house).begin_rollout(Some("v2"), "a test").expect("it begins");
    let back = ended(&house).await;
    assert_eq!(back.state, Progress::RolledBack, "{back:?}");
    set(&house, "fault.instance.kill", json!(false));
    soon(|| versions(&house) == ["v1", "v1", "v1"] && own(&house).list().iter().all(|one| !one.killed)).await;
    soon(|| own(&house).list()[0].state == State::Healthy).await;
    assert_eq!(own(&house).list()[2].state, State::Draining);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_instance_that_is_killed_comes_back_empty() {
    let house = House::open().await;
    own(&house).set_draining("i2", true, "a test").await.expect("it is emptied");
    let killed = || own(&house).list()[1].killed;
    set(&house, "fault.instance.kill", json!({ "instances": ["i2"] }));
    soon(killed).await;
    set(&house, "fault.instance.kill", json!(false));
    soon(|| !killed()).await;
    assert_eq!(own(&house).list()[1].state, State::Draining);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_kills_everybody_kills_one_that_starts_while_it_is_on() {
    let house = House::open().await;
    set(&house, "fault.instance.kill", json!(true));
    soon(|| own(&house).list().iter().all(|one| one.killed)).await;
    own(&house).add("a test").await.expect("one more");
    soon(|| own(&house).list().len() == 4 && own(&house).list()[3].killed).await;
    house.stop().await;
}
