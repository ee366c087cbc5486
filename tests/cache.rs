//! The edge's shared cache over real sockets: what it keeps, what it never keeps, and what it answers with.

#[path = "edge/rig.rs"]
mod rig;
#[path = "cache/room.rs"]
mod room;
#[path = "cache/stale.rs"]
mod stale;
#[path = "cache/together.rs"]
mod together;

use hyper::Response;
use hyper::http::request::Parts;
use rig::{Body, Rig, Upstream, body, nobody, probe_key, status};
use roundtrip::observe::ids::{SpanId, TraceId};
use roundtrip::web::probe::{PROBE, Probe};
use roundtrip::web::traceparent::TraceParent;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// An answer with these fields (`name: value`).
fn answer(code: u16, fields: &[&str], text: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::builder().status(code);
    for field in fields {
        let (name, value) = field.split_once(": ").expect("a field");
        response = response.header(name, value);
    }
    response.body(body(text)).expect("a response")
}

/// Answers 200 with these fields and the number of the request.
async fn counting(fields: &'static [&'static str]) -> Upstream {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Upstream::start(move |_, _| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        answer(200, fields, number.to_string())
    })
    .await
}

/// A field of an answer.
fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next().expect("a head");
    head.lines().filter_map(|line| line.split_once(": ")).find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|it| it.1)
}

fn cache_status(answer: &str) -> &str {
    header(answer, "cache-status").unwrap_or_else(|| panic!("no Cache-Status: {answer}"))
}

fn text(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head").1
}

fn set(rig: &Rig, key: &str, value: Value) {
    rig.settings.change([(key, &value)]).expect("a setting");
}

fn asked(head: &Parts, name: &str) -> Option<String> {
    head.headers.get(name).map(|value| value.to_str().expect("text").to_owned())
}

