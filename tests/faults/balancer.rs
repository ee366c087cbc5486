//! The balancer under faults: late, wrong, blind, and giving up.

use roundtrip::faults::{Place, over};
use roundtrip::policy::health::State;
use roundtrip::settings::fault::Fault;
use serde_json::json;

use crate::back::{MENU, console_lives, look, off, set, struck_us, until, without_caches};
use crate::harness::House;
use crate::harness::probes::{attribute, span};

const KILL: &str = "fault.instance.kill";

fn state(house: &House, id: &str) -> Option<State> {
    house.stack.instances().into_iter().find(|view| view.id == id).map(|view| view.state)
}

async fn kill(house: &House, id: &str) {
    set(house, KILL, json!({ "instances": [id] }));
    until("it is dead", async || !house.stack.menu_caches().iter().any(|(other, _)| other == id)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_of_the_balancer_is_a_span_before_the_request_is_passed_on() {
    let house = without_caches(3).await;
    let key = "fault.balancer.delay";
    set(&house, key, json!({ "strength": 50, "route": MENU }));
    let (status, journey) = look(&house, MENU).await;
    assert_eq!((status, journey.summary.faults.as_slice()), (200, &[key.to_owned()][..]));
    assert!(struck_us(&journey, key) >= 50_000.0);
    let (held, passed_on) = (span(&journey, "Held up by a fault"), span(&journey, "Answer the request"));
    let (held, passed_on) = (held.expect("a span"), passed_on.expect("the instance's part"));
    assert!(held.start_us + held.duration_us <= passed_on.start_us);
    console_lives(&house).await;
    set(&house, key, json!({ "strength": 50, "for_s": 1 }));
    over(house.stack.settings(), Fault::BalancerDelay, Place::ANYWHERE).await;
    assert_eq!(look(&house, MENU).await.1.summary.faults, Vec::<String>::new());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_choice_takes_the_one_that_is_out_and_says_why() {
    let house = without_caches(3).await;
    let key = "fault.balancer.wrong_instance";
    kill(&house, "i2").await;
    until("it is known to be dead", async || state(&house, "i2") == Some(State::Unhealthy)).await;
    set(&house, key, json!(100));
    let (_, journey) = look(&house, MENU).await;
    assert_eq!(journey.summary.faults, [key]);
    let why = attribute(&journey, "roundtrip.balancer.why").and_then(|why| why.as_str()).expect("a reason");
    assert!(why.starts_with("i2") && why.contains(key), "{why}");
    console_lives(&house).await;
    off(&house, key);
    let (status, journey) = look(&house, MENU).await;
    assert_eq!((status, journey.summary.faults.as_slice()), (200, &[][..]));
    off(&house, KILL);
    until("it is well", async || state(&house, "i2") == Some(State::Healthy)).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_health_checks_the_dead_stay_in_the_list_and_without_retries_that_is_felt() {
    let house = without_caches(3).await;
    set(&house, "balancer.policy", json!("round_robin"));
    set(&house, "balancer.health.interval", json!(100));
    set(&house, "balancer.retry.budget", json!(100));
    set(&house, "balancer.breaker.mode", json!("off"));
    let blind = "fault.balancer.no_health_checks";
    set(&house, blind, json!(true));
    kill(&house, "i2").await;
    let person = house.visitor();
    for _ in 0..12 {
        assert_eq!(person.get(MENU).await.status, 200, "what fails at the dead one is tried at another");
    }
    assert_eq!(state(&house, "i2"), Some(State::Healthy), "nobody has looked, and nobody is ejected");
    let once = "fault.balancer.no_retries";
    set(&house, once, json!({ "route": MENU }));
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(person.get(MENU).await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status != 200).count(), 2, "each third: {statuses:?}");
    console_lives(&house).await;
    off(&house, once);
    assert_eq!(person.get(MENU).await.status, 200);
    set(&house, blind, json!({ "for_s": 1 }));
    until("somebody looks again", async || state(&house, "i2") == Some(State::Unhealthy)).await;
    off(&house, KILL);
    until("it is well", async || state(&house, "i2") == Some(State::Healthy)).await;
    house.stop().await;
}
