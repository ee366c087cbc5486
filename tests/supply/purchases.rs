//! In the background: written with the order, asked for until it comes.

use std::time::Duration;

use roundtrip::domain::ledger::Account;
use roundtrip::domain::money::Money;
use roundtrip::domain::page::Cut;
use roundtrip::domain::pantry::{Delivered, PurchaseClaim};
use serde_json::json;

use crate::world::{BASMATI, JUICE, ORANGES, RICE, TRUFFLE, World, span};

#[tokio::test]
async fn an_order_that_brings_an_item_down_to_its_reorder_point_is_placed_and_the_item_comes_later() {
    let world = World::open(&[]);
    world.stock(ORANGES, 300);
    let seen = span(true);
    world.order_in(&seen, JUICE, 2).await.expect("placed without asking anybody");
    assert_eq!(world.supply.figures().asked, 0);
    let spans = seen.trace().finish();
    let fallback = spans.iter().find(|span| span.name == "Accept now, deliver later").expect("the trace says so");
    assert_eq!(fallback.attributes, [("roundtrip.service.fact".into(), json!("accepted; 1 item is delivered later"))]);
    let low = world.item(ORANGES).await;
    let open = low.open.expect("an open purchase");
    assert_eq!((low.stock, open.quantity, open.asking, open.attempts), (294, 6, false, 0));

    let buyer = world.buyer();
    let full = world.until(ORANGES, |item| item.open.is_none()).await;
    let delivery = full.last_delivery.expect("a delivery");
    assert_eq!((full.stock, delivery.quantity, delivery.cost), (300, 6, Money::from_cents(6 * 32)));
    let ledger = world.bistro.ledger(&span(false), &Cut { limit: 10, after: None }).await.expect("the ledger");
    let balance =
        |wanted| ledger.balances.iter().find(|(account, _)| *account == wanted).map(|(_, money)| money.cents());
    assert_eq!((balance(Account::Supplies), balance(Account::Payable)), (Some(192), Some(-192)));
    buyer.stop().await;
    let work = world.recorder.recent_work();
    let names: Vec<_> = work.iter().flat_map(|work| &work.spans).map(|span| span.name.as_ref()).collect();
    assert_eq!((work.len(), work[0].subject.as_str(), names[0]), (1, "6 of Oranges", "Buy for the pantry"));
    assert!(["Ask the supplier", "Send the request", "Take the delivery in"].iter().all(|name| names.contains(name)));
    assert_eq!(world.audit().await, 1);
}

#[tokio::test]
async fn one_purchase_of_an_item_is_open_at_a_time_however_many_orders_want_it() {
    let world = World::open(&[]);
    world.stock(ORANGES, 300);
    for _ in 0..5 {
        world.order(JUICE, 1).await.expect("placed");
    }
    let low = world.item(ORANGES).await;
    assert_eq!((low.stock, low.open.map(|open| open.quantity)), (285, Some(3)));
    let _buyer = world.buyer();
    // What the other orders used is wanted as soon as the first purchase is in.
    assert_eq!(world.until(ORANGES, |item| item.open.is_none()).await.stock, 300);
    assert_eq!(world.audit().await, 2);
}

#[tokio::test]
async fn while_the_supplier_is_closed_orders_go_on_and_the_purchase_waits_and_comes_once_when_it_opens() {
    let world = World::open(&[("fault.supplier.closed", json!(true))]);
    world.stock(ORANGES, 300);
    let buyer = world.buyer();
    for _ in 0..3 {
        world.order(JUICE, 1).await.expect("placed");
    }
    let waiting = world.until(ORANGES, |item| item.open.as_ref().is_some_and(|open| open.attempts > 2)).await;
    let error = waiting.open.and_then(|open| open.last_error).unwrap_or_default();
    assert!(error.contains("closed") || error.contains("breaker"), "{error}");
    world.order(JUICE, 1).await.expect("placed");
    assert_eq!(world.supplier.deliveries(), 0);

    world.change(&[("fault.supplier.closed", json!(false)), ("service.supply.breaker.mode", json!("off"))]);
    let full = world.until(ORANGES, |item| item.open.is_none()).await;
    assert_eq!((full.stock, full.last_delivery.map(|delivery| delivery.quantity)), (300, Some(9)));
    buyer.stop().await;
    assert_eq!(world.audit().await, 2, "three for the first order, nine for the others");
}

#[tokio::test]
async fn a_supplier_that_fails_half_the_time_delivers_everything_once() {
    let world = World::open(&[("fault.supplier.fails", json!(50)), ("fault.supplier.lies", json!(50))]);
    world.change(&[("service.supply.breaker.mode", json!("off"))]);
    world.stock(ORANGES, 300);
    let buyer = world.buyer();
    for _ in 0..10 {
        world.order(JUICE, 1).await.expect("placed");
        assert_eq!(world.until(ORANGES, |item| item.open.is_none()).await.stock, 300);
    }
    buyer.stop().await;
    assert_eq!(world.audit().await, 10);
}

#[tokio::test]
async fn a_delivery_whose_answer_was_lost_is_asked_for_with_the_same_key_and_comes_once() {
    let world = World::open(&[("fault.supplier.lies", json!(100)), ("service.supply.attempts", json!(1))]);
    world.stock(ORANGES, 300);
    let buyer = world.buyer();
    world.order(JUICE, 1).await.expect("placed");
    let lost = world.until(ORANGES, |item| item.open.as_ref().is_some_and(|open| open.attempts > 2)).await;
    assert_eq!((world.supplier.deliveries(), lost.stock), (1, 297), "booked there, unknown here");

    world.change(&[("fault.supplier.lies", json!(0)), ("service.supply.breaker.mode", json!("off"))]);
    assert_eq!(world.until(ORANGES, |item| item.open.is_none()).await.stock, 300);
    buyer.stop().await;
    assert_eq!(world.audit().await, 1);
}

