//! Changes of the list while requests are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use roundtrip::balancer::UpstreamConfig;
use roundtrip::settings::balancer::BalancerPolicy;
use serde_json::json;

use crate::rig::{Rig, Upstream, configs, soon, status, until};
use crate::{addresses, body_of, caller, detailed, request, set, three};

#[tokio::test]
async fn a_replaced_list_keeps_those_that_stay_and_lets_the_others_end() {
    let (stays, goes, comes) =
        (Upstream::saying("stays").await, Upstream::saying("goes").await, Upstream::saying("comes").await);
    let rig = Rig::before(&[stays.address, goes.address]).await;
    set(&rig.settings, "balancer.policy", json!("round_robin"));
    let ask = async || soon(rig.balancer.forward(request(), &caller(), &detailed())).await.unwrap();
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
    let next = async || soon(rig.balancer.forward(request(), &caller(), &detailed())).await.unwrap().upstream;
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
