//! `Expect: 100-continue`.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::rig::{Rig, Upstream, problem, raw_upstream, soon, status};

#[tokio::test]
async fn the_client_is_told_to_go_on_before_it_sends_its_body() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut client = rig.connect().await;
    let head = format!("POST / HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", rig.host);
    client.write(&head).await;
    assert_eq!(client.read_until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write("hi").await;
    assert_eq!(status(&client.read_until("hello").await), 200);
}

const POST: &str = "POST / HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";

#[tokio::test]
async fn the_client_is_not_asked_for_its_body_before_the_upstream_asks() {
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let upstream = {
        let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
        raw_upstream(move |mut stream| {
            let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
            async move {
                asked.notify_one();
                go_on.notified().await;
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
                let mut body = [0; 2];
                stream.read_exact(&mut body).await.unwrap();
                assert_eq!(&body, b"hi");
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await.unwrap();
                let _ = stream.read(&mut [0]).await;
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let mut client = rig.connect().await;
    client.write(&POST.replace("HOST", &rig.host)).await;
    soon(asked.notified()).await;
    let mut byte = [0];
    assert!(client.stream.try_read(&mut byte).is_err(), "nothing has come yet");
    go_on.notify_one();
    assert_eq!(client.read_until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write("hi").await;
    let answer = client.read_until("done").await;
    assert!(status(&answer) == 200 && !answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_final_answer_instead_comes_at_once_and_the_body_is_never_asked_for() {
    let closed = Arc::new(Notify::new());
    let upstream = {
        let closed = Arc::clone(&closed);
        raw_upstream(move |mut stream| {
            let closed = Arc::clone(&closed);
            async move {
                stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
                assert!(rest.is_empty(), "{rest:?}");
                closed.notify_one();
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let answer = rig.exchange(POST).await;
    assert!(status(&answer) == 401 && answer.contains("connection: close\r\n") && answer.ends_with("no"), "{answer}");
    assert!(!answer.contains("100 Continue"));
    soon(closed.notified()).await;
}

#[tokio::test]
async fn an_upstream_that_does_not_know_the_expectation_gets_the_body_all_the_same() {
    let upstream = raw_upstream(|mut stream| async move {
        let mut body = [0; 2];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let rig = Rig::before(&[upstream]).await;
    let mut client = rig.connect().await;
    client.write(&POST.replace("HOST", &rig.host)).await;
    client.read_until("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.write("hi").await;
    assert_eq!(status(&client.read_until("done").await), 200);
}

#[tokio::test]
async fn another_expectation_is_refused_but_not_of_http_1_0_which_knows_none() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for value in ["200-ok", "100-continue, x", ""] {
        let answer = rig.exchange(&format!("GET / HTTP/1.1\r\nHost: HOST\r\nExpect: {value}\r\n\r\n")).await;
        assert_eq!((status(&answer), problem(&answer).status), (417, 417), "{value}");
    }
    assert!(upstream.heads().is_empty());
    assert_eq!(status(&rig.exchange("GET / HTTP/1.0\r\nHost: HOST\r\nExpect: 200-ok\r\n\r\n").await), 200);
    assert!(!upstream.heads()[0].headers.contains_key("expect"));
}
