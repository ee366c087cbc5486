//! When all upstreams are full.

use std::sync::{Arc, Mutex};

use hyper::Response;
use roundtrip::balancer::Balancer;
use roundtrip::balancer::answer::Answer;
use roundtrip::balancer::failure::Failure;
use serde_json::json;

use crate::rig::{Rig, Upstream, body, soon, status, until};
use crate::{caller, detailed, forward, named, request, set};

/// A balancer with room for one request.
async fn narrow(upstream: &Upstream) -> Rig {
    let rig = Rig::before(&[upstream.address]).await;
    set(&rig.settings, "balancer.concurrency", json!(1));
    set(&rig.settings, "balancer.queue.wait", json!(10_000));
    rig
}

async fn ask(balancer: &Balancer) -> Result<Answer, Failure> {
    soon(forward(balancer, request(), &caller(), &detailed())).await
}

#[tokio::test]
async fn those_who_wait_are_served_in_the_order_of_their_coming() {
    let upstream = Upstream::saying("hello").await;
    let rig = narrow(&upstream).await;
    let first = ask(&rig.balancer).await.unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for number in 0..5 {
        let (balancer, served) = (rig.balancer.clone(), Arc::clone(&served));
        waiting.push(tokio::spawn(async move {
            let root = detailed();
            let answer = soon(forward(&balancer, request(), &caller(), &root)).await.unwrap();
            served.lock().unwrap().push(number);
            drop(answer);
            root.trace().finish()
        }));
        until(|| rig.balancer.waiting() == number + 1).await;
    }
    drop(first);
    for task in waiting {
        let spans = soon(task).await.unwrap();
        assert_eq!(named(&spans, "Wait in the queue").len(), 1);
    }
    assert_eq!(*served.lock().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!((rig.balancer.waiting(), rig.balancer.view()[0].in_flight), (0, 0));
    let root = detailed();
    soon(forward(&rig.balancer, request(), &caller(), &root)).await.unwrap();
    assert!(named(&root.trace().finish(), "Wait in the queue").is_empty(), "it did not wait");
}

#[tokio::test]
async fn beyond_its_length_and_its_time_the_queue_turns_away() {
    let upstream = Upstream::saying("hello").await;
    let rig = narrow(&upstream).await;
    let _first = ask(&rig.balancer).await.unwrap();
    set(&rig.settings, "balancer.queue.length", json!(0));
    assert!(matches!(ask(&rig.balancer).await, Err(Failure::QueueFull { .. })));
    set(&rig.settings, "balancer.queue.length", json!(1));
    set(&rig.settings, "balancer.queue.wait", json!(10));
    let answer = rig.get("/", "").await;
    assert_eq!(status(&answer), 503);
    assert!(answer.contains("/problems/overloaded") && answer.contains("\"hop\":\"balancer\""), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("retry-after: 1"), "{answer}");
    assert_eq!((rig.balancer.waiting(), upstream.heads().len()), (0, 1));
}

#[tokio::test]
async fn a_client_that_leaves_is_out_of_the_queue_at_once() {
    let upstream = Upstream::saying("hello").await;
    let rig = narrow(&upstream).await;
    let first = ask(&rig.balancer).await.unwrap();
    let mut client = rig.connect().await;
    client.write(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    until(|| rig.balancer.waiting() == 1).await;
    drop(client);
    until(|| rig.balancer.waiting() == 0).await;
    drop(first);
    ask(&rig.balancer).await.unwrap();
    assert_eq!(upstream.heads().len(), 2, "nobody asked for the one who left");
}

#[tokio::test]
async fn another_upstream_with_room_is_used_before_anybody_waits() {
    let upstreams = [Upstream::saying("1").await, Upstream::saying("2").await];
    let rig = Rig::before(&crate::addresses(&upstreams)).await;
    set(&rig.settings, "balancer.concurrency", json!(1));
    let (one, other) = (ask(&rig.balancer).await.unwrap(), ask(&rig.balancer).await.unwrap());
    assert_ne!(one.upstream, other.upstream);
}

#[tokio::test]
async fn a_second_attempt_does_not_wait_in_line_and_holds_up_nobody() {
    let bad = Upstream::start(|_, _| Response::builder().status(503).body(body("bad")).unwrap()).await;
    let good = Upstream::saying("good").await;
    let rig = Rig::before(&[bad.address, good.address]).await;
    set(&rig.settings, "balancer.concurrency", json!(1));
    set(&rig.settings, "balancer.queue.wait", json!(60_000));
    rig.balancer.set_draining("i1", true);
    let busy = ask(&rig.balancer).await.unwrap();
    rig.balancer.set_draining("i1", false);
    for _ in 0..2 {
        let answer = ask(&rig.balancer).await.unwrap();
        assert_eq!((answer.upstream.as_str(), answer.head.status.as_u16()), ("i1", 503), "the answer that was there");
    }
    assert_eq!((busy.upstream.as_str(), rig.balancer.waiting()), ("i2", 0));
}