#[tokio::test]
async fn a_purchase_whose_holder_died_is_taken_over_once_its_lease_is_over_and_the_old_holder_changes_nothing() {
    let (world, lease) = (World::open(&[]), Duration::from_secs(60));
    world.stock(ORANGES, 300);
    world.order(JUICE, 1).await.expect("placed");
    let claim = || async { world.bistro.claim_purchase(&span(false), lease, lease).await.expect("an answer") };
    let dead = claim().await.expect("it is due");
    assert_eq!(claim().await, None, "somebody holds it");
    world.later(lease);
    let heir = claim().await.expect("the lease is over");
    assert_eq!((heir.id, &heir.key, heir.lease, heir.attempts), (dead.id, &dead.key, dead.lease + 1, 2));

    let delivered = || Delivered { delivery: "d-1".to_owned(), cost: Money::from_cents(1) };
    let (nobody, wait) = (span(false), Duration::ZERO);
    assert_eq!(world.bistro.deliver_purchase(&nobody, &dead, delivered()).await, Ok(false));
    assert_eq!(world.bistro.put_back_purchase(&nobody, &dead, "late".into(), wait).await, Ok(false));
    assert_eq!(world.bistro.refuse_purchase(&nobody, &dead, "late".into(), true).await, Ok(false));
    // After a restore ids and lease numbers begin again where the backup was; the key does not.
    let stale = PurchaseClaim { key: "of-before-a-restore".to_owned(), ..heir.clone() };
    assert_eq!(world.bistro.deliver_purchase(&nobody, &stale, delivered()).await, Ok(false));
    assert_eq!(world.bistro.put_back_purchase(&nobody, &stale, "late".into(), wait).await, Ok(false));
    assert_eq!(world.bistro.refuse_purchase(&nobody, &stale, "late".into(), true).await, Ok(false));
    assert_eq!(world.item(ORANGES).await.stock, 297);
    assert_eq!(world.bistro.deliver_purchase(&nobody, &heir, delivered()).await, Ok(true));
    assert_eq!(world.bistro.deliver_purchase(&nobody, &heir, delivered()).await, Ok(false), "once");
    assert_eq!(world.item(ORANGES).await.stock, 300);
    assert_eq!(world.bistro.audit().await.map(|audit| audit.wrong), Ok(Vec::new()));
}

#[tokio::test]
async fn a_clock_that_is_set_back_stalls_no_purchase() {
    let (world, lease, hour) = (World::open(&[]), Duration::from_secs(60), Duration::from_secs(3_600));
    world.later(hour);
    world.stock(ORANGES, 300);
    world.stock(BASMATI, 900);
    for dish in [JUICE, RICE] {
        world.order(dish, 1).await.expect("placed");
    }
    let claim = || async { world.bistro.claim_purchase(&span(false), lease, lease).await.expect("an answer") };
    let held = claim().await.expect("it is due");
    world.earlier(hour);
    let next = world.bistro.next_purchase(lease, lease).await.expect("an answer").expect("two");
    assert!(next <= world.bistro.now());
    let (waited, again) = (claim().await.expect("it waits"), claim().await.expect("nobody holds it"));
    assert_eq!((waited.lease, again.id, again.lease), (1, held.id, held.lease + 1));
    assert_eq!(claim().await, None);
}

#[tokio::test]
async fn what_the_supplier_does_not_sell_is_refused_and_not_wanted_again() {
    let world = World::open(&[]);
    world.stock(TRUFFLE, 120);
    let buyer = world.buyer();
    world.order(15, 1).await.expect("placed");
    let refused = world.until(TRUFFLE, |item| item.reorder_at.is_none()).await;
    assert_eq!((refused.open, refused.last_delivery, refused.stock), (None, None, 114));
    world.order(15, 1).await.expect("placed");
    assert_eq!(world.item(TRUFFLE).await.open, None);
    buyer.stop().await;
    world.audit().await;
}

#[tokio::test]
async fn a_buyer_that_was_told_to_stop_begins_nothing_more_before_it_is_waited_for() {
    let world = World::open(&[]);
    world.stock(ORANGES, 300);
    let buyer = world.buyer();
    buyer.tell_to_stop();
    world.order(JUICE, 1).await.expect("placed");
    buyer.stop().await;
    assert_eq!((world.supply.figures().asked, world.audit().await), (0, 0));
}

#[tokio::test]
async fn stopped_while_it_buys_the_buyer_ends_what_is_under_way() {
    let world = World::open(&[("supplier.latency", json!(300))]);
    world.stock(ORANGES, 300);
    world.order(JUICE, 1).await.expect("placed");
    world.order(RICE, 1).await.expect("placed");
    let buyer = world.buyer();
    world.until(ORANGES, |item| item.open.is_none() || item.open.as_ref().is_some_and(|open| open.attempts > 0)).await;
    buyer.stop().await;
    let item = world.item(ORANGES).await;
    assert!(!item.open.is_some_and(|open| open.asking), "nothing is left with a lease");
    world.audit().await;
}
