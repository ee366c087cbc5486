//! Requests for the same thing at the same time, and answers that are still coming.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use roundtrip::edge::site::{PathRule, Route, Rules, Site};
use roundtrip::web::host::HostList;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

use super::rig::{Client, Rig, raw_upstream, soon, status, until};
use super::{cache_status, set, text};

const KEPT: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\nConnection: close\r\n\r\n";

async fn send(stream: &mut TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes()).await;
}

/// An upstream that answers when it is let, and how many requests it has had.
async fn holding(answer: &'static str) -> (std::net::SocketAddr, Arc<AtomicUsize>, Arc<Semaphore>) {
    let (count, let_go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (counted, gate) = (Arc::clone(&count), Arc::clone(&let_go));
    let address = raw_upstream(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.expect("open").forget();
            send(&mut stream, answer).await;
        }
    })
    .await;
    (address, count, let_go)
}

async fn ask(rig: &Rig) -> Client {
    let mut client = rig.connect().await;
    client.write(&format!("GET /a HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", rig.host)).await;
    client
}

fn waiting(rig: &Rig) -> u64 {
    rig.edge.cache().figures().collapsed
}

#[tokio::test]
async fn many_at_once_make_one_request_upstream() {
    let whole: &'static str = Box::leak(format!("{KEPT}0123456789").into_boxed_str());
    let (upstream, count, let_go) = holding(whole).await;
    let rig = Rig::before(&[upstream]).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(ask(&rig).await);
    }
    until(|| waiting(&rig) == 19).await;
    let_go.add_permits(1);
    let mut said = Vec::new();
    for mut client in clients {
        let answer = client.rest().await;
        assert_eq!((status(&answer), text(&answer)), (200, "0123456789"));
        said.push(cache_status(&answer).to_owned());
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_eq!(said.iter().filter(|said| *said == "roundtrip; fwd=uri-miss; stored").count(), 1);
    assert_eq!(said.iter().filter(|said| *said == "roundtrip; fwd=uri-miss; collapsed").count(), 19);
}

/// An upstream that sends half of a body, and the rest when it is told.
async fn halves() -> (std::net::SocketAddr, Arc<Notify>) {
    let rest = Arc::new(Notify::new());
    let told = Arc::clone(&rest);
    let upstream = raw_upstream(move |mut stream| {
        let told = Arc::clone(&told);
        async move {
            send(&mut stream, KEPT).await;
            send(&mut stream, "01234").await;
            told.notified().await;
            send(&mut stream, "56789").await;
        }
    })
    .await;
    (upstream, rest)
}

#[tokio::test]
async fn who_comes_while_a_body_is_coming_reads_along() {
    let (upstream, rest) = halves().await;
    let rig = Rig::before(&[upstream]).await;
    let mut first = ask(&rig).await;
    first.read_until("01234").await;
    let mut second = ask(&rig).await;
    let head = second.read_until("01234").await;
    assert_eq!(cache_status(&head), "roundtrip; fwd=uri-miss; collapsed");
    rest.notify_one();
    assert_eq!((first.rest().await.as_str(), second.rest().await.as_str()), ("56789", "56789"));
}

#[tokio::test]
async fn who_reads_along_gets_all_though_the_first_has_left() {
    let (upstream, rest) = halves().await;
    let rig = Rig::before(&[upstream]).await;
    let mut first = ask(&rig).await;
    first.read_until("01234").await;
    let mut second = ask(&rig).await;
    second.read_until("01234").await;
    drop(first);
    rest.notify_one();
    assert_eq!(second.rest().await, "56789");
    assert!(cache_status(&rig.get("/a", "").await).starts_with("roundtrip; hit"));
}

