//! The restaurant's own page: the visible part.

use std::sync::Arc;

use serde_json::json;

use crate::kitchen::owner_sends;
use crate::looks::fits;
use crate::page::{PHONE, PROJECTOR, Page};
use crate::world::World;

const MENU_IS_READ: &str = "document.querySelectorAll('.dish').length === 40";

async fn menu(world: &World) -> &Page {
    world.page.open(&world.server.app).await;
    world.page.until("the menu is read", MENU_IS_READ).await;
    &world.page
}

/// Puts the first dish that can be had into the order and sends it from a table.
async fn order(page: &Page, table: &str) {
    page.click(".dish button:enabled").await;
    page.choose("#table", table).await;
    page.click("#order [type=submit]").await;
    page.until("the order is confirmed", "document.querySelector('#confirmation').hidden === false").await;
}

pub async fn a_guest_reads_the_menu_orders_and_sees_what_became_of_it(world: Arc<World>) {
    let page = menu(&world).await;
    page.until("no order yet", "document.querySelector('#orders-count').textContent === 'None placed yet.'").await;
    page.click("#order [type=submit]").await;
    let asked = "document.querySelector('#table-error').textContent !== '' && document.querySelector('#lines-error').textContent !== ''";
    page.until("table and dishes are asked for", asked).await;

    page.click(".dish button:enabled").await;
    let total = page.text("#total-price").await;
    assert!(total.starts_with('€'), "{total}");
    page.click(".stepper button:last-child").await;
    page.until("two of it", "document.querySelector('.stepper output').textContent === '2'").await;
    assert_ne!(page.text("#total-price").await, total);
    let total = page.text("#total-price").await;
    page.choose("#table", "7").await;
    page.click("#order [type=submit]").await;

    page.until("the order is confirmed", "document.querySelector('#confirmation').hidden === false").await;
    assert!(page.focus_is_on("#confirmation").await, "the confirmation is read out");
    let receipt = page.text("#receipt").await;
    assert!(receipt.contains("ticket") && receipt.contains("table 7") && receipt.ends_with(&total), "{receipt}");
    page.until("it is among the guest's own", "document.querySelectorAll('#orders .placed').length === 1").await;
    assert!(page.text("#orders").await.contains("Table 7"));
    page.reload().await;
    page.until("it still is", "document.querySelectorAll('#orders .placed').length === 1").await;
}

pub async fn the_owner_sets_a_waiters_password_and_the_waiter_signs_in(world: Arc<World>) {
    const SECRET: &str = "trays-apron-corkscrew";
    world.open_as_owner("/account").await;
    let page = &world.page;
    page.click("button[aria-label$=' for waiter']").await;
    page.type_into("#password-waiter", "short").await;
    page.click("#form-waiter [type=submit]").await;
    page.until(
        "too short, it says",
        "document.querySelector('#password-waiter-error').textContent.includes('of at least')",
    )
    .await;
    page.type_into("#password-waiter", SECRET).await;
    page.click("#form-waiter [type=submit]").await;
    page.until(
        "it says that it is set",
        "document.querySelector('#staff-said').textContent.startsWith('waiter can now sign in')",
    )
    .await;
    page.until("and the row says so", "[...document.querySelectorAll('staff-row')].some((row) => row.textContent.startsWith('waiter') && row.textContent.includes('Has a password'))").await;

    // A guest's order first, which staff may see and other guests may not.
    menu(&world).await;
    order(page, "3").await;
    page.click("#staff-in").await;
    page.expect_refusal("/api/v1/session", 401);
    page.type_into("#name", "waiter").await;
    page.type_into("#password", "not-the-password").await;
    page.click("#staff-form [type=submit]").await;
    page.until("the problem is said", "document.querySelector('#staff-form [role=alert]').innerText.length > 10").await;
    page.expect_refusal("/api/v1/session", 429);
    page.type_into("#password", SECRET).await;
    page.click_until(
        "#staff-form [type=submit]",
        "the waiter is in",
        "document.querySelector('#who').textContent === 'Signed in as waiter'",
    )
    .await;
    page.until("the orders of the house", "document.querySelector('#orders-title').textContent === 'Orders' && document.querySelector('#orders').textContent.includes('Table 3')").await;
    page.reload().await;
    page.until("still in after a reload", "document.querySelector('#who')?.textContent === 'Signed in as waiter'")
        .await;
    page.click("#staff-out").await;
    page.until("a guest again", "document.querySelector('#staff-in').checkVisibility()").await;
}

/// The first of the guest's orders.
async fn newest_is(page: &Page, state: &str) {
    let what = format!("the newest order is {state}");
    page.until(&what, &format!("document.querySelector('#orders .placed')?.dataset.state === '{state}'")).await;
}

pub async fn a_guest_keeps_a_draft_edits_places_and_cancels_it(world: Arc<World>) {
    owner_sends(&world, "PATCH", "/api/settings", json!({ "service.kitchen.workers": 0 })).await;
    let page = menu(&world).await;
    page.run("window.never_reloaded = true", Vec::new()).await;
    page.click(".dish button:enabled").await;
    page.choose("#table", "9").await;
    page.click("#keep").await;
    newest_is(page, "draft").await;
    page.until("the form is empty again", "document.querySelectorAll('#line-list .line').length === 0").await;
    assert!(page.text("#orders .placed").await.contains("Table 9"));

    // By keyboard: taken up again, one more of it, another table.
    page.tab_to("#orders [data-key=edit]").await;
    page.press(fantoccini::key::Key::Enter).await;
    page.until("it is in the form", "document.querySelector('#order-title').textContent === 'Your draft'").await;
    assert_eq!(page.value("document.querySelector('#table').value").await, "9");
    page.click(".stepper button:last-child").await;
    page.choose("#table", "10").await;
    page.click("#keep").await;
    page.until(
        "it is at the other table",
        "document.querySelector('#orders .what').textContent.startsWith('Table 10')",
    )
    .await;
    assert!(page.text("#orders .placed p").await.starts_with("2 dishes"));
    for (size, scheme) in [(PHONE, "dark"), (PROJECTOR, "light")] {
        page.window(size).await;
        page.prefer(scheme, "reduce").await;
        fits(page, size, "the guest's orders").await;
    }

    page.click("#orders [data-key=place]").await;
    page.until("it is confirmed", "document.querySelector('#confirmation').hidden === false").await;
    assert!(page.text("#receipt").await.contains("table 10"));
    newest_is(page, "placed").await;
    page.click("#orders [data-key=cancel]").await;
    newest_is(page, "cancelled").await;
    page.until("nothing more can be done", "document.querySelectorAll('#orders .acts button').length === 0").await;
    assert_eq!(page.value("window.never_reloaded").await, true);
    owner_sends(&world, "PATCH", "/api/settings", json!({ "service.kitchen.workers": 1 })).await;
}

pub async fn a_guest_sees_the_kitchen_s_progress_without_reloading(world: Arc<World>) {
    let page = menu(&world).await;
    page.run("window.never_reloaded = true", Vec::new()).await;
    order(page, "11").await;
    newest_is(page, "ready").await;
    assert!(page.text("#orders .placed p").await.contains("ready, on its way"));
    assert_eq!(page.value("window.never_reloaded").await, true);
}
