//! What is no longer fresh: asking whether it has changed, and standing in.

use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::Response;
use serde_json::json;

use super::rig::{Body, Rig, Upstream, soon, status};
use super::{answer, asked, cache_status, header, set, text};

/// Stale by a second from the start, with `control` added.
fn stale(control: &str) -> Response<Body> {
    let control = format!("cache-control: max-age=10{control}");
    answer(200, &[&control, "age: 11", "etag: \"v1\"", "x-version: old"], "soup")
}

/// What an upstream answers, first and later.
async fn then(
    first: impl Fn() -> Response<Body> + Send + Sync + 'static,
    later: impl Fn() -> Response<Body> + Send + Sync + 'static,
) -> Upstream {
    let count = AtomicUsize::new(0);
    Upstream::start(move |_, _| if count.fetch_add(1, Ordering::SeqCst) == 0 { first() } else { later() }).await
}

#[tokio::test]
async fn a_304_makes_it_good_again_with_the_fields_that_came() {
    let news =
        || answer(304, &["cache-control: max-age=60", "etag: \"v1\"", "x-version: new", "content-length: 9"], "");
    let upstream = then(|| stale(""), news).await;
    let rig = Rig::before(&[upstream.address]).await;
    rig.get("/a", "").await;
    let second = rig.get("/a", "").await;
    assert_eq!((status(&second), text(&second)), (200, "soup"));
    assert_eq!(cache_status(&second), "roundtrip; fwd=stale; fwd-status=304; stored");
    assert_eq!(asked(&upstream.heads()[1], "if-none-match").as_deref(), Some("\"v1\""));
    let third = rig.get("/a", "").await;
    assert!(cache_status(&third).starts_with("roundtrip; hit"), "{third}");
    assert_eq!((header(&third, "x-version"), header(&third, "content-length")), (Some("new"), Some("4")));
    assert_eq!(upstream.heads().len(), 2);
}

#[tokio::test]
async fn the_clients_own_condition_is_answered_by_what_was_validated() {
    let upstream = then(|| stale(""), || answer(304, &["cache-control: max-age=60"], "")).await;
    let rig = Rig::before(&[upstream.address]).await;
    rig.get("/a", "").await;
    let other = rig.get("/a", "if-none-match: \"v0\"\r\n").await;
    assert_eq!((status(&other), text(&other)), (200, "soup"));
    assert_eq!(asked(&upstream.heads()[1], "if-none-match").as_deref(), Some("\"v1\""));
    assert_eq!(status(&rig.get("/a", "if-none-match: \"v1\"\r\n").await), 304);
}

#[tokio::test]
async fn a_304_about_another_version_is_not_believed() {
    let upstream = Upstream::start(|head, _| match asked(head, "if-none-match") {
        Some(_) => answer(304, &["etag: \"v2\""], ""),
        None => stale(""),
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    rig.get("/a", "").await;
    assert_eq!((text(&rig.get("/a", "").await), upstream.heads().len()), ("soup", 3));
}

#[tokio::test]
async fn a_cookie_that_comes_with_a_304_is_one_clients_and_ends_the_keeping() {
    let news = || answer(304, &["cache-control: max-age=60", "set-cookie: id=1"], "");
    let upstream = then(|| stale(""), news).await;
    let rig = Rig::before(&[upstream.address]).await;
    rig.get("/a", "").await;
    assert_eq!(header(&rig.get("/a", "").await, "set-cookie"), Some("id=1"));
    assert_eq!(rig.edge.cache().figures().entries, 0);
}

#[tokio::test]
async fn it_stands_in_for_an_upstream_that_fails_as_long_as_that_is_allowed() {
    for (control, grace, expected) in [
        ("", 10, 200),
        ("", 0, 503),
        (", stale-if-error=60", 0, 200),
        (", stale-if-error=0", 10, 503),
        (", must-revalidate", 10, 503),
        (", proxy-revalidate", 10, 503),
        (", s-maxage=10", 10, 503),
        (", no-cache", 10, 503),
    ] {
        let upstream = then(move || stale(control), || answer(503, &[], "ill")).await;
        let rig = Rig::before(&[upstream.address]).await;
        set(&rig, "http.cache.grace", json!(grace));
        rig.get("/a", "").await;
        let second = rig.get("/a", "").await;
        assert_eq!(status(&second), expected, "{control}");
        let says = if expected == 200 { "roundtrip; fwd=stale; fwd-status=503" } else { "roundtrip; fwd=stale" };
        assert_eq!(cache_status(&second), says, "{control}");
    }
}

#[tokio::test]
async fn it_stands_in_for_an_upstream_that_is_gone() {
    let upstream = then(|| stale(", stale-if-error=60"), || stale("")).await;
    let rig = Rig::before(&[upstream.address]).await;
    rig.get("/a", "").await;
    upstream.kill();
    let answer = rig.get("/a", "").await;
    assert_eq!((status(&answer), text(&answer), cache_status(&answer)), (200, "soup", "roundtrip; fwd=stale"));
    assert_eq!((status(&rig.get("/b", "").await), rig.edge.cache().figures().stale_hits), (503, 1));
}

#[tokio::test]
async fn it_goes_out_once_more_while_a_new_one_is_fetched_behind_it() {
    let fresh = || answer(200, &["cache-control: max-age=60"], "new");
    let upstream = then(|| stale(", stale-while-revalidate=60"), fresh).await;
    let rig = Rig::before(&[upstream.address]).await;
    rig.get("/a", "").await;
    let second = rig.get("/a", "").await;
    assert_eq!((text(&second), cache_status(&second)), ("soup", "roundtrip; hit; ttl=-1"));
    // Whoever asks before it is there gets the old one, and starts no other.
    let third = soon(async {
        loop {
            let answer = rig.get("/a", "").await;
            if text(&answer) == "new" {
                return answer;
            }
        }
    })
    .await;
    assert!(cache_status(&third).starts_with("roundtrip; hit; ttl="), "{third}");
    assert_eq!(asked(&upstream.heads()[1], "if-none-match").as_deref(), Some("\"v1\""));
    assert_eq!(upstream.heads().len(), 2);
}

#[tokio::test]
async fn a_head_says_whether_what_is_kept_is_still_good() {
    for (tag, entries) in [("etag: \"v1\"", 1), ("etag: \"v2\"", 0)] {
        let upstream = then(|| stale(""), move || answer(200, &["cache-control: max-age=60", tag], "")).await;
        let rig = Rig::before(&[upstream.address]).await;
        rig.get("/a", "").await;
        rig.exchange("HEAD /a HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
        assert_eq!(upstream.heads()[1].method, "HEAD");
        assert_eq!(rig.edge.cache().figures().entries, entries, "{tag}");
    }
}
