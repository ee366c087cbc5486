//! What is asked twice, and what never.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response};
use roundtrip::balancer::Caller;
use roundtrip::balancer::answer::Answer;
use roundtrip::balancer::failure::Failure;
use roundtrip::balancer::upload::Upload;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Rig, Upstream, body, raw_upstream, soon, until};
use crate::{attribute, caller, detailed, forward, named, set};

/// Answers 503 with `fields` and its own name.
async fn failing(name: &'static str, fields: &'static [(&'static str, &'static str)]) -> Upstream {
    Upstream::start(move |_, _| {
        let head =
            fields.iter().fold(Response::builder().status(503), |head, (name, value)| head.header(*name, *value));
        head.body(body(name)).unwrap()
    })
    .await
}

/// In turn, so that it is known who is asked first.
async fn in_turn(upstreams: &[SocketAddr]) -> Rig {
    let rig = Rig::before(upstreams).await;
    set(&rig.settings, "balancer.policy", json!("round_robin"));
    rig
}

fn asking(method: Method, text: &str) -> Request<Upload> {
    let upload = if text.is_empty() { Upload::Empty } else { Upload::stream(Full::from(text.to_owned())) };
    Request::builder().method(method).uri("/").header("host", "a").header("x-kept", "1").body(upload).unwrap()
}