#[tokio::test]
async fn when_the_last_reader_leaves_the_work_upstream_ends_and_nothing_is_kept() {
    let ended = Arc::new(Notify::new());
    let end = Arc::clone(&ended);
    let upstream = raw_upstream(move |mut stream| {
        let end = Arc::clone(&end);
        async move {
            send(&mut stream, KEPT).await;
            send(&mut stream, "01234").await;
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
            end.notify_one();
        }
    })
    .await;
    let rig = Rig::before(&[upstream]).await;
    let mut only = ask(&rig).await;
    only.read_until("01234").await;
    drop(only);
    soon(ended.notified()).await;
    assert_eq!(rig.edge.cache().figures().entries, 0);
}

#[tokio::test]
async fn when_the_first_leaves_before_its_answer_one_of_those_who_wait_goes_in_its_place() {
    let (upstream, count, let_go) =
        holding("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok").await;
    let rig = Rig::before(&[upstream]).await;
    let first = ask(&rig).await;
    until(|| count.load(Ordering::SeqCst) == 1).await;
    let (mut second, mut third) = (ask(&rig).await, ask(&rig).await);
    until(|| waiting(&rig) == 2).await;
    drop(first);
    until(|| count.load(Ordering::SeqCst) == 2).await;
    let_go.add_permits(2);
    assert_eq!((text(&second.rest().await), text(&third.rest().await)), ("ok", "ok"));
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn nobody_queues_where_the_last_answer_was_of_no_use_to_others() {
    let (upstream, count, let_go) =
        holding("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
    let rig = Rig::before(&[upstream]).await;
    let_go.add_permits(1);
    rig.get("/a", "").await;
    let (mut first, mut second) = (ask(&rig).await, ask(&rig).await);
    until(|| count.load(Ordering::SeqCst) == 3).await;
    let_go.add_permits(2);
    assert_eq!((text(&first.rest().await), text(&second.rest().await), waiting(&rig)), ("ok", "ok", 0));
}

#[tokio::test]
async fn who_has_waited_long_enough_goes_itself() {
    let (upstream, count, let_go) =
        holding("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
    let rig = Rig::before(&[upstream]).await;
    set(&rig, "http.cache.wait", json!(20));
    let _first = ask(&rig).await;
    until(|| count.load(Ordering::SeqCst) == 1).await;
    let mut second = ask(&rig).await;
    until(|| count.load(Ordering::SeqCst) == 2).await;
    let_go.add_permits(2);
    assert_eq!((text(&second.rest().await), waiting(&rig)), ("ok", 1));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_kept() {
    for coding in ["Content-Length: 10\r\n\r\n01234", "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n"] {
        let answer = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{coding}");
        let (upstream, count, let_go) = holding(Box::leak(answer.into_boxed_str())).await;
        let rig = Rig::before(&[upstream]).await;
        let_go.add_permits(2);
        for requests in 1..=2 {
            assert!(rig.get("/a", "").await.contains("01234"));
            assert_eq!(count.load(Ordering::SeqCst), requests, "{coding}");
        }
        assert_eq!(rig.edge.cache().figures().entries, 0);
    }
}

#[tokio::test]
async fn what_is_too_large_is_passed_on_whole_and_not_kept() {
    let large = "x".repeat(3_000);
    for coding in [
        format!("Content-Length: 3000\r\n\r\n{large}"),
        format!("Transfer-Encoding: chunked\r\n\r\n200\r\n{}\r\n9b8\r\n{}\r\n0\r\n\r\n", &large[..512], &large[512..]),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nConnection: close\r\n{coding}");
        let (upstream, count, let_go) = holding(Box::leak(answer.into_boxed_str())).await;
        let rig = Rig::before(&[upstream]).await;
        set(&rig, "http.cache.object_bytes", json!(1_024));
        let_go.add_permits(2);
        for requests in 1..=2 {
            let answer = rig.get("/a", "").await;
            assert_eq!(text(&answer).bytes().filter(|byte| *byte == b'x').count(), large.len());
            assert_eq!(count.load(Ordering::SeqCst), requests);
        }
        assert_eq!(rig.edge.cache().figures().entries, 0);
    }
}

#[tokio::test]
async fn an_answer_that_was_under_way_when_its_address_changed_is_not_kept() {
    let (upstream, count, let_go) =
        holding("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\nConnection: close\r\n\r\nold")
            .await;
    let rig = Rig::before(&[upstream]).await;
    let mut before = ask(&rig).await;
    until(|| count.load(Ordering::SeqCst) == 1).await;
    assert_eq!(rig.edge.cache().purge_url(&format!("http://{}/a", rig.host)), 0);
    let_go.add_permits(2);
    assert_eq!(text(&before.rest().await), "old");
    assert_eq!(
        (rig.edge.cache().figures().entries, cache_status(&rig.get("/a", "").await)),
        (0, "roundtrip; fwd=uri-miss; stored")
    );
}

#[tokio::test]
async fn a_change_elsewhere_keeps_no_answer_out() {
    let answer = "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nContent-Length: 2\r\n\r\nok";
    let (upstream, count, let_go) = holding(answer).await;
    let rig = Rig::before(&[upstream]).await;
    let mut alone = rig.connect().await;
    let head = format!("GET /a HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: x\r\n\r\n", rig.host);
    alone.write(&head).await;
    until(|| count.load(Ordering::SeqCst) == 1).await;
    rig.edge.cache().purge_url(&format!("http://{}/b", rig.host));
    let_go.add_permits(1);
    assert_eq!((text(&alone.rest().await), rig.edge.cache().figures().entries), ("ok", 1));
}

#[tokio::test]
async fn who_waited_for_an_old_configurations_answer_keeps_nothing_for_the_new_one() {
    let (old, count, let_go) =
        holding("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\nConnection: close\r\n\r\nold")
            .await;
    let new = super::counting(&["cache-control: max-age=60"]).await;
    let rig = Rig::before(&[old]).await;
    let other = Rig::before(&[new.address]).await;
    let first = ask(&rig).await;
    until(|| count.load(Ordering::SeqCst) == 1).await;
    let mut second = ask(&rig).await;
    until(|| waiting(&rig) == 1).await;
    let route = Route {
        host: None,
        path: PathRule::Prefix("/".to_owned()),
        pool: "pool".to_owned(),
        balancer: other.balancer.clone(),
        rules: Rules::transparent(),
    };
    let hosts = HostList::new(&[super::rig::NAME.to_owned()], rig.address.port(), 443);
    rig.edge.replace(Site::new(hosts, Vec::new(), vec![route]));
    rig.edge.cache().clear();
    drop(first);
    until(|| count.load(Ordering::SeqCst) == 2).await;
    let_go.add_permits(2);
    assert_eq!(text(&second.rest().await), "old");
    let answer = rig.get("/a", "").await;
    assert_eq!((text(&answer), cache_status(&answer)), ("1", "roundtrip; fwd=uri-miss; stored"));
}

#[tokio::test]
async fn where_one_has_waited_too_long_nobody_waits_after_it() {
    let (upstream, count, let_go) =
        holding("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
    let rig = Rig::before(&[upstream]).await;
    set(&rig, "http.cache.wait", json!(20));
    let mut clients = Vec::new();
    for requests in 1..=4 {
        clients.push(ask(&rig).await);
        until(|| count.load(Ordering::SeqCst) == requests).await;
    }
    assert_eq!(waiting(&rig), 1);
    let_go.add_permits(4);
    for mut client in clients {
        assert_eq!(text(&client.rest().await), "ok");
    }
}

#[tokio::test]
async fn who_has_a_cookie_waits_for_nobody_where_nothing_was_ever_kept() {
    let (upstream, count, let_go) =
        holding("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
    let rig = Rig::before(&[upstream]).await;
    let mut clients = Vec::new();
    for requests in 1..=2 {
        let mut client = rig.connect().await;
        let head = format!("GET /a HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: x=1\r\n\r\n", rig.host);
        client.write(&head).await;
        clients.push(client);
        until(|| count.load(Ordering::SeqCst) == requests).await;
    }
    assert_eq!(waiting(&rig), 0);
    let_go.add_permits(2);
    for mut client in clients {
        assert_eq!(text(&client.rest().await), "ok");
    }
}
