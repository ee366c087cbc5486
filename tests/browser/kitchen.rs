//! The chef's page of the restaurant.

use std::sync::Arc;

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::looks::fits;
use crate::page::{PHONE, PROJECTOR, Page};
use crate::world::World;

const SECRET: &str = "cleaver-skillet-thyme-oven";

/// As the owner does on the console's pages, without going through their forms.
pub async fn owner_sends(world: &World, method: &str, path: &str, body: Value) {
    world.open_as_owner("/account").await;
    let script = "return fetch(arguments[1], { method: arguments[0], body: arguments[2],
        headers: { 'content-type': 'application/json', 'roundtrip-console': '1' } }).then((answer) => answer.ok)";
    let done = world.page.run(script, vec![method.into(), path.into(), body.to_string().into()]).await;
    assert_eq!(done, true, "{method} {path}");
}

/// Somebody at another table, who shares nothing with this browser's session.
pub async fn guest_orders(page: &Page, table: u16) {
    let script = "return fetch('/api/v1/orders', { method: 'POST', credentials: 'omit',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ table: arguments[0], lines: [{ menu_item_id: 12, quantity: 2 }] }) })
        .then((answer) => answer.status)";
    assert_eq!(page.run(script, vec![table.into()]).await, 201);
}

async fn lane_has(page: &Page, lane: &str, count: usize) {
    let what = format!("{count} in the lane {lane}");
    page.until(&what, &format!("document.querySelectorAll('#{lane} .ticket').length === {count}")).await;
}

pub async fn the_chef_sees_an_order_arrive_holds_it_and_lets_it_go(world: Arc<World>) {
    let page = &world.page;
    owner_sends(&world, "PUT", "/api/staff/chef/password", json!({ "password": SECRET })).await;
    owner_sends(&world, "PATCH", "/api/settings", json!({ "service.kitchen.cook_time": 1_500 })).await;
    page.open(&format!("{}/kitchen", world.server.app)).await;
    page.until("a guest is asked to sign in", "document.querySelector('#guest').hidden === false").await;
    page.click("#staff-in").await;
    page.type_into("#name", "chef").await;
    page.type_into("#password", SECRET).await;
    page.click("#staff-form [type=submit]").await;
    page.until("the connection is live", "document.querySelector('#connection').textContent === 'Live'").await;
    page.run("window.never_reloaded = true", Vec::new()).await;
    lane_has(page, "cooking", 0).await;

    // Held, by keyboard.
    page.tab_to("#pause").await;
    page.press(Key::Enter).await;
    page.until("it says so", "document.querySelector('#paused').hidden === false").await;
    guest_orders(page, 7).await;
    lane_has(page, "waiting", 1).await;
    guest_orders(page, 8).await;
    lane_has(page, "waiting", 2).await;
    let first = page.text("#waiting .ticket").await;
    assert!(first.contains("table 7") && first.contains("2 × House Salad") && first.contains("old"), "{first}");
    page.tab_to("#waiting .ticket:nth-child(2) button").await;
    page.press(Key::Enter).await;
    page.until("it goes first", "document.querySelector('#waiting .ticket').innerText.includes('table 8')").await;
    page.until("and says so", "document.querySelector('#waiting .ticket b').textContent === 'first'").await;
    assert!(page.focus_is_on("#waiting .ticket:first-child button").await, "the focus goes along");
    assert_eq!(page.text("#cooking h2 span").await, "0", "nothing is taken up meanwhile");
    for (size, scheme) in [(PHONE, "dark"), (PROJECTOR, "light")] {
        page.window(size).await;
        page.prefer(scheme, "reduce").await;
        fits(page, size, "the kitchen").await;
    }

    page.click("#pause").await;
    page.until("one is cooked", "document.querySelector('#cooking .ticket')?.innerText.includes('attempt 1')").await;
    let cooking = page.text("#cooking .ticket").await;
    assert!(cooking.contains("with i"), "{cooking}");
    for lane in ["waiting", "cooking", "dead"] {
        lane_has(page, lane, 0).await;
    }
    assert_eq!(page.value("window.never_reloaded").await, true);

    page.click("#staff-out").await;
    page.until("the tickets are gone", "document.querySelector('#lanes').hidden").await;
    owner_sends(&world, "PATCH", "/api/settings", json!({ "service.kitchen.cook_time": 200 })).await;
}
