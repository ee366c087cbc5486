//! Changes of the list while requests are under way.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use bytes::Bytes;
use http_body_util::BodyExt;
use roundtrip::balancer::{Balancer, Caller, UpstreamConfig};
use roundtrip::policy::health::State;
use roundtrip::settings::balancer::BalancerPolicy;
use roundtrip::settings::runtime::Settings;
use serde_json::json;

use crate::rig::{Rig, SECRET, Upstream, configs, soon, status, until};
use crate::{addresses, body_of, caller, detailed, forward, request, set, three};

#[tokio::test]
async fn a_replaced_list_keeps_those_that_stay_and_lets_the_others_end() {
    let (stays, goes, comes) =
        (Upstream::saying("stays").await, Upstream::saying("goes").await, Upstream::saying("comes").await);
    let rig = Rig::before(&[stays.address, goes.address]).await;
    set(&rig.settings, "balancer.policy", json!("round_robin"));
    let ask = async || soon(forward(&rig.balancer, request(), &caller(), &detailed())).await.unwrap();
    drop(ask().await);
    let leaving = ask().await;
    assert_eq!(leaving.upstream, "i2");
    let before = rig.balancer.view();
    let mut configs = configs(&addresses(&[stays]), false);
    configs[0].weight = 3;
    configs.push(UpstreamConfig::new("i3", comes.address));
    rig.balancer.set_upstreams(configs);
    soon(rig.balancer.ready()).await;
    let after = rig.balancer.view();
    assert_eq!(after[0].ewma_us, before[0].ewma_us, "it is the same one");
    assert_eq!((after[0].weight, after[1].id.as_str()), (3, "i3"));
    let text = leaving.body.collect().await.unwrap().to_bytes();
    assert_eq!(text, "goes", "what was under way ends");
    until(|| goes.open.load(Ordering::SeqCst) == 0).await;
    let asked = goes.heads().len();
    for _ in 0..6 {
        assert_ne!(body_of(&rig.get("/", "").await), "goes");
    }
    assert_eq!(goes.heads().len(), asked);
    let events = rig.balancer.events();
    let gone: Vec<&str> =
        events.iter().filter(|event| event.to == "gone").map(|event| event.upstream.as_str()).collect();
    assert_eq!(gone, ["i2"]);
}

