//! Orders: all or nothing, once, and within the stock.

use std::collections::BTreeSet;
use std::time::Duration;

use roundtrip::domain::money::Money;
use roundtrip::domain::order_rule::Refusal;
use roundtrip::domain::permission::Role;
use roundtrip::store::bistro::PlaceError;

use super::ground::{ALL, Ground, HOUSE_SALAD, Outcome, TRUFFLE_RISOTTO, order, span, with_key};

pub async fn a_new_house_has_forty_dishes_that_can_all_be_had_and_staff_without_a_password<G: Ground>() -> Outcome {
    let house = G::new()?;
    let bistro = house.bistro()?;
    let menu = bistro.menu(&span()).await?;
    assert_eq!(menu.len(), 40);
    assert!(menu.iter().all(|item| item.available && !item.description.is_empty() && item.price > Money::ZERO));
    let staff = bistro.staff().await?;
    assert_eq!(staff.iter().map(|member| member.role).collect::<Vec<_>>(), Role::STAFF);
    assert!(staff.iter().all(|member| !member.has_password));
    assert_eq!(bistro.audit().await?.wrong, Vec::<String>::new());
    Ok(())
}

pub async fn an_acknowledged_order_is_there_after_reopening<G: Ground>() -> Outcome {
    let house = G::new()?;
    let bistro = house.bistro()?;
    let placed = bistro.place_order(&span(), order(&[(HOUSE_SALAD, 2), (31, 1)])).await?;
    assert_eq!(placed.order.total, Money::from_cents(1950));
    assert_eq!(placed.queue_waiting, Some(1));
    bistro.close().await?;
    let bistro = house.bistro()?;
    assert_eq!(bistro.order(&span(), &placed.order.id).await?, Some(placed.order.clone()));
    assert_eq!(bistro.list_orders(&span(), None, &ALL).await?.items.len(), 1);
    assert_eq!(bistro.list_orders(&span(), Some(placed.order.owner), &ALL).await?.items, [placed.order]);
    let counts = bistro.counts().await?;
    assert_eq!((counts.orders, counts.waiting, counts.menu_items), (1, 1, 40));
    Ok(())
}

pub async fn two_hundred_guests_want_the_last_twenty_portions_and_twenty_get_one<G: Ground>() -> Outcome {
    let house = G::new()?;
    let bistro = house.bistro()?;
    let guests: Vec<_> = (0..200)
        .map(|_| {
            let bistro = bistro.clone();
            tokio::spawn(async move { bistro.place_order(&span(), order(&[(TRUFFLE_RISOTTO, 1)])).await })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for guest in guests {
        match guest.await? {
            Ok(placed) => drop(ids.insert(placed.order.id)),
            Err(refused) => {
                let sold_out = Refusal::OutOfStock { line: 0, name: "Truffle Risotto".into() };
                assert_eq!(refused, PlaceError::Refused(sold_out));
            }
        }
    }
    assert_eq!(ids.len(), 20);
    let audit = bistro.audit().await?;
    assert_eq!((audit.orders, audit.ledger_sum, audit.stock_min), (20, Money::ZERO, 0));
    assert_eq!(audit.wrong, Vec::<String>::new());
    let ledger = bistro.ledger(&span(), &ALL.cut).await?;
    assert_eq!((ledger.count, ledger.entries.items.len(), ledger.sum), (40, 40, Money::ZERO));
    let item = bistro.menu_item(&span(), TRUFFLE_RISOTTO).await?;
    assert!(item.is_some_and(|item| !item.available));
    Ok(())
}

pub async fn a_refused_order_leaves_nothing_behind<G: Ground>() -> Outcome {
    let house = G::new()?;
    let bistro = house.bistro()?;
    let refused = bistro.place_order(&span(), order(&[(HOUSE_SALAD, 1), (99, 1)])).await;
    assert_eq!(refused, Err(PlaceError::Refused(Refusal::UnknownDish { line: 1, id: 99 })));
    let refused = bistro.place_order(&span(), order(&[(TRUFFLE_RISOTTO, 12), (TRUFFLE_RISOTTO, 9)])).await;
    let sold_out = Refusal::OutOfStock { line: 1, name: "Truffle Risotto".into() };
    assert_eq!(refused, Err(PlaceError::Refused(sold_out)));
    assert_eq!(bistro.audit().await?.orders, 0);
    assert_eq!(bistro.figures().commits, 0);
    Ok(())
}

pub async fn one_key_is_one_order_however_often_and_at_once_it_comes<G: Ground>() -> Outcome {
    let house = G::new()?;
    let bistro = house.bistro()?;
    let guest = bistro.place_order(&span(), order(&[(HOUSE_SALAD, 1)])).await?.order.owner;
    let same: Vec<_> = (0..10)
        .map(|_| {
            let bistro = bistro.clone();
            tokio::spawn(async move { bistro.place_order(&span(), with_key(guest, &[(1, 2)], 1)).await })
        })
        .collect();
    let mut replayed = 0;
    let mut ids = BTreeSet::new();
    for placed in same {
        let placed = placed.await??;
        replayed += i32::from(placed.replayed);
        ids.insert(placed.order.id);
    }
    assert_eq!((ids.len(), replayed), (1, 9));
    let other = bistro.place_order(&span(), with_key(guest, &[(2, 1)], 2)).await;
    assert_eq!(other, Err(PlaceError::IdempotencyConflict));
    let waiter = bistro.staff().await?[0].person;
    assert!(!bistro.place_order(&span(), with_key(waiter, &[(2, 1)], 2)).await?.replayed, "another's key");
    house.pass(Duration::from_secs(24 * 60 * 60));
    assert!(!bistro.place_order(&span(), with_key(guest, &[(2, 1)], 2)).await?.replayed, "a day later");
    assert_eq!(bistro.audit().await?.orders, 4);
    Ok(())
}
