//! `Upgrade` (RFC 9110, section 7.8), above all WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use roundtrip::observe::span::Status;
use roundtrip::settings::http::bounds::Bounds;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Client, Options, PATIENCE, Rig, Upstream, bounded, raw_upstream, soon, status, until};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: HOST\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const AGREE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const MASK: [u8; 4] = [1, 2, 3, 4];

/// RFC 6455, section 5.2: a whole text message from a client, masked.
fn masked(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | text.len() as u8];
    frame.extend_from_slice(&MASK);
    frame.extend(text.bytes().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The same from a server.
fn unmasked(text: &[u8]) -> Vec<u8> {
    [&[0x81, text.len() as u8], text].concat()
}

/// Agrees, and says each message back.
async fn echo() -> SocketAddr {
    raw_upstream(|mut stream| async move {
        stream.write_all(AGREE).await.unwrap();
        let mut head = [0; 6];
        while stream.read_exact(&mut head).await.is_ok() {
            let mut text = vec![0; usize::from(head[1] & 0x7f)];
            stream.read_exact(&mut text).await.unwrap();
            text.iter_mut().zip(head[2..].iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            stream.write_all(&unmasked(&text)).await.unwrap();
        }
    })
    .await
}

async fn rig_with(upstream: SocketAddr, bounds: Bounds) -> Rig {
    let rig = Rig::with(&[upstream], Options { settings: bounded(bounds), ..Options::default() });
    soon(rig.balancer.ready()).await;
    rig
}

async fn say(client: &mut Client, text: &str) {
    client.stream.write_all(&masked(text)).await.unwrap();
    let mut echoed = vec![0; text.len() + 2];
    client.take(&mut echoed).await;
    assert_eq!(echoed, unmasked(text.as_bytes()));
}

async fn open(rig: &Rig) -> Client {
    let mut client = rig.connect().await;
    client.write(&ASK.replace("HOST", &rig.host)).await;
    let head = client.read_until("\r\n\r\n").await;
    assert_eq!(status(&head), 101, "{head}");
    assert!(head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    client
}

#[tokio::test]
async fn a_web_socket_works_and_its_end_is_the_end_of_both_connections() {
    let rig = Rig::before(&[echo().await]).await;
    let mut journeys = rig.recorder.subscribe();
    let mut client = open(&rig).await;
    for text in ["hello", "", "GET / HTTP/1.1\r\nHost: a\n\r\n"] {
        say(&mut client, text).await;
    }
    assert_eq!(rig.balancer.view()[0].in_flight, 1, "it counts for as long as it stands");
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "");
    let journey = soon(journeys.recv()).await.unwrap();
    assert_eq!((journey.summary.status, journey.summary.path.as_str()), (101, "/chat"));
    assert_eq!((journey.request_bytes, journey.response_bytes), (6 + 11 + 32, 2 + 7 + 28));
    until(|| rig.balancer.view()[0].in_flight == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_without_a_word_ends_its_tunnel_and_nothing_has_failed() {
    let rig = Rig::before(&[echo().await]).await;
    let mut journeys = rig.recorder.subscribe();
    let mut client = open(&rig).await;
    client.stream.write_all(&masked("unread")).await.unwrap();
    // What it has not read makes its end a reset.
    until(|| rig.balancer.view()[0].in_flight == 1).await;
    client.stream.set_zero_linger().unwrap();
    drop(client);
    let journey = soon(journeys.recv()).await.unwrap();
    assert_eq!((journey.summary.status, journey.spans[0].status), (101, Status::Ok));
    assert_eq!(rig.recorder.metrics().totals().errors, 0);
}

#[tokio::test]
async fn messages_that_come_with_the_request_are_not_read_as_http() {
    let rig = Rig::before(&[echo().await]).await;
    let mut client = rig.connect().await;
    let mut bytes = ASK.replace("HOST", &rig.host).into_bytes();
    bytes.extend(masked("early\n\r\n\r\n"));
    client.stream.write_all(&bytes).await.unwrap();
    assert_eq!(status(&client.read_until("\r\n\r\n").await), 101);
    let mut echoed = [0; 12];
    client.take(&mut echoed).await;
    assert_eq!(echoed[..], unmasked(b"early\n\r\n\r\n")[..]);
    say(&mut client, "late").await;
}

#[tokio::test]
async fn an_upgrade_that_is_refused_leaves_http_and_what_follows_is_a_request_of_its_own() {
    let upstream = Upstream::saying("plain").await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut client = rig.connect().await;
    let next = format!("GET /next HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", rig.host);
    client.write(&format!("{}{next}", ASK.replace("HOST", &rig.host))).await;
    let answers = client.rest().await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    let paths: Vec<String> = upstream.heads().iter().map(|head| head.uri.to_string()).collect();
    assert_eq!(paths, ["/chat", "/next"]);
    // A request to a host that is not ours is refused there as anywhere.
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: internal\r\nConnection: close\r\n\r\n";
    let answers = rig.exchange(&format!("{ASK}{smuggled}")).await;
    assert!(answers.contains("HTTP/1.1 421 "), "{answers}");
    assert_eq!(upstream.heads().len(), 3);
}

#[tokio::test]
async fn only_a_valid_upgrade_is_passed_on() {
    let upstream = Upstream::saying("plain").await;
    let rig = Rig::before(&[upstream.address]).await;
    let close = "Connection: close\r\n";
    for (request, passed) in [
        (format!("GET / HTTP/1.1\r\nHost: HOST\r\n{close}Connection: upgrade\r\nUpgrade: a\r\n\r\n"), true),
        (format!("GET / HTTP/1.1\r\nHost: HOST\r\n{close}Upgrade: a\r\n\r\n"), false),
        (format!("GET / HTTP/1.1\r\nHost: HOST\r\n{close}Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"), false),
        (format!("GET / HTTP/1.1\r\nHost: HOST\r\n{close}Connection: upgrade\r\nUpgrade: a, TLS/1.3\r\n\r\n"), false),
        (format!("GET / HTTP/1.1\r\nHost: HOST\r\n{close}Connection: upgrade\r\n\r\n"), false),
        ("GET / HTTP/1.0\r\nHost: HOST\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n".to_owned(), false),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: HOST\r\n{close}Connection: upgrade\r\nUpgrade: a\r\nContent-Length: 1\r\n\r\nx"
            ),
            false,
        ),
    ] {
        assert_eq!(status(&rig.exchange(&request).await), 200, "{request}");
        let head = &upstream.heads().pop().unwrap().headers;
        assert_eq!((head.contains_key("upgrade"), head.contains_key("connection")), (passed, passed), "{request}");
    }
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_a_502() {
    let rig = Rig::before(&[echo().await]).await;
    assert_eq!(status(&rig.get("/", "").await), 502);
    assert_eq!(status(&rig.get("/", "Upgrade: websocket\r\n").await), 502, "Connection does not say so");
    let silent = raw_upstream(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let rig = Rig::before(&[silent]).await;
    let answer = rig.exchange(&ASK.replace("keep-alive", "close")).await;
    assert_eq!(status(&answer), 502, "to what does it not say");
}

#[tokio::test]
async fn a_silent_tunnel_is_ended() {
    let rig = rig_with(echo().await, Bounds { tunnel_idle_timeout: Duration::from_millis(50), ..Default::default() });
    let rig = rig.await;
    let mut journeys = rig.recorder.subscribe();
    let mut client = open(&rig).await;
    assert_eq!(client.rest().await, "");
    let journey = soon(journeys.recv()).await.unwrap();
    assert_eq!(journey.summary.status, 101, "nobody left");
    until(|| rig.balancer.view()[0].in_flight == 0).await;
}

#[tokio::test]
async fn a_tunnel_holds_its_place_among_the_connections_and_outlives_a_new_configuration() {
    let rig = rig_with(echo().await, Bounds { connections_of_loopback_max: 1, ..Default::default() }).await;
    let mut client = open(&rig).await;
    say(&mut client, "one").await;
    assert_eq!(rig.connect().await.rest().await, "", "no place for another");
    rig.edge.replace(roundtrip::edge::site::Site::default());
    say(&mut client, "two").await;
}

#[tokio::test]
async fn a_stop_ends_tunnels_in_order_and_does_not_wait_for_them() {
    let ended = Arc::new(AtomicUsize::new(0));
    let upstream = {
        let ended = Arc::clone(&ended);
        raw_upstream(move |mut stream| {
            let ended = Arc::clone(&ended);
            async move {
                stream.write_all(AGREE).await.unwrap();
                // An orderly end, no reset.
                assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
                ended.fetch_add(1, Ordering::SeqCst);
            }
        })
        .await
    };
    let rig = Rig::before(&[upstream]).await;
    let mut client = open(&rig).await;
    soon(rig.edge.stop(PATIENCE * 100)).await;
    assert_eq!(client.stream.read(&mut [0]).await.unwrap(), 0, "an orderly end, no reset");
    until(|| ended.load(Ordering::SeqCst) == 1).await;
}
