//! Ends: orderly, in the middle of a request, and none at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::harness::people::Ask;
use crate::harness::sealed::{self, Sealed};
use crate::harness::{PASSWORD, PATIENCE, audit, order_of};
use crate::rig::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_signals_end_it_in_order_and_the_proofs_of_the_run_are_gone() {
    let place = Place::new();
    for (round, signal) in [(1, Signal::TERM), (2, Signal::INT)] {
        let server = place.serve(&[]);
        let visitor = server.visitor();
        assert_eq!(visitor.post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
        server.signal(signal);
        let done = server.ended().succeeded();
        assert_eq!((done.out.as_str(), done.err.as_str()), ("", ""));
        for name in ["run.json", "control.key"] {
            assert!(!place.data().join(name).exists(), "{name}");
        }
        // Checkpointed: nothing is left beside the databases.
        for name in ["bistro.db-wal", "control.db-wal"] {
            let left = std::fs::metadata(place.data().join(name)).map_or(0, |file| file.len());
            assert_eq!(left, 0, "{name}");
        }
        assert_eq!(audit(&place.data()).await, round);
    }
}

async fn read_until(stream: &mut Sealed, what: &str) -> String {
    let mut text = String::new();
    let reading = async {
        let mut bytes = [0; 4096];
        while !text.contains(what) {
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => panic!("it ended without {what}: {text}"),
                Ok(count) => text.push_str(&String::from_utf8_lossy(&bytes[..count])),
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("no {what}"));
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_at_an_orderly_stop_is_finished() {
    let place = Place::new();
    let server = place.serve(&[]);
    let body = order_of(12, 1).to_string();
    let (first, rest) = body.split_at(10);
    let pem = std::fs::read(server.text("ca")).expect("the authority");
    let mut stream = sealed::connect(([127, 0, 0, 1], server.port("app")).into(), &pem).await;
    let head = format!(
        "POST /api/v1/orders HTTP/1.1\r\nHost: bistro.localhost:{}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n{first}",
        server.port("app"),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("is sent");
    // The owner watches, as most do: an event stream is open.
    let owner = server.stranger();
    let (_, token) = server.text("setup_url").split_once('#').expect("a token");
    let account = json!({ "token": token, "name": "owner", "password": PASSWORD });
    assert_eq!(owner.post("/api/setup", &account).await.status, 201);
    let mut page = sealed::connect(([127, 0, 0, 1], server.port("console")).into(), &pem).await;
    let authority = owner.origin().trim_start_matches("https://");
    let ask = format!("GET /api/events HTTP/1.1\r\nHost: {authority}\r\nCookie: {}\r\n\r\n", owner.cookies());
    page.write_all(ask.as_bytes()).await.expect("is sent");
    read_until(&mut page, "event: stack").await;
    // Now the request is in the server's hands.
    read_until(&mut stream, "100 Continue").await;
    server.signal(Signal::TERM);
    // It has heard: the door is closed, and so is the app for anybody new.
    for key in ["http", "app"] {
        let gone = async { while TcpStream::connect(("127.0.0.1", server.port(key))).await.is_ok() {} };
        tokio::time::timeout(PATIENCE, gone).await.unwrap_or_else(|_| panic!("{key} still listens"));
    }
    stream.write_all(rest.as_bytes()).await.expect("is sent");
    let answer = read_until(&mut stream, "\"ord_").await;
    assert!(answer.contains("HTTP/1.1 201"), "{answer}");
    drop(stream);
    server.ended().succeeded();
    assert_eq!(audit(&place.data()).await, 1);
}

const CLIENTS: usize = 8;
const ROUNDS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_amid_orders_it_loses_none_that_it_acknowledged() {
    let place = Place::new();
    let mut acknowledged: Vec<(String, String)> = Vec::new();
    for round in 0..ROUNDS {
        let server = place.serve(&[]);
        let (count, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..CLIENTS {
            let (person, count, enough) = (server.visitor(), count.clone(), enough.clone());
            clients.spawn(async move {
                let mut places = Vec::new();
                while let Ok(reply) =
                    person.try_send(person.fair("POST", "/api/v1/orders").json(&order_of(12, 1))).await
                {
                    assert_eq!(reply.status, 201, "{}", reply.text());
                    places.push((reply.header("location").to_owned(), person.cookies()));
                    if count.fetch_add(1, Ordering::SeqCst) == 20 + 15 * round {
                        enough.notify_one();
                    }
                }
                places
            });
        }
        tokio::time::timeout(PATIENCE, enough.notified()).await.expect("enough orders");
        server.signal(Signal::KILL);
        assert_eq!(server.ended().code, Some(128 + 9));
        acknowledged.extend(clients.join_all().await.into_iter().flatten());
    }
    let server = place.serve(&[]);
    let visitor = server.visitor();
    for (path, cookies) in &acknowledged {
        let reply = visitor.send(Ask::new("GET", path).header("cookie", cookies)).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
    server.stop();
    let orders = audit(&place.data()).await;
    assert!(orders >= acknowledged.len() as i64, "{orders} of {}", acknowledged.len());
}
