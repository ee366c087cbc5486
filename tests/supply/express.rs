//! In an order's way: what is missing is asked for at once, within bounds.

use roundtrip::observe::hop::Hop;
use roundtrip::policy::breaker::State;
use roundtrip::service::ServiceError;
use serde_json::json;

use crate::harness::PATIENCE;
use crate::world::{BASMATI, JUICE, ORANGES, RICE, World, span};

/// Why an order could not be placed, in words.
fn refusal<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> String {
    match result {
        Err(ServiceError::NotSupplied { why, .. }) => why,
        other => panic!("not refused for want of supplies: {other:?}"),
    }
}

#[tokio::test]
async fn an_order_that_lacks_an_ingredient_is_placed_after_an_express_delivery_and_its_trace_tells_how() {
    let world = World::open(&[]);
    world.stock(ORANGES, 2);
    assert!(!world.service.menu_item(&span(false), JUICE).await.expect("a dish").available);
    let seen = span(true);
    world.order_in(&seen, JUICE, 1).await.expect("placed after all");
    let spans = seen.trace().finish();
    let ask = spans.iter().find(|span| span.name == "Ask the supplier").expect("it was asked");
    let attribute = |key: &str| ask.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    for (key, value) in [
        ("roundtrip.supplier.item", json!("Oranges")),
        ("roundtrip.supplier.outcome", json!("delivered")),
        ("roundtrip.supplier.attempts", json!(1)),
        ("roundtrip.supplier.breaker", json!("closed")),
        ("roundtrip.supplier.calls", json!(1)),
        ("roundtrip.supplier.calls_max", json!(4)),
    ] {
        assert_eq!(attribute(key), Some(value), "{key}");
    }
    // The client's own steps are part of the same trace, as the service's time.
    let sent = spans.iter().find(|span| span.name == "Send the request").expect("what the client did");
    let raw = sent.attributes.iter().find(|(name, _)| name == "http.request.raw").map(|(_, value)| value.to_string());
    let trace_id = seen.trace().context().trace_id.to_string();
    assert!(raw.is_some_and(|raw| raw.contains(&trace_id)), "the trace goes on at the supplier");
    assert!(spans.iter().all(|span| [Hop::Api, Hop::Service, Hop::Data].contains(&span.hop)));
    assert_eq!(world.item(ORANGES).await.stock, 0);
    assert_eq!(world.audit().await, 1);
}

#[tokio::test]
async fn a_dish_can_be_had_again_at_every_instance_once_its_ingredient_came() {
    let world = World::open(&[]);
    world.stock(ORANGES, 30);
    world.order(JUICE, 10).await.expect("placed");
    let available = || async { world.service.menu_item(&span(false), JUICE).await.map(|dish| dish.available) };
    assert_eq!(available().await, Ok(false));
    let _buyer = world.buyer();
    world.until(ORANGES, |item| item.open.is_none()).await;
    assert_eq!(available().await, Ok(true));
    world.audit().await;
}

#[tokio::test]
async fn orders_that_lack_the_same_ingredient_together_have_one_delivery() {
    let world = World::open(&[("supplier.latency", json!(50))]);
    world.stock(ORANGES, 30);
    world.order(JUICE, 10).await.expect("placed");
    let one = || world.order(JUICE, 1);
    let placed = tokio::join!(one(), one(), one(), one(), one(), one(), one(), one());
    let (a, b, c, d, e, f, g, h) = placed;
    assert!([a, b, c, d, e, f, g, h].into_iter().all(|placed| placed.is_ok()));
    assert_eq!(world.supply.figures().attempts, 1);
    // The order of before and the eight used 54 of 60; what was low again is wanted again.
    assert_eq!(world.item(ORANGES).await.stock, 6);
    assert_eq!(world.audit().await, 1);
}

#[tokio::test]
async fn an_order_that_needs_more_than_an_open_purchase_brings_has_the_rest_delivered_too() {
    let world = World::open(&[]);
    world.stock(ORANGES, 30);
    world.order(JUICE, 1).await.expect("placed");
    assert_eq!(world.item(ORANGES).await.open.map(|open| open.quantity), Some(3));
    world.order(JUICE, 11).await.expect("placed after two deliveries");
    assert_eq!((world.item(ORANGES).await.stock, world.audit().await), (0, 2));
}

#[tokio::test]
async fn what_nobody_sells_is_out_of_stock_and_nobody_is_asked() {
    let world = World::open(&[]);
    world.order(15, 20).await.expect("the last of it");
    assert_eq!(refusal(world.order(15, 1).await), "the supplier does not sell White truffle");
    assert_eq!(world.supply.figures().asked, 0);
    world.audit().await;
}

