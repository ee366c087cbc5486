//! Who is chosen, and what the trace says about it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use roundtrip::balancer::{Balancer, Caller};
use roundtrip::observe::journey::Candidate;
use roundtrip::observe::part::CANDIDATES;
use roundtrip::policy::health::State;
use roundtrip::settings::balancer::BalancerPolicy;
use serde_json::json;

use crate::rig::{Rig, Upstream, field, soon, status};
use crate::{addresses, attribute, body_of, caller, choices, detailed, forward, named, request, set, three};

/// How many of `count` requests each upstream gets.
async fn spread(balancer: &Balancer, count: usize) -> HashMap<String, usize> {
    let mut got = HashMap::new();
    for _ in 0..count {
        let answer = soon(forward(balancer, request(), &caller(), &detailed())).await.unwrap();
        *got.entry(answer.upstream).or_default() += 1;
    }
    got
}

#[tokio::test]
async fn weighted_turns_follow_the_weights_and_a_changed_weight_holds_at_once() {
    let upstreams = three().await;
    let rig = Rig::before(&addresses(&upstreams)).await;
    set(&rig.settings, "balancer.policy", json!("weighted_round_robin"));
    assert!(rig.balancer.set_weight("i1", 4) && !rig.balancer.set_weight("i9", 4));
    let expected = |counts: [(&str, usize); 3]| {
        counts.into_iter().filter(|(_, count)| *count > 0).map(|(id, count)| (id.to_owned(), count)).collect()
    };
    assert_eq!(spread(&rig.balancer, 12).await, expected([("i1", 8), ("i2", 2), ("i3", 2)]));
    rig.balancer.set_weight("i1", 0);
    assert_eq!(spread(&rig.balancer, 12).await, expected([("i1", 0), ("i2", 6), ("i3", 6)]));
}

#[tokio::test]
async fn the_least_loaded_of_two_gets_the_next_request() {
    let upstreams = [Upstream::saying("1").await, Upstream::saying("2").await];
    let rig = Rig::before(&addresses(&upstreams)).await;
    set(&rig.settings, "balancer.policy", json!("least_request"));
    // Under way as long as its answer is not read.
    let busy = soon(forward(&rig.balancer, request(), &caller(), &detailed())).await.unwrap();
    let others = spread(&rig.balancer, 10).await;
    assert!(others.len() == 1 && !others.contains_key(&busy.upstream), "{others:?}");
}

#[tokio::test]
async fn an_address_keeps_its_upstream_and_only_those_of_one_that_leaves_move() {
    let upstreams = three().await;
    let rig = Rig::before(&addresses(&upstreams)).await;
    set(&rig.settings, "balancer.policy", json!("ip_hash"));
    let place = async |host: u8| {
        let caller = Caller::at(IpAddr::V4(Ipv4Addr::new(192, 168, 1, host)));
        soon(forward(&rig.balancer, request(), &caller, &detailed())).await.unwrap().upstream
    };
    let mut before = Vec::new();
    for host in 0..60 {
        before.push(place(host).await);
    }
    assert!(["i1", "i2", "i3"].iter().all(|id| before.iter().any(|other| other == id)), "{before:?}");
    assert!(rig.balancer.set_draining("i2", true));
    for host in 0..60 {
        let (was, is) = (&before[usize::from(host)], place(host).await);
        assert!(if was == "i2" { is != "i2" } else { is == *was });
    }
    rig.balancer.set_draining("i2", false);
    for host in 0..60 {
        assert_eq!(place(host).await, before[usize::from(host)], "it came back, and they with it");
    }
}