#[tokio::test]
async fn a_fresh_answer_is_sent_again_without_asking_and_says_so() {
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    let fields = [format!("date: {date}"), "cache-control: max-age=60".to_owned(), "age: 7".to_owned()];
    let upstream = Upstream::start(move |_, _| {
        let mut fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        fields.push("server-timing: api;dur=77");
        answer(200, &fields, "soup")
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    let first = rig.get("/a", "").await;
    assert_eq!((cache_status(&first), text(&first)), ("roundtrip; fwd=uri-miss; stored", "soup"));
    let second = rig.get("/a", "cookie: x=1\r\n").await;
    assert!(cache_status(&second).starts_with("roundtrip; hit; ttl=5"), "{second}");
    assert_eq!((status(&second), text(&second), header(&second, "date")), (200, "soup", Some(date.as_str())));
    let age: u64 = header(&second, "age").expect("an age").parse().expect("a number");
    assert!((7..20).contains(&age), "{age}");
    assert!(!second.contains("dur=77"), "the times of another request: {second}");
    assert!(header(&second, "via").is_some_and(|via| via.contains("roundtrip")));
    assert_eq!(upstream.heads().len(), 1);
    let figures = rig.edge.cache().figures();
    assert_eq!((figures.entries, figures.hits, figures.misses), (1, 1, 1));
}

#[tokio::test]
async fn what_an_answer_forbids_is_not_kept() {
    for forbids in [
        "cache-control: no-store, max-age=60",
        "cache-control: private, max-age=60",
        "cache-control: private=\"x\", max-age=60",
        "cache-control: max-age=0",
        "cache-control: max-age=-1",
        "cache-control: no-cache, max-age=60",
        "cache-control: s-maxage=0, max-age=60",
        "cdn-cache-control: no-store",
        "expires: 0",
        "x-says: nothing",
    ] {
        let fields: &'static [&'static str] = Box::leak(Box::new([forbids]));
        let upstream = counting(fields).await;
        let rig = Rig::before(&[upstream.address]).await;
        for number in ["1", "2"] {
            let answer = rig.get("/a", "").await;
            assert_eq!((text(&answer), cache_status(&answer)), (number, "roundtrip; fwd=uri-miss"), "{forbids}");
        }
    }
}

#[tokio::test]
async fn one_clients_cookie_is_kept_only_if_the_origin_says_that_it_is_everybodys() {
    let personal = counting(&["cache-control: max-age=60", "set-cookie: id=1"]).await;
    let public = counting(&["cache-control: max-age=60, public", "set-cookie: theme=dark"]).await;
    for (upstream, expected) in [(personal, 2), (public, 1)] {
        let rig = Rig::before(&[upstream.address]).await;
        rig.get("/a", "").await;
        rig.get("/a", "").await;
        assert_eq!(upstream.heads().len(), expected);
    }
}

#[tokio::test]
async fn an_answer_to_somebody_known_is_kept_only_if_the_origin_says_that_it_may_be_shared() {
    for (fields, expected) in [
        (&["cache-control: max-age=60"], 2),
        (&["cache-control: max-age=60, public"], 1),
        (&["cache-control: s-maxage=60"], 1),
        (&["cache-control: max-age=60, must-revalidate"], 1),
    ] {
        let upstream = counting(fields).await;
        let rig = Rig::before(&[upstream.address]).await;
        rig.get("/a", "authorization: Bearer 1\r\n").await;
        rig.get("/a", "").await;
        assert_eq!(upstream.heads().len(), expected, "{fields:?}");
    }
}

#[tokio::test]
async fn a_guess_is_made_only_about_what_is_nobodys_own() {
    let upstream = counting(&["last-modified: Sun, 06 Nov 1994 08:49:37 GMT"]).await;
    let rig = Rig::before(&[upstream.address]).await;
    rig.get("/a", "cookie: id=1\r\n").await;
    assert_eq!(cache_status(&rig.get("/a", "").await), "roundtrip; fwd=uri-miss; stored");
    assert!(cache_status(&rig.get("/a", "").await).starts_with("roundtrip; hit"));
}

#[tokio::test]
async fn each_variant_is_kept_for_those_who_ask_alike() {
    let upstream = Upstream::start(|head, _| {
        let language = asked(head, "accept-language").unwrap_or_default();
        answer(200, &["cache-control: max-age=60", "vary: Accept-Language"], language)
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    for (language, says) in [("en, de", "uri-miss"), ("fr", "vary-miss")] {
        let answer = rig.get("/a", &format!("accept-language: {language}\r\n")).await;
        assert_eq!(cache_status(&answer), format!("roundtrip; fwd={says}; stored"));
    }
    for (language, expected) in [("DE,en", "en, de"), ("fr", "fr")] {
        let answer = rig.get("/a", &format!("accept-language: {language}\r\n")).await;
        assert!(cache_status(&answer).starts_with("roundtrip; hit") && text(&answer) == expected, "{answer}");
    }
    assert_eq!(rig.edge.cache().figures().entries, 2);
    let star = counting(&["cache-control: max-age=60", "vary: x, *"]).await;
    let rig = Rig::before(&[star.address]).await;
    rig.get("/a", "").await;
    assert_eq!(text(&rig.get("/a", "").await), "2");
}

#[tokio::test]
async fn a_head_a_condition_and_a_range_are_answered_from_the_whole() {
    let upstream = Upstream::start(|_, _| {
        answer(200, &["cache-control: max-age=60", "etag: \"v1\"", "content-type: text/plain"], "0123456789")
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    rig.get("/a", "").await;
    let head = rig.exchange("HEAD /a HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
    assert_eq!((status(&head), text(&head), header(&head, "content-length")), (200, "", Some("10")));
    let same = rig.get("/a", "if-none-match: \"x\", \"v1\"\r\n").await;
    assert_eq!((status(&same), text(&same), header(&same, "etag")), (304, "", Some("\"v1\"")));
    assert_eq!(header(&same, "content-type"), None);
    for (range, code, expected, says) in [
        ("range: bytes=2-4\r\n", 206, "234", Some("bytes 2-4/10")),
        ("range: bytes=-3\r\n", 206, "789", Some("bytes 7-9/10")),
        ("range: bytes=10-\r\n", 416, "", Some("bytes */10")),
        ("range: bytes=0-1,4-5\r\n", 200, "0123456789", None),
        ("range: bytes=0-1\r\nif-range: \"v0\"\r\n", 200, "0123456789", None),
        ("range: bytes=0-1\r\nif-range: \"v1\"\r\n", 206, "01", Some("bytes 0-1/10")),
    ] {
        let part = rig.get("/a", range).await;
        assert_eq!((status(&part), text(&part), header(&part, "content-range")), (code, expected, says), "{range}");
    }
    assert_eq!(upstream.heads().len(), 1);
}

#[tokio::test]
async fn a_part_is_never_kept_as_the_whole() {
    let upstream = Upstream::start(|head, _| match head.headers.get("range") {
        Some(_) => answer(206, &["cache-control: max-age=60", "content-range: bytes 0-1/4"], "so"),
        None => answer(200, &["cache-control: max-age=60"], "soup"),
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    assert_eq!(text(&rig.get("/a", "range: bytes=0-1\r\n").await), "so");
    assert_eq!(text(&rig.get("/a", "").await), "soup");
}

#[tokio::test]
async fn a_request_may_ask_for_the_origins_word_or_for_ours_alone() {
    let upstream = counting(&["cache-control: max-age=60"]).await;
    let rig = Rig::before(&[upstream.address]).await;
    let nothing = rig.get("/a", "cache-control: only-if-cached\r\n").await;
    assert_eq!(status(&nothing), 504);
    assert!(nothing.contains("\"hop\":\"http\""), "{nothing}");
    assert_eq!(text(&rig.get("/a", "cache-control: no-store\r\n").await), "1");
    assert_eq!(text(&rig.get("/a", "").await), "2");
    for (asks, number) in
        [("cache-control: no-cache", "3"), ("pragma: no-cache", "4"), ("cache-control: max-age=0", "5")]
    {
        let answer = rig.get("/a", &format!("{asks}\r\n")).await;
        assert_eq!((text(&answer), cache_status(&answer)), (number, "roundtrip; fwd=request; stored"), "{asks}");
    }
    assert_eq!(text(&rig.get("/a", "cache-control: only-if-cached\r\n").await), "5");
}

#[tokio::test]
async fn a_change_takes_out_what_it_names_and_a_refused_one_does_not() {
    let upstream = Upstream::start(|head, _| match (head.method.as_str(), head.uri.path()) {
        ("GET", _) => answer(200, &["cache-control: max-age=60"], "kept"),
        (_, "/refused") => answer(409, &[], ""),
        _ => answer(201, &["location: /new", "content-location: http://elsewhere/other"], ""),
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    let hits = async |path: &str| cache_status(&rig.get(path, "").await).starts_with("roundtrip; hit");
    for path in ["/list", "/new", "/other", "/refused"] {
        assert!(!hits(path).await && hits(path).await);
    }
    for path in ["/list", "/refused"] {
        let post = format!("POST {path} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(cache_status(&rig.exchange(&post).await), "roundtrip; fwd=method");
    }
    assert!(!hits("/list").await && !hits("/new").await);
    assert!(hits("/other").await && hits("/refused").await);
}

#[tokio::test]
async fn a_problem_of_our_own_is_not_kept() {
    let rig = Rig::with(&[nobody()], rig::Options::default());
    let answer = rig.get("/a", "").await;
    assert_eq!((status(&answer), header(&answer, "cache-control")), (503, Some("no-store")));
    assert_eq!(rig.edge.cache().figures().entries, 0);
}

#[tokio::test]
async fn what_is_kept_can_be_taken_out_by_address_by_its_beginning_and_altogether() {
    let upstream = counting(&["cache-control: max-age=60"]).await;
    let rig = Rig::before(&[upstream.address]).await;
    let fill = async || {
        for path in ["/a/1", "/a/2", "/b"] {
            rig.get(path, "").await;
        }
    };
    fill().await;
    let cache = rig.edge.cache();
    let url = format!("http://{}", rig.host.to_uppercase());
    assert_eq!((cache.purge_url(&format!("{url}/a/1")), cache.purge_url(&format!("{url}/a/1"))), (1, 0));
    assert_eq!(cache.purge_prefix(&format!("{url}/a")), 1);
    fill().await;
    assert_eq!((cache.clear(), cache.figures().entries, cache.figures().bytes), (3, 0, 0));
}

#[tokio::test]
async fn it_holds_no_more_than_it_may_and_drops_what_was_not_used_for_longest() {
    let upstream = Upstream::start(|_, _| answer(200, &["cache-control: max-age=60"], vec![b'x'; 20 * 1024])).await;
    let rig = Rig::before(&[upstream.address]).await;
    set(&rig, "http.cache.bytes", json!(64 * 1024));
    for path in ["/1", "/2", "/3", "/1", "/4"] {
        rig.get(path, "").await;
    }
    let figures = rig.edge.cache().figures();
    assert_eq!((figures.entries, figures.evictions), (3, 1));
    assert!(figures.bytes <= 64 * 1024, "{figures:?}");
    assert!(cache_status(&rig.get("/1", "").await).starts_with("roundtrip; hit"));
    assert!(cache_status(&rig.get("/2", "").await).starts_with("roundtrip; fwd"));
}

#[tokio::test]
async fn a_probe_that_asks_for_the_source_gets_it() {
    let upstream = counting(&["cache-control: max-age=60"]).await;
    let rig = Rig::before(&[upstream.address]).await;
    rig.get("/a", "").await;
    let (trace_id, key) = (TraceId::random(), SpanId::random());
    let expires_unix_s = OffsetDateTime::now_utc().unix_timestamp() as u64 + 30;
    let signed = Probe { trace_id, key, bypass_caches: true, expires_unix_s }.sign(&probe_key());
    let parent = TraceParent { trace_id, parent: key, sampled: true };
    let answer = rig.get("/a", &format!("traceparent: {parent}\r\n{PROBE}: {signed}\r\n")).await;
    assert_eq!((text(&answer), cache_status(&answer)), ("2", "roundtrip; fwd=bypass"));
    assert_eq!(text(&rig.get("/a", "").await), "1");
}

#[tokio::test]
async fn a_cache_that_is_switched_off_keeps_and_says_nothing() {
    let upstream = counting(&["cache-control: max-age=60"]).await;
    let rig = Rig::before(&[upstream.address]).await;
    set(&rig, "http.cache.enabled", json!(false));
    for number in ["1", "2"] {
        let answer = rig.get("/a", "").await;
        assert_eq!((text(&answer), header(&answer, "cache-status")), (number, None));
    }
}

#[tokio::test]
async fn what_cannot_be_kept_pushes_nothing_out() {
    let upstream = Upstream::start(|head, _| match head.uri.path() {
        "/kept" => answer(200, &["cache-control: max-age=60"], vec![b'x'; 20 * 1024]),
        _ => answer(200, &["cache-control: no-store"], "own"),
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    set(&rig, "http.cache.bytes", json!(64 * 1024));
    rig.get("/kept", "").await;
    let long = "x".repeat(1_000);
    for number in 0..70 {
        rig.get(&format!("/{number}/{long}"), "").await;
    }
    assert!(cache_status(&rig.get("/kept", "").await).starts_with("roundtrip; hit"));
    assert_eq!(rig.edge.cache().figures().evictions, 0);
}

/// A body that never comes.
struct Never;

impl http_body::Body for Never {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>> {
        std::task::Poll::Pending
    }
}

#[tokio::test]
async fn an_answer_for_which_there_is_no_room_just_now_costs_its_address_nothing() {
    let upstream = Upstream::start(|head, _| match head.uri.path() {
        "/never" => {
            let never = http_body_util::BodyExt::boxed_unsync(Never);
            Response::builder().header("cache-control", "max-age=60").body(never).expect("a response")
        }
        // Stale from the start.
        _ => answer(200, &["cache-control: max-age=60", "age: 70", "etag: \"v1\""], "soup"),
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    set(&rig, "http.cache.bytes", json!(64 * 1024));
    set(&rig, "http.cache.object_bytes", json!(64 * 1024));
    assert!(cache_status(&rig.get("/a", "").await).ends_with("; stored"));
    let mut filling = rig.connect().await;
    filling.write(&format!("GET /never HTTP/1.1\r\nHost: {}\r\n\r\n", rig.host)).await;
    assert!(filling.read_until("\r\n\r\n").await.contains("; stored"));
    assert_eq!(cache_status(&rig.get("/a", "").await), "roundtrip; fwd=stale");
    assert_eq!(rig.edge.cache().figures().entries, 1);
    drop(filling);
}