#[tokio::test]
async fn a_supplier_that_fails_every_attempt_makes_it_out_of_stock_and_nothing_is_changed() {
    let world = World::open(&[("fault.supplier.fails", json!(100)), ("service.supply.attempts", json!(2))]);
    world.stock(ORANGES, 2);
    let why = refusal(world.order(JUICE, 1).await);
    assert!(why.contains("did not deliver") && why.contains("nothing was delivered"), "{why}");
    assert_eq!(world.supply.figures().attempts, 2);
    assert_eq!(world.item(ORANGES).await.open.map(|open| (open.asking, open.attempts)), Some((false, 1)));
    assert_eq!(world.audit().await, 0);
}

#[tokio::test]
async fn a_supplier_slower_than_the_order_waits_makes_it_out_of_stock() {
    let world = World::open(&[("supplier.latency", json!(60_000)), ("service.supply.timeout", json!(50))]);
    world.change(&[("service.supply.patience", json!(200))]);
    world.stock(ORANGES, 2);
    let why = refusal(world.order(JUICE, 1).await);
    assert!(why.contains("No answer within"), "{why}");
    world.audit().await;
}

#[tokio::test]
async fn what_is_cut_off_because_the_order_waits_no_longer_is_not_held_against_the_supplier() {
    let world = World::open(&[("supplier.latency", json!(60_000)), ("service.supply.attempts", json!(1))]);
    world.change(&[("service.supply.patience", json!(100)), ("service.supply.breaker.minimum", json!(1))]);
    world.stock(ORANGES, 2);
    assert_eq!(refusal(world.order(JUICE, 1).await), "there was no time left to wait for the supplier");
    let figures = world.supply.figures();
    assert_eq!((figures.attempts, figures.failed, figures.breaker), (1, 0, State::Closed));
    world.audit().await;
}

#[tokio::test]
async fn without_a_budget_nothing_is_tried_again() {
    let world = World::open(&[("fault.supplier.fails", json!(100)), ("service.supply.attempts", json!(10))]);
    world.change(&[("service.supply.retry_floor", json!(0)), ("service.supply.retry_ratio", json!(0))]);
    world.stock(ORANGES, 2);
    refusal(world.order(JUICE, 1).await);
    refusal(world.order(JUICE, 1).await);
    let figures = world.supply.figures();
    assert_eq!((figures.asked, figures.attempts, figures.failed), (2, 2, 2));
    world.audit().await;
}

#[tokio::test]
async fn after_too_many_failures_the_breaker_opens_and_the_supplier_is_left_alone() {
    let world = World::open(&[("fault.supplier.fails", json!(100)), ("service.supply.attempts", json!(1))]);
    world.change(&[("service.supply.breaker.minimum", json!(3)), ("service.supply.breaker.open_for", json!(300_000))]);
    world.stock(ORANGES, 2);
    for _ in 0..3 {
        assert!(refusal(world.order(JUICE, 1).await).contains("did not deliver"));
    }
    assert_eq!(world.supply.figures().breaker, State::Open);
    world.change(&[("fault.supplier.fails", json!(0))]);
    let why = refusal(world.order(JUICE, 1).await);
    assert!(why.contains("circuit breaker is open"), "{why}");
    let figures = world.supply.figures();
    assert_eq!((figures.attempts, figures.breaker_refused, world.supplier.deliveries()), (3, 1, 0));
    world.audit().await;
}

#[tokio::test]
async fn once_the_supplier_is_well_again_the_breaker_closes() {
    let world = World::open(&[("fault.supplier.fails", json!(100)), ("service.supply.attempts", json!(1))]);
    world.change(&[("service.supply.breaker.minimum", json!(3)), ("service.supply.breaker.open_for", json!(10))]);
    world.stock(ORANGES, 2);
    for _ in 0..3 {
        refusal(world.order(JUICE, 1).await);
    }
    world.change(&[("fault.supplier.fails", json!(0))]);
    let well_again = async { while world.order(JUICE, 1).await.is_err() {} };
    tokio::time::timeout(PATIENCE, well_again).await.expect("the breaker lets somebody try");
    assert_eq!(world.supply.figures().breaker, State::Closed);
    assert_eq!(world.audit().await, 1);
}

#[tokio::test]
async fn a_full_bulkhead_refuses_at_once_and_the_call_inside_goes_on() {
    let world = World::open(&[("service.supply.calls", json!(1)), ("supplier.latency", json!(1_500))]);
    world.stock(ORANGES, 2);
    world.stock(BASMATI, 89);
    let second = async {
        while world.supply.figures().calls == 0 {
            tokio::task::yield_now().await;
        }
        refusal(world.order(RICE, 1).await)
    };
    let (first, why) = tokio::join!(world.order(JUICE, 1), second);
    assert!(first.is_ok() && why.contains("bulkhead is full"), "{first:?} {why}");
    let figures = world.supply.figures();
    assert_eq!((figures.calls, figures.bulkhead_refused, figures.delivered), (0, 1, 1));
    world.change(&[("supplier.latency", json!(0))]);
    world.order(RICE, 1).await.expect("there is room again");
    assert_eq!(world.audit().await, 2);
}