#[tokio::test]
async fn a_sticky_cookie_leads_back_and_says_nothing_to_others() {
    let upstreams = three().await;
    let rig = Rig::before(&addresses(&upstreams)).await;
    set(&rig.settings, "balancer.policy", json!("sticky_cookie"));
    let first = rig.get("/", "").await;
    let line = first.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie: ")).expect("a cookie");
    let cookie = line[12..].split(';').next().unwrap();
    assert!(cookie.starts_with("rt_upstream=") && line.contains("HttpOnly") && !line.contains("127.0.0.1"), "{line}");
    for _ in 0..10 {
        let again = rig.get("/", &format!("Cookie: theme=dark; {cookie}\r\n")).await;
        assert_eq!(body_of(&again), body_of(&first));
        assert!(!again.to_ascii_lowercase().contains("set-cookie"), "it has one");
    }
    for upstream in &upstreams {
        for head in upstream.heads().iter().filter(|head| head.headers.contains_key("cookie")) {
            assert_eq!(field(&head.headers, "cookie"), ["theme=dark"], "the upstream sees its own cookies only");
        }
    }
    let id = format!("i{}", body_of(&first));
    rig.balancer.set_draining(&id, true);
    let moved = rig.get("/", &format!("Cookie: {cookie}\r\n")).await;
    assert!(status(&moved) == 200 && body_of(&moved) != body_of(&first));
    assert!(moved.to_ascii_lowercase().contains("set-cookie: rt_upstream="), "it sticks elsewhere from now on");
}

#[tokio::test]
async fn no_policy_picks_one_that_is_drained_or_taken_out_or_sick_while_another_lives() {
    let upstreams = three().await;
    let rig = Rig::before(&addresses(&upstreams)).await;
    for policy in BalancerPolicy::CHOICES {
        set(&rig.settings, "balancer.policy", json!(policy));
        rig.balancer.set_draining("i1", true);
        rig.balancer.set_stopped("i3", true);
        let got = spread(&rig.balancer, 20).await;
        assert_eq!(got, HashMap::from([("i2".to_owned(), 20)]), "{policy}");
        let states: Vec<State> = rig.balancer.view().iter().map(|view| view.state).collect();
        assert_eq!(states, [State::Draining, State::Healthy, State::Stopped]);
        rig.balancer.set_draining("i1", false);
        rig.balancer.set_stopped("i3", false);
        soon(rig.balancer.ready()).await;
    }
}

#[tokio::test]
async fn every_policy_says_what_it_compared_and_why() {
    let upstreams = three().await;
    let rig = Rig::before(&addresses(&upstreams)).await;
    rig.balancer.set_draining("i3", true);
    for (policy, why, scored) in [
        ("round_robin", "it is the turn of", 0),
        ("weighted_round_robin", "owed the most turns", 2),
        ("least_request", "lower score", 2),
        ("p2c_peak_ewma", "lower score", 2),
        ("random", "drawn at random", 0),
        ("ip_hash", "ranks highest", 2),
        ("sticky_cookie", "no cookie that names one of those", 2),
    ] {
        set(&rig.settings, "balancer.policy", json!(policy));
        let root = detailed();
        let answer = soon(forward(&rig.balancer, request(), &caller(), &root)).await.unwrap();
        let spans = root.trace().finish();
        let choice = named(&spans, "Choose an instance")[0];
        assert_eq!(attribute(choice, "roundtrip.balancer.policy"), policy);
        let said = attribute(choice, "roundtrip.balancer.why");
        assert!(said.as_str().is_some_and(|said| said.contains(why) && said.contains(&answer.upstream)), "{said}");
        let candidates: Vec<Candidate> = serde_json::from_value(attribute(choice, CANDIDATES)).unwrap();
        assert_eq!(candidates.iter().filter(|each| each.score.is_some()).count(), scored, "{candidates:?}");
        assert_eq!(
            candidates.iter().filter(|each| each.chosen).map(|each| &each.id).collect::<Vec<_>>(),
            [&answer.upstream]
        );
        assert_eq!(
            (candidates[2].state.as_str(), candidates[2].why.as_str()),
            ("draining", "draining: no new requests")
        );
        assert!(candidates.iter().all(|each| each.weight == 1.0 && each.breaker == "closed" && !each.why.is_empty()));
    }
}

#[tokio::test]
async fn one_that_comes_back_starts_slowly_and_the_trace_says_so() {
    let upstreams = three().await;
    let rig = Rig::before(&addresses(&upstreams)).await;
    set(&rig.settings, "balancer.slow_start", json!(300_000));
    rig.balancer.set_draining("i1", true);
    rig.balancer.set_draining("i1", false);
    let candidates = choices(&rig.balancer).await;
    assert!(candidates[0].weight <= 0.11 && candidates[1].weight == 1.0, "{candidates:?}");
    assert!(candidates[0].why.contains("starts slowly"), "{candidates:?}");
    set(&rig.settings, "balancer.slow_start", json!(0));
    assert_eq!(choices(&rig.balancer).await[0].weight, 1.0);
}
