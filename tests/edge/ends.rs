//! Ends before the end: clients that leave, upstreams that break off or lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use roundtrip::observe::hop::Hop;
use roundtrip::settings::balancer::{BalancerSettings, Timeouts};
use roundtrip::settings::runtime::{Settings, Snapshot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::rig::{Options, Rig, Upstream, nobody, problem, raw_upstream, soon, status, until};

#[tokio::test]
async fn a_client_that_leaves_ends_the_work_upstream_and_is_recorded_as_gone() {
    let (asked, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let upstream = {
        let (asked, closed) = (Arc::clone(&asked), Arc::clone(&closed));
        raw_upstream(move |mut stream| {
            let (asked, closed) = (Arc::clone(&asked), Arc::clone(&closed));
            async move {
                asked.notify_one();
                // Nothing is answered; the end of the connection is what is waited for.
                assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
                closed.notify_one();
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let mut journeys = rig.recorder.subscribe();
    let mut client = rig.connect().await;
    client.write(&format!("GET /slow HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    soon(asked.notified()).await;
    drop(client);
    soon(closed.notified()).await;
    let journey = soon(journeys.recv()).await.unwrap();
    assert_eq!((journey.summary.status, journey.summary.path.as_str()), (499, "/slow"));
    assert_eq!(rig.balancer.view()[0].ewma_us, None, "the upstream is not blamed");
    until(|| rig.balancer.view()[0].in_flight == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_an_answer_ends_the_work_upstream() {
    let closed = Arc::new(Notify::new());
    let upstream = {
        let closed = Arc::clone(&closed);
        raw_upstream(move |mut stream| {
            let closed = Arc::clone(&closed);
            async move {
                let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
                stream.write_all(head).await.unwrap();
                assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
                closed.notify_one();
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let mut journeys = rig.recorder.subscribe();
    let mut client = rig.connect().await;
    client.write(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    client.read_until("first").await;
    drop(client);
    soon(closed.notified()).await;
    let journey = soon(journeys.recv()).await.unwrap();
    assert_eq!((journey.summary.status, journey.response_bytes), (499, 5));
}

#[tokio::test]
async fn an_answer_that_is_cut_upstream_is_cut_for_the_client() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let upstream = raw_upstream(move |mut stream| async move {
            let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nfirst\r\n");
            stream.write_all(text.as_bytes()).await.unwrap();
        })
        .await;
        let rig = Rig::before(&[upstream]).await;
        let answer = rig.get("/", "").await;
        assert_eq!(status(&answer), 200);
        assert!(answer.contains("first") && !answer.ends_with("0\r\n\r\n"), "{answer}");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        assert!(head != "Content-Length: 100" || body.len() < 100);
    }
}

#[tokio::test]
async fn garbage_from_upstream_is_a_502_that_names_the_balancer() {
    let upstream = raw_upstream(|mut stream| async move { stream.write_all(b"garbage\r\n\r\n").await.unwrap() }).await;
    let rig = Rig::before(&[upstream]).await;
    let answer = rig.get("/", "").await;
    assert_eq!((status(&answer), problem(&answer).hop), (502, Some(Hop::Balancer)));
}

#[tokio::test]
async fn with_all_upstreams_down_the_problem_names_the_balancer_and_says_when_to_come_back() {
    let rig = Rig::with(&[nobody(), nobody()], Options::default());
    let answer = rig.get("/", "").await;
    assert_eq!((status(&answer), problem(&answer).hop), (503, Some(Hop::Balancer)));
    assert!(answer.contains("retry-after: 1\r\n") && answer.contains("content-type: application/problem+json"));
}

#[tokio::test]
async fn an_answer_whose_end_is_in_doubt_is_a_502_and_its_connection_is_not_used_again() {
    for head in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: +5\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "X-Folded: a\r\n b: c\r\nX bad: 1\r\n",
    ] {
        let connections = Arc::new(AtomicUsize::new(0));
        let closed = Arc::new(Notify::new());
        let upstream = {
            let (connections, closed) = (Arc::clone(&connections), Arc::clone(&closed));
            raw_upstream(move |mut stream| {
                let (connections, closed) = (Arc::clone(&connections), Arc::clone(&closed));
                async move {
                    connections.fetch_add(1, Ordering::SeqCst);
                    let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n5\r\nhello\r\n0\r\n\r\n");
                    stream.write_all(text.as_bytes()).await.unwrap();
                    let _ = stream.read(&mut [0]).await;
                    closed.notify_one();
                }
            })
            .await
        };
        let rig = Rig::before(&[upstream]).await;
        let answer = rig.exchange("POST / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
        assert_eq!((status(&answer), problem(&answer).hop), (502, Some(Hop::Balancer)), "{head}");
        soon(closed.notified()).await;
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_chunk_that_is_none_cuts_the_answer() {
    for chunk in ["0x5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "5\r\nhelloworld\r\n0\r\n\r\n"] {
        let upstream = raw_upstream(move |mut stream| async move {
            let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
            stream.write_all(text.as_bytes()).await.unwrap();
            let _ = stream.read(&mut [0]).await;
        })
        .await;
        let rig = Rig::before(&[upstream]).await;
        let answer = rig.get("/", "").await;
        assert!(!answer.ends_with("0\r\n\r\n"), "{chunk}: {answer}");
        until(|| rig.balancer.view()[0].in_flight == 0).await;
    }
}

#[tokio::test]
async fn each_event_of_a_stream_arrives_before_the_next_and_a_client_that_leaves_ends_it() {
    let (next, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let upstream = {
        let (next, closed) = (Arc::clone(&next), Arc::clone(&closed));
        raw_upstream(move |mut stream| {
            let (next, closed) = (Arc::clone(&next), Arc::clone(&closed));
            async move {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).await.unwrap();
                for number in 0..3 {
                    stream.write_all(format!("9\r\ndata: {number}\n\n\r\n").as_bytes()).await.unwrap();
                    // Not before the client has the one before.
                    next.notified().await;
                }
                assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
                closed.notify_one();
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let mut client = rig.connect().await;
    client.write(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    for number in 0..3 {
        client.read_until(&format!("data: {number}\n\n")).await;
        next.notify_one();
    }
    drop(client);
    soon(closed.notified()).await;
    until(|| rig.balancer.view()[0].in_flight == 0).await;
}

#[tokio::test]
async fn the_reader_of_an_early_answer_is_told_that_the_upload_ends() {
    let upstream = raw_upstream(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let rig = Rig::before(&[upstream]).await;
    let mut client = rig.connect().await;
    client.write(&format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 999\r\n\r\nhello", rig.host)).await;
    let answer = client.read_until("\r\n\r\nno").await;
    assert!(status(&answer) == 403 && answer.contains("connection: close\r\n"), "{answer}");
    // The rest of the body never comes, and nobody waits for it.
    assert_eq!(client.rest().await, "");
    until(|| rig.balancer.view()[0].in_flight == 0).await;
}

#[tokio::test]
async fn a_connection_whose_request_was_not_read_to_its_end_is_closed_and_says_so() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let post = |host: &str, fields: &str| format!("POST / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n\r\n");
    for (begun, rest) in [
        (post("elsewhere", "Content-Length: 5") + "he", "llo"),
        (post("elsewhere", "Transfer-Encoding: chunked") + "5\r\nhello\r\n", "0\r\n\r\n"),
        (post("elsewhere", "Expect: 100-continue\r\nContent-Length: 5"), "hello"),
    ] {
        let mut client = rig.connect().await;
        client.write(&begun).await;
        let answer = client.read_until("}").await;
        assert!(status(&answer) == 421 && answer.contains("connection: close\r\n"), "{answer}");
        client.write(rest).await;
        assert_eq!(client.rest().await, "", "{begun}");
    }
}

#[tokio::test]
async fn a_refused_request_that_has_come_whole_leaves_its_connection_to_the_next() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut client = rig.connect().await;
    for framed in
        ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n"]
    {
        client.write(&format!("POST / HTTP/1.1\r\nHost: elsewhere\r\n{framed}")).await;
        let answer = client.read_until("}").await;
        assert!(status(&answer) == 421 && !answer.contains("connection:"), "{answer}");
        client.write(&format!("POST / HTTP/1.1\r\nHost: {}\r\n{framed}", rig.host)).await;
        let answer = client.read_until("hello").await;
        assert!(status(&answer) == 200 && !answer.contains("connection:"), "{answer}");
    }
}

#[tokio::test]
async fn a_head_of_two_megabytes_is_a_502_and_its_connection_is_closed() {
    let closed = Arc::new(Notify::new());
    let upstream = {
        let closed = Arc::clone(&closed);
        raw_upstream(move |mut stream| {
            let closed = Arc::clone(&closed);
            async move {
                let head = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "b".repeat(2 << 20));
                // The kernel may take all of it before anybody gives up reading.
                let _ = stream.write_all(head.as_bytes()).await;
                assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
                closed.notify_one();
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let answer = rig.exchange("POST / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
    assert_eq!((status(&answer), problem(&answer).hop), (502, Some(Hop::Balancer)));
    soon(closed.notified()).await;
    until(|| rig.balancer.view()[0].in_flight == 0).await;
}

/// A rig before an upstream that says nothing but 102, `pause` apart, and who hears when it is cut off.
async fn interim_for_ever(pause: Option<Duration>, head: Duration) -> (Rig, Arc<Notify>) {
    let closed = Arc::new(Notify::new());
    let upstream = {
        let closed = Arc::clone(&closed);
        raw_upstream(move |mut stream| {
            let closed = Arc::clone(&closed);
            async move {
                while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {
                    match pause {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => tokio::task::yield_now().await,
                    }
                }
                closed.notify_one();
            }
        })
        .await
    };
    let timeouts = Timeouts { head, ..BalancerSettings::default().timeouts };
    let balancer = BalancerSettings { timeouts, ..BalancerSettings::default() };
    let settings = Settings::new(Snapshot { balancer, ..Snapshot::default() });
    let rig = Rig::with(&[upstream], Options { settings, ..Options::default() });
    soon(rig.balancer.ready()).await;
    (rig, closed)
}

#[tokio::test]
async fn interim_answers_for_ever_are_no_answer() {
    let (rig, closed) = interim_for_ever(Some(Duration::from_millis(5)), Duration::from_millis(50)).await;
    let answer = rig.get("/", "").await;
    assert_eq!((status(&answer), problem(&answer).hop), (504, Some(Hop::Balancer)));
    soon(closed.notified()).await;
    until(|| rig.balancer.view()[0].in_flight == 0).await;
}

#[tokio::test]
async fn a_flood_of_interim_answers_is_cut_off() {
    let (rig, closed) = interim_for_ever(None, BalancerSettings::default().timeouts.head).await;
    let answer = rig.get("/", "").await;
    assert_eq!((status(&answer), problem(&answer).hop), (502, Some(Hop::Balancer)));
    soon(closed.notified()).await;
    until(|| rig.balancer.view()[0].in_flight == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_behind_requests_that_it_sent_ahead() {
    let (asked, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let upstream = {
        let (asked, closed) = (Arc::clone(&asked), Arc::clone(&closed));
        raw_upstream(move |mut stream| {
            let (asked, closed) = (Arc::clone(&asked), Arc::clone(&closed));
            async move {
                asked.notify_one();
                assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
                closed.notify_one();
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let get = format!("GET /slow HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host);
    for text in [get.repeat(3), format!("{get}GET /half"), format!("{get}{}", "x".repeat(32 * 1024))] {
        for later in [false, true] {
            let mut client = rig.connect().await;
            client.write(if later { &get } else { &text }).await;
            soon(asked.notified()).await;
            if later {
                client.write(&text[get.len()..]).await;
            }
            drop(client);
            soon(closed.notified()).await;
            until(|| rig.balancer.view()[0].in_flight == 0).await;
        }
    }
}

#[tokio::test]
async fn more_requests_than_are_read_ahead_are_answered_all_the_same() {
    let upstream = crate::rig::Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let get = format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Long: {}\r\n", rig.host, "x".repeat(8 * 1024));
    let (mut read, mut write) = rig.connect().await.stream.into_split();
    let text = format!("{}{get}Connection: close\r\n\r\n", format!("{get}\r\n").repeat(39));
    let sending = tokio::spawn(async move { write.write_all(text.as_bytes()).await.map(|()| write) });
    let mut answers = String::new();
    soon(read.read_to_string(&mut answers)).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 40);
    soon(sending).await.unwrap().unwrap();
}
