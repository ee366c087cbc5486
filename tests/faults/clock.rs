//! The stack's clock, wrong both ways: what is stored has its times, and nothing is lost or done twice.

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::back::{ORDERS, console_lives, look, off, set, until};
use crate::harness::people::Person;
use crate::harness::{House, audit, order_of};

/// By how much the time of a new order differs from the real one, in seconds.
async fn off_by(person: &Person) -> i64 {
    let reply = person.post(ORDERS, &order_of(1, 1)).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let at = reply.json()["placed_at"].as_str().map(|at| OffsetDateTime::parse(at, &Rfc3339).expect("a time"));
    (at.expect("it was placed") - OffsetDateTime::now_utc()).whole_seconds()
}

fn is_about(seconds: i64, wanted: i64) -> bool {
    (seconds - wanted).abs() <= 60
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_wrong_both_ways_cooks_each_ticket_once_and_knows_its_sessions() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::on(folder.path(), 3).await;
    let key = "fault.clock.skew";
    set(&house, "service.kitchen.cook_time", json!(20));
    let person = house.visitor();
    assert!(is_about(off_by(&person).await, 0));
    for skew in [3_600, -3_600, 7_200, -7_200] {
        set(&house, key, json!(skew));
        assert!(is_about(off_by(&person).await, skew), "{skew}");
        let own = person.get(ORDERS).await;
        assert_eq!(own.status, 200, "{}", own.text());
        console_lives(&house).await;
    }
    // Whoever signs in meanwhile is known meanwhile, and afterwards.
    set(&house, key, json!(3_600));
    let chef = house.staff("chef").await;
    assert_eq!(chef.get("/api/v1/kitchen").await.status, 200);
    // Times of a journey are of another clock.
    let (_, journey) = look(&house, "/api/v1/menu").await;
    assert!(journey.spans.iter().all(|span| span.duration_us < 60e6));
    off(&house, key);
    assert_eq!(chef.get("/api/v1/kitchen").await.status, 200);
    assert!(is_about(off_by(&person).await, 0));
    let settled = async || {
        let queue = chef.get("/api/v1/kitchen").await.json();
        ["waiting", "cooking", "dead"].iter().all(|length| queue[*length] == 0)
    };
    until("every ticket is cooked", settled).await;
    assert_eq!(house.stack.counts().await.expect("counts").map(|counts| counts.orders), Some(6));
    house.stop().await;
    assert_eq!(audit(folder.path()).await, 6);
}