/// The answer, its text, and why nobody else was asked.
async fn ask(rig: &Rig, request: Request<Upload>, caller: &Caller) -> (Answer, String) {
    let root = detailed();
    let answer = soon(forward(&rig.balancer, request, caller, &root)).await.unwrap();
    let spans = root.trace().finish();
    let last = *named(&spans, "Forward to an instance").last().unwrap();
    (answer, attribute(last, "roundtrip.balancer.not_again").as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn what_does_no_harm_twice_is_asked_of_another_after_a_503_body_and_all() {
    for (method, text) in [
        (Method::GET, ""),
        (Method::HEAD, ""),
        (Method::OPTIONS, ""),
        (Method::DELETE, ""),
        (Method::PUT, "hello"),
        (Method::PUT, &*"x".repeat(64 * 1024)),
    ] {
        let (bad, good) = (failing("bad", &[]).await, Upstream::saying("good").await);
        let rig = in_turn(&[bad.address, good.address]).await;
        let (answer, _) = ask(&rig, asking(method.clone(), text), &caller()).await;
        assert_eq!((answer.head.status.as_u16(), answer.upstream.as_str()), (200, "i2"), "{method}");
        let seen = good.seen.lock().unwrap();
        assert_eq!((&seen[0].0.method, seen[0].1.len()), (&method, text.len()));
        assert_eq!(
            (&seen[0].0.headers["x-kept"], &seen[0].0.headers["host"]),
            (&"1".parse().unwrap(), &"a".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn a_post_is_asked_once_unless_its_key_makes_it_safe() {
    let counts = Caller { idempotency_key_counts: true, ..caller() };
    for (key, caller, upstream) in [(false, &counts, "i1"), (true, &caller(), "i1"), (true, &counts, "i2")] {
        let (bad, good) = (failing("bad", &[]).await, Upstream::saying("good").await);
        let rig = in_turn(&[bad.address, good.address]).await;
        let mut request = asking(Method::POST, "hello");
        if key {
            request.headers_mut().insert("idempotency-key", "1".parse().unwrap());
        }
        let (answer, why) = ask(&rig, request, caller).await;
        assert_eq!(answer.upstream, upstream);
        assert!(upstream == "i2" || why == "a second time might do it twice", "{why}");
    }
}

#[tokio::test]
async fn a_body_beyond_64_kib_is_sent_once() {
    let (bad, good) = (failing("bad", &[]).await, Upstream::saying("good").await);
    let rig = in_turn(&[bad.address, good.address]).await;
    let (answer, why) = ask(&rig, asking(Method::PUT, &"x".repeat(64 * 1024 + 1)), &caller()).await;
    assert_eq!((answer.head.status.as_u16(), why.as_str()), (503, "its body is too long to be sent again"));
    assert!(good.heads().is_empty());
}

#[tokio::test]
async fn the_last_error_is_passed_on_body_and_all() {
    let upstreams = [failing("1", &[]).await, failing("2", &[]).await, failing("3", &[]).await];
    let rig = in_turn(&crate::addresses(&upstreams)).await;
    let (answer, why) = ask(&rig, asking(Method::GET, ""), &caller()).await;
    assert_eq!((answer.head.status.as_u16(), why.as_str()), (503, "it was the last attempt"));
    assert_eq!(soon(answer.body.collect()).await.unwrap().to_bytes(), "3");
    let asked: Vec<usize> = upstreams.iter().map(|upstream| upstream.heads().len()).collect();
    assert_eq!(asked, [1, 1, 1], "another one each time");
}

#[tokio::test]
async fn the_connection_of_an_error_that_nobody_wants_is_kept() {
    let (bad, good) = (failing("bad", &[]).await, Upstream::saying("good").await);
    let rig = in_turn(&[bad.address, good.address]).await;
    for _ in 0..3 {
        let (answer, _) = ask(&rig, asking(Method::GET, ""), &caller()).await;
        assert_eq!(answer.upstream, "i2");
        until(|| rig.balancer.view()[0].in_flight == 0).await;
        // The turn of the bad one is next: the good one was the last.
    }
    let seen = bad.seen.lock().unwrap();
    assert!(seen.len() == 3 && seen.iter().all(|(_, _, peer)| *peer == seen[0].2), "one connection for all");
}

#[tokio::test]
async fn an_error_that_was_answered_beats_one_that_was_not() {
    let gone = raw_upstream(|stream| async move { drop(stream) }).await;
    let bad = failing("says why", &[]).await;
    let rig = in_turn(&[bad.address, gone]).await;
    let (answer, _) = ask(&rig, asking(Method::GET, ""), &caller()).await;
    assert_eq!(answer.upstream, "i1");
    assert_eq!(soon(answer.body.collect()).await.unwrap().to_bytes(), "says why");
}

#[tokio::test]
async fn whoever_asks_for_a_long_pause_gets_no_second_attempt() {
    for (fields, status) in [
        (&[("retry-after", "30")][..], 503),
        (&[("retry-after", "Wed, 21 Oct 2065 07:28:00 GMT")], 503),
        (&[("retry-after", "0")], 200),
    ] {
        let (bad, good) = (failing("bad", fields).await, Upstream::saying("good").await);
        let rig = in_turn(&[bad.address, good.address]).await;
        let (answer, _) = ask(&rig, asking(Method::GET, ""), &caller()).await;
        assert_eq!(answer.head.status, status, "{fields:?}");
    }
}

#[tokio::test]
async fn attempts_and_budget_are_settings() {
    for (settings, why) in [
        (&[("balancer.retry.attempts", 1)][..], "it was the last attempt"),
        (&[("balancer.retry.budget", 0), ("balancer.retry.floor", 0)], "the retry budget is used up"),
    ] {
        let (bad, good) = (failing("bad", &[]).await, Upstream::saying("good").await);
        let rig = in_turn(&[bad.address, good.address]).await;
        for (key, value) in settings {
            set(&rig.settings, key, json!(value));
        }
        let (answer, said) = ask(&rig, asking(Method::GET, ""), &caller()).await;
        assert_eq!((answer.head.status.as_u16(), said.as_str()), (503, why));
    }
}

#[tokio::test]
async fn the_deadline_holds_for_all_attempts_together() {
    let silent = || {
        raw_upstream(|stream| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
    };
    let rig = in_turn(&[silent().await, silent().await]).await;
    set(&rig.settings, "balancer.timeout.deadline", json!(100));
    let root = detailed();
    let failure = soon(forward(&rig.balancer, asking(Method::GET, ""), &caller(), &root)).await.unwrap_err();
    assert!(matches!(failure, Failure::TooSlow { .. }) && failure.problem().status == 504, "{failure}");
    let spans = root.trace().finish();
    let [attempt] = named(&spans, "Forward to an instance")[..] else { panic!("{spans:?}") };
    assert_eq!(attribute(attempt, "roundtrip.balancer.not_again"), "the deadline is near");
}

#[tokio::test]
async fn a_silent_upstream_is_given_up_for_another_while_there_is_time() {
    let silent = raw_upstream(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let good = Upstream::saying("good").await;
    let rig = in_turn(&[silent, good.address]).await;
    set(&rig.settings, "balancer.timeout.head", json!(50));
    let (answer, _) = ask(&rig, asking(Method::GET, ""), &caller()).await;
    assert_eq!(answer.upstream, "i2");
}

#[tokio::test]
async fn an_answer_that_has_begun_may_outlast_the_deadline() {
    let deadline = std::time::Duration::from_millis(100);
    let slow = raw_upstream(move |mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await.unwrap();
        // The slowness is what is tested.
        tokio::time::sleep(deadline * 3).await;
        stream.write_all(b"world").await.unwrap();
    })
    .await;
    let rig = in_turn(&[slow]).await;
    set(&rig.settings, "balancer.timeout.deadline", json!(100));
    let (answer, _) = ask(&rig, asking(Method::GET, ""), &caller()).await;
    assert_eq!(soon(answer.body.collect()).await.unwrap().to_bytes(), "helloworld");
}

#[tokio::test]
async fn once_a_byte_came_back_over_a_kept_connection_nothing_is_sent_again_on_the_side() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let upstream = raw_upstream(move |mut stream| async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
            let _ = stream.write_all(garbage.as_bytes()).await;
        })
        .await;
        let rig = in_turn(&[upstream]).await;
        ask(&rig, asking(Method::GET, ""), &caller()).await;
        until(|| rig.balancer.view()[0].in_flight == 0).await;
        let again = soon(forward(&rig.balancer, asking(Method::DELETE, ""), &caller(), &detailed())).await;
        assert!(matches!(again, Err(Failure::Broken { .. })), "{garbage}: {again:?}");
    }
}

async fn silent() -> SocketAddr {
    raw_upstream(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await
}

#[tokio::test]
async fn whoever_got_only_what_the_deadline_left_is_not_blamed() {
    let rig = in_turn(&[silent().await, silent().await]).await;
    set(&rig.settings, "balancer.timeout.head", json!(300));
    set(&rig.settings, "balancer.timeout.deadline", json!(500));
    let root = detailed();
    let failure = soon(forward(&rig.balancer, asking(Method::GET, ""), &caller(), &root)).await.unwrap_err();
    assert!(matches!(failure, Failure::TooSlow { .. }), "{failure}");
    assert_eq!(named(&root.trace().finish(), "Forward to an instance").len(), 2);
    let blamed: Vec<bool> = rig.balancer.view().iter().map(|view| view.ewma_us.is_some()).collect();
    assert_eq!(blamed, [true, false]);
}

/// A body without end.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 64 * 1024])))))
    }
}

#[tokio::test]
async fn the_deadline_runs_while_the_upstream_reads_slowly() {
    let slow = raw_upstream(|mut stream| async move {
        while stream.read(&mut vec![0; 256 * 1024]).await.is_ok_and(|read| read > 0) {
            // The slowness is what is tested.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let rig = in_turn(&[slow]).await;
    set(&rig.settings, "balancer.timeout.deadline", json!(200));
    let request = Request::post("/").header("host", "a").body(Upload::stream(Endless)).unwrap();
    let failure = soon(forward(&rig.balancer, request, &caller(), &detailed())).await.unwrap_err();
    assert!(matches!(failure, Failure::TooSlow { .. }), "{failure}");
}

#[tokio::test]
async fn an_error_that_is_kept_while_another_is_asked_takes_up_no_place() {
    let (bad, asked) = (failing("bad", &[]).await, silent().await);
    let rig = in_turn(&[bad.address, asked]).await;
    set(&rig.settings, "balancer.timeout.head", json!(3_000));
    let balancer = rig.balancer.clone();
    let asking = asking(Method::GET, "");
    let task = tokio::spawn(async move { forward(&balancer, asking, &caller(), &detailed()).await.unwrap() });
    until(|| rig.balancer.view()[1].in_flight == 1).await;
    assert_eq!(rig.balancer.view()[0].in_flight, 0);
    let answer = soon(task).await.unwrap();
    assert_eq!(answer.upstream, "i1");
    assert_eq!(soon(answer.body.collect()).await.unwrap().to_bytes(), "bad");
}
