//! The waiter's page of the restaurant, and the manager's books.

use std::sync::Arc;

use fantoccini::key::Key;
use serde_json::json;

use crate::kitchen::{guest_orders, owner_sends};
use crate::looks::fits;
use crate::page::{PHONE, PROJECTOR, Page};
use crate::world::World;

const SECRET: &str = "carafe-napkin-tureen-candle";

async fn sign_in(page: &Page, name: &str) {
    page.click("#staff-in").await;
    page.type_into("#name", name).await;
    page.type_into("#password", SECRET).await;
    page.click("#staff-form [type=submit]").await;
    page.until("somebody is in", &format!("document.querySelector('#who').textContent === 'Signed in as {name}'"))
        .await;
}

/// The only order that the filters leave.
async fn only_one_is(page: &Page, state: &str) {
    let shown = format!(
        "document.querySelectorAll('#orders .placed').length === 1 && document.querySelector('#orders .placed').dataset.state === '{state}'"
    );
    page.until(&format!("one order, {state}"), &shown).await;
}

pub async fn a_waiter_serves_and_takes_payment_and_the_manager_refunds_and_closes_the_day(world: Arc<World>) {
    let page = &world.page;
    for name in ["waiter", "manager"] {
        owner_sends(&world, "PUT", &format!("/api/staff/{name}/password"), json!({ "password": SECRET })).await;
    }
    page.open(&format!("{}/floor", world.server.app)).await;
    page.until("a guest is asked to sign in", "document.querySelector('#guest').hidden === false").await;
    guest_orders(page, 17).await;
    sign_in(page, "waiter").await;
    page.run("window.never_reloaded = true", Vec::new()).await;
    page.choose("#table", "17").await;
    only_one_is(page, "ready").await;
    assert!(page.text("#orders .placed").await.contains("2 × House Salad"));

    page.tab_to("#orders [data-key=serve]").await;
    page.press(Key::Enter).await;
    only_one_is(page, "served").await;
    page.click("#orders [data-key=pay]").await;
    only_one_is(page, "paid").await;
    assert_eq!(
        page.value("document.querySelectorAll('#orders .acts button').length").await,
        0,
        "no refund by a waiter"
    );
    assert_eq!(page.value("document.querySelector('#books').hidden").await, true);
    page.choose("#state", "served").await;
    page.until("none of those", "document.querySelector('#none').hidden === false").await;
    page.click("#staff-out").await;
    page.until("the orders are gone", "document.querySelector('#floor').hidden").await;

    sign_in(page, "manager").await;
    page.choose("#state", "paid").await;
    only_one_is(page, "paid").await;
    page.click("#orders [data-key=refund]").await;
    page.until("it is asked", "document.querySelector('#ask').open").await;
    page.click("#ask [value=no]").await;
    only_one_is(page, "paid").await;
    page.click("#orders [data-key=refund]").await;
    page.click("#ask [value=yes]").await;
    page.choose("#state", "refunded").await;
    only_one_is(page, "refunded").await;
    page.until("it is booked", "document.querySelector('#entries').textContent.includes('refund, cash')").await;
    assert!(page.text("#balances").await.ends_with("sum€0.00"));

    page.click("#close-day").await;
    page.click("#ask [value=yes]").await;
    page.until("the report is there", "document.querySelector('#days details')?.open").await;
    let report = page.text("#days").await;
    for part in ["Day 1, closed", "Orders placed", "Takings€15.00", "Refunds€15.00", "refund, refunds"] {
        assert!(report.contains(part), "{part} in {report}");
    }
    page.expect_refusal("/api/v1/ledger/days", 409);
    page.click("#close-day").await;
    page.click("#ask [value=yes]").await;
    page.until(
        "nothing more to close",
        "document.querySelector('#close-problem').textContent.includes('Nothing was booked')",
    )
    .await;
    for (size, scheme) in [(PHONE, "dark"), (PROJECTOR, "light")] {
        page.window(size).await;
        page.prefer(scheme, "reduce").await;
        fits(page, size, "the floor").await;
    }
    assert_eq!(page.value("window.never_reloaded").await, true);
}
