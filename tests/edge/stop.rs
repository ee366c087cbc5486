//! How an edge ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::rig::{PATIENCE, Rig, raw_upstream, soon, status};

#[tokio::test]
async fn a_stop_lets_what_is_under_way_end_and_lets_nobody_else_in() {
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let upstream = {
        let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
        raw_upstream(move |mut stream| {
            let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
            async move {
                asked.notify_one();
                go_on.notified().await;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
                let _ = stream.read(&mut [0]).await;
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let mut client = rig.connect().await;
    client.write(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    soon(asked.notified()).await;
    let (mut idle, mut undecided) = (rig.connect().await, rig.connect().await);
    // As a preface of h2 begins.
    undecided.write("PR").await;
    let (address, stopped) = (rig.address, Arc::new(AtomicBool::new(false)));
    let stopping = {
        let stopped = Arc::clone(&stopped);
        tokio::spawn(async move {
            rig.edge.stop(PATIENCE).await;
            stopped.store(true, Ordering::SeqCst);
        })
    };
    assert_eq!((idle.rest().await, undecided.rest().await), (String::new(), String::new()));
    assert!(!stopped.load(Ordering::SeqCst));
    go_on.notify_one();
    let answer = client.rest().await;
    assert!(status(&answer) == 200 && answer.ends_with("hello") && answer.contains("connection: close"), "{answer}");
    soon(stopping).await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
