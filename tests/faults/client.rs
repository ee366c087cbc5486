//! The stack's own client, and how far away it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use roundtrip::client::lean::{Broken, Jar, Kind, Line, Origin, Reach};
use roundtrip::client::{Outgoing, Url};
use roundtrip::observe::hop::Hop;
use roundtrip::observe::journey::Journey;
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::breaking::{
    answered, console_lives, ends_by_itself, failed_by, fresh, heals, kept, send, set, struck, withdraw,
};
use crate::harness::probes::{outgoing, span};
use crate::harness::{House, order_of};
use crate::rig::{raw_upstream, soon, until};

const SLOW: &str = "fault.client.slow_network";
const HANGS_UP: &str = "fault.client.hangs_up";
const HALF_BODY: &str = "fault.client.half_body";
const DISTANCE: &str = "client.region_delay";

fn names(journey: &Journey) -> Vec<&str> {
    journey.spans.iter().map(|span| span.name.as_str()).collect()
}

/// What nobody measured is small beside the distance.
#[track_caller]
fn is_accounted_for(journey: &Journey) {
    assert!(journey.unaccounted_us < journey.summary.total_us / 10.0, "{journey:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_slow_network_each_turn_costs_the_way_there_and_back() {
    let house = House::with_one_instance().await;
    set(&house, SLOW, json!(40));
    // TCP, TLS and the request: three turns of twice 40 ms.
    let journey = answered(&house, fresh(&house)).await;
    assert!(journey.summary.total_us >= 240_000.0, "{}", journey.summary.total_us);
    assert_eq!(journey.summary.faults, [SLOW]);
    assert_eq!(struck(&journey, SLOW).len(), 5, "{:?}", names(&journey));
    is_accounted_for(&journey);
    let journey = answered(&house, kept(&house)).await;
    assert_eq!(struck(&journey, SLOW).len(), 2, "{:?}", names(&journey));
    assert!(journey.summary.total_us >= 80_000.0);
    console_lives(&house).await;
    // Of the same connection, with nothing left of it.
    withdraw(&house, SLOW);
    let journey = answered(&house, kept(&house)).await;
    assert!(struck(&journey, SLOW).is_empty() && journey.summary.connection.as_deref() == Some("kept"));
    ends_by_itself(&house, SLOW, json!({ "strength": 10 })).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_early_fails_at_the_client_and_the_edge_drops_the_work() {
    let waits = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&waits);
    // It never answers, and works until nobody waits any more.
    let upstream = raw_upstream(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 64]).await;
            count.fetch_sub(1, Ordering::SeqCst);
        }
    });
    let house = House::before(&[upstream.await]).await;
    set(&house, HANGS_UP, json!({ "route": "/slow" }));
    let sent = send(&house, outgoing(&house, "GET", "/slow", None)).await;
    let (message, journey) = failed_by(sent, Hop::Client, HANGS_UP);
    assert!(message.contains("as soon as it had sent"), "{message}");
    assert!(span(&journey, "Hang up").is_some() && journey.summary.status == 0);
    let edge = span(&journey, "Serve the request").expect("the edge's record");
    assert_eq!(edge.attributes["error.type"], json!("client_gone"), "{edge:?}");
    until(|| waits.load(Ordering::SeqCst) == 0).await;
    console_lives(&house).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_on_a_kept_connection_is_not_tried_again_and_leaves_nothing() {
    let house = House::with_one_instance().await;
    answered(&house, fresh(&house)).await;
    set(&house, HANGS_UP, json!({ "route": "/api/v1/menu" }));
    failed_by(send(&house, kept(&house)).await, Hop::Client, HANGS_UP);
    withdraw(&house, HANGS_UP);
    heals(&house).await;
    ends_by_itself(&house, HANGS_UP, json!({})).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_half_a_body_half_arrives_and_a_request_without_one_is_spared() {
    let house = House::with_one_instance().await;
    set(&house, HALF_BODY, json!(true));
    answered(&house, fresh(&house)).await;
    let order = || outgoing(&house, "POST", "/api/v1/orders", Some(&order_of(1, 1)));
    let before = house.books();
    let (message, half) = failed_by(send(&house, order()).await, Hop::Client, HALF_BODY);
    assert!(message.contains("in the middle of the request's body"), "{message}");
    assert_eq!(house.books(), before, "half an order is none");
    console_lives(&house).await;
    withdraw(&house, HALF_BODY);
    let (sent, whole) = send(&house, order()).await;
    assert_eq!(sent.expect("an answer").status, 201);
    let body = order().body.len() as u64;
    assert_eq!(whole.request_bytes - half.request_bytes, body - body / 2);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_far_away_a_new_connection_pays_three_round_trips_and_a_kept_one_pays_one() {
    let house = House::with_one_instance().await;
    set(&house, DISTANCE, json!(40));
    let journey = answered(&house, fresh(&house)).await;
    assert!(journey.summary.total_us >= 240_000.0, "{}", journey.summary.total_us);
    assert!(journey.hops.client.us >= 230_000.0, "the distance is the client's: {:?}", journey.hops.client);
    is_accounted_for(&journey);
    let journey = answered(&house, kept(&house)).await;
    assert!(span(&journey, "Distance to the edge").is_some_and(|span| span.duration_us >= 40_000.0));
    assert!(span(&journey, "Distance back from the edge").is_some_and(|span| span.duration_us >= 39_000.0));
    assert!(span(&journey, "Distance to the edge, there and back").is_none());
    is_accounted_for(&journey);
    // Somebody else's client stands where it stands.
    assert_eq!(house.visitor().get("/api/v1/menu").await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_edge_near_only_what_it_fetches_pays_and_what_it_has_kept_does_not() {
    let house = House::with_one_instance().await;
    set(&house, DISTANCE, json!(40));
    set(&house, "client.region_edge", json!("near"));
    set(&house, "api.menu.shared_ttl", json!(3_600));
    let fetched = answered(&house, fresh(&house)).await;
    assert!(span(&fetched, "Distance to the edge").is_none(), "{:?}", names(&fetched));
    let out = span(&fetched, "Distance to the origin").expect("a way");
    assert!(out.hop == Hop::Balancer && out.duration_us >= 40_000.0, "{out:?}");
    assert!(span(&fetched, "Distance back from the origin").is_some());
    is_accounted_for(&fetched);
    // Twice: the first fills the edge's cache, the second is answered from it.
    let menu = || Outgoing { bypass_caches: false, ..fresh(&house) };
    answered(&house, menu()).await;
    let kept = answered(&house, menu()).await;
    assert!(!names(&kept).iter().any(|name| name.contains("Distance")), "{:?}", names(&kept));
    house.stop().await;
}

/// As a load does: over a connection of its own, with nothing recorded.
fn line(house: &House) -> Line {
    let url = Url::parse(&house.stack.app_url()).expect("a url");
    Line::new(Arc::new(Origin::new(house.stack.client(), url, Reach::Loopback, false)))
}

/// A GET of the menu; how long it took.
async fn load(house: &House, line: &mut Line) -> (Result<u16, Broken>, Duration) {
    let host = Url::parse(&house.stack.app_url()).expect("a url").authority;
    let request = format!("GET /api/v1/menu HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let began = Instant::now();
    let answered = soon(line.exchange(request.as_bytes(), false, &mut Jar::default())).await;
    (answered.map(|answered| answered.status), began.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_from_far_away_pays_the_distance_and_one_over_a_slow_network_too() {
    let house = House::with_one_instance().await;
    for (key, value, withdrawn) in
        [(DISTANCE, json!(40), json!(0)), (SLOW, json!({ "strength": 40, "route": "/api/v1/menu" }), json!(false))]
    {
        let mut line = line(&house);
        set(&house, key, value);
        for (turns, of) in [(3, "TCP, TLS and the request"), (1, "the request over a kept connection")] {
            let (status, took) = load(&house, &mut line).await;
            assert_eq!(status, Ok(200));
            assert!(took >= turns * Duration::from_millis(80), "{key}, {of}: {took:?}");
        }
        set(&house, key, withdrawn);
        assert_eq!(load(&house, &mut line).await.0, Ok(200));
        assert_eq!(line.opened(), 1);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_hangs_up_early_and_says_why() {
    let house = House::with_one_instance().await;
    let mut line = line(&house);
    set(&house, HANGS_UP, json!({ "route": "/api/v1/menu" }));
    let broken = load(&house, &mut line).await.0.expect_err("it is broken off");
    assert!(broken.kind == Kind::Reset && broken.why.contains(HANGS_UP), "{broken:?}");
    withdraw(&house, HANGS_UP);
    assert_eq!(load(&house, &mut line).await.0, Ok(200));
    assert_eq!(line.opened(), 2);
    house.stop().await;
}