#[tokio::test]
async fn turns_go_on_where_they_were_when_the_list_changes() {
    let upstreams = three().await;
    let rig = Rig::before(&addresses(&upstreams)).await;
    set(&rig.settings, "balancer.policy", json!("round_robin"));
    let next = async || soon(forward(&rig.balancer, request(), &caller(), &detailed())).await.unwrap().upstream;
    assert_eq!([next().await, next().await], ["i1", "i2"]);
    let all = configs(&addresses(&upstreams), false);
    rig.balancer.set_upstreams(all[1..].to_vec());
    assert_eq!([next().await, next().await], ["i3", "i2"]);
    rig.balancer.set_upstreams(all[..1].iter().chain(&all[2..]).cloned().collect());
    soon(rig.balancer.ready()).await;
    assert_eq!([next().await, next().await], ["i1", "i3"], "whoever stands where the last one stood");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_replaced_under_load_costs_nobody_a_request() {
    let upstreams = three().await;
    let rig = Arc::new(Rig::before(&addresses(&upstreams)).await);
    let all = configs(&addresses(&upstreams), false);
    for policy in BalancerPolicy::CHOICES {
        set(&rig.settings, "balancer.policy", json!(policy));
        let answered = Arc::new(AtomicUsize::new(0));
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (rig, answered) = (Arc::clone(&rig), Arc::clone(&answered));
            clients.spawn(async move {
                for _ in 0..20 {
                    assert_eq!(status(&rig.get("/", "").await), 200);
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for turn in 0..8 {
            until(|| answered.load(Ordering::SeqCst) >= turn * 10).await;
            let gone = turn % 3;
            let left = all.iter().enumerate().filter(|(index, _)| *index != gone);
            rig.balancer.set_upstreams(left.map(|(_, config)| config.clone()).collect());
        }
        while let Some(client) = soon(clients.join_next()).await {
            client.unwrap();
        }
        until(|| rig.balancer.view().iter().all(|view| view.in_flight == 0)).await;
    }
}

#[tokio::test]
async fn a_health_path_that_is_gone_from_the_configuration_is_no_longer_asked() {
    let upstream =
        Upstream::start(|_, _| hyper::Response::builder().status(500).body(crate::rig::body("")).unwrap()).await;
    let with = UpstreamConfig { health_path: Some("/bad".into()), ..UpstreamConfig::new("i1", upstream.address) };
    let without = UpstreamConfig { health_path: None, ..with.clone() };
    let balancer = Balancer::new(vec![with], Settings::default(), SECRET.to_owned());
    soon(balancer.ready()).await;
    assert_eq!(balancer.view()[0].state, State::Unhealthy);
    balancer.set_upstreams(vec![without]);
    until(|| balancer.view()[0].state == State::Healthy).await;
}

#[tokio::test]
async fn a_weight_set_by_hand_outlives_a_reload_that_does_not_change_it() {
    let upstream = Upstream::saying("1").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut configs = configs(&[upstream.address], false);
    rig.balancer.set_weight("i1", 4);
    rig.balancer.set_upstreams(configs.clone());
    assert_eq!(rig.balancer.view()[0].weight, 4);
    configs[0].weight = 2;
    rig.balancer.set_upstreams(configs);
    assert_eq!(rig.balancer.view()[0].weight, 2);
}

/// What each of 40 addresses is answered, by the hash of the address.
async fn places(balancer: &Balancer) -> Vec<Bytes> {
    let mut places = Vec::new();
    for host in 0..40 {
        let caller = Caller::at(IpAddr::V4(Ipv4Addr::new(192, 168, 1, host)));
        let answer = soon(forward(balancer, request(), &caller, &detailed())).await.unwrap();
        places.push(soon(answer.body.collect()).await.unwrap().to_bytes());
    }
    places
}

#[tokio::test]
async fn one_put_before_the_others_moves_none_of_them() {
    let upstreams = three().await;
    let all = addresses(&upstreams);
    let rig = Rig::before(&all[1..]).await;
    set(&rig.settings, "balancer.policy", json!("sticky_cookie"));
    let first = soon(forward(&rig.balancer, request(), &caller(), &detailed())).await.unwrap();
    let back = Caller { sticky: first.stick_to.clone(), ..caller() };
    let said = soon(first.body.collect()).await.unwrap().to_bytes();
    set(&rig.settings, "balancer.policy", json!("ip_hash"));
    let (before, placed) = (rig.balancer.view(), places(&rig.balancer).await);
    let (before, open) = (before[0].state, upstreams[1].open.load(Ordering::SeqCst));
    let mut shifted = configs(&all, false);
    shifted[0].weight = 0;
    rig.balancer.set_upstreams(shifted.clone());
    let after = rig.balancer.view();
    assert_eq!(after.iter().map(|view| view.id.as_str()).collect::<Vec<_>>(), ["i1", "i2", "i3"]);
    assert_eq!((after[1].state, after[2].state), (before, before), "known, and not to be looked at anew");
    assert!(after[1].target.ends_with(&all[1].port().to_string()));
    assert_eq!(places(&rig.balancer).await, placed);
    assert_eq!(upstreams[1].open.load(Ordering::SeqCst), open, "their connections are kept");
    set(&rig.settings, "balancer.policy", json!("sticky_cookie"));
    let again = Balancer::new(shifted, rig.settings.clone(), SECRET.to_owned());
    soon(again.ready()).await;
    for balancer in [&rig.balancer, &again] {
        let answer = soon(forward(balancer, request(), &back, &detailed())).await.unwrap();
        assert_eq!(soon(answer.body.collect()).await.unwrap().to_bytes(), said, "and so does a cookie");
    }
}

#[tokio::test]
async fn one_in_the_place_of_another_of_ours_keeps_its_people_and_what_the_other_has_under_way_ends() {
    let (old, other, new) =
        (Upstream::saying("old").await, Upstream::saying("other").await, Upstream::saying("new").await);
    let rig = Rig::before_own(&[old.address, other.address]).await;
    set(&rig.settings, "balancer.policy", json!("sticky_cookie"));
    rig.balancer.set_draining("i2", true);
    let first = rig.get("/", "").await;
    let line = first.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie: ")).expect("a cookie");
    let cookie = format!("Cookie: {}\r\n", line[12..].split(';').next().unwrap());
    let leaving = soon(forward(&rig.balancer, request(), &caller(), &detailed())).await.unwrap();
    assert_eq!(leaving.upstream, "i1");
    rig.balancer.set_draining("i2", false);
    let (before, version) = (rig.balancer.tally("i1").expect("it is there"), Some("v2".to_owned()));
    assert_eq!((before.good, before.failed), (1, 0), "how the other went is not known before its end");
    rig.balancer.put_upstream(UpstreamConfig { own: true, version, ..UpstreamConfig::new("i1", new.address) });
    soon(rig.balancer.ready()).await;
    assert_eq!(body_of(&rig.get("/", &cookie).await), "new");
    assert_eq!(rig.balancer.tally("i1").expect("it is there").all(), 1, "what the one before did is not its");
    let views = rig.balancer.view();
    assert_eq!((views.len(), views[0].id.as_str(), views[0].version.as_deref()), (2, "i1", Some("v2")));
    assert!(leaving.body.collect().await.is_ok(), "what was under way ends");
    assert!(rig.balancer.remove_upstream("i1") && !rig.balancer.remove_upstream("i1"));
    assert_eq!(body_of(&rig.get("/", &cookie).await), "other");
}

#[tokio::test]
async fn one_is_empty_as_soon_as_its_last_answer_has_ended() {
    let upstream = Upstream::saying("slowly read").await;
    let rig = Rig::before(&[upstream.address]).await;
    soon(rig.balancer.emptied("i1")).await;
    let answer = soon(forward(&rig.balancer, request(), &caller(), &detailed())).await.unwrap();
    let mut emptied = pin!(rig.balancer.emptied("i1"));
    let looked = emptied.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(looked.is_pending(), "an answer is under way");
    drop(answer);
    soon(emptied).await;
    soon(rig.balancer.emptied("nobody")).await;
}
