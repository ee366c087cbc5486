//! The Journey page without a mouse.

use std::sync::Arc;

use fantoccini::key::Key;

use crate::page::Page;
use crate::world::World;

const NAMES: [&str; 8] = ["Client", "DNS", "TLS", "HTTP", "Balancer", "API", "Service", "Data"];

/// A journey is shown: sent with the keyboard, too.
async fn journey(world: &World) -> &Page {
    world.open_as_owner("/").await;
    let page = &world.page;
    page.until("the requests are offered", "document.querySelector('#request option') !== null").await;
    page.tab_to("request-composer [type=submit]").await;
    page.press(Key::Enter).await;
    page.until("it has arrived", "document.querySelector('#announce')?.textContent.startsWith('200 OK')").await;
    page
}

async fn inspected(page: &Page, name: &str) {
    assert_eq!(page.text("station-inspector h2").await, name);
    let pressed = page.value("[...document.querySelectorAll('line-map .stn[aria-pressed=true]')].map((each) => each.getAttribute('aria-label').split(', ')[1])").await;
    assert_eq!(pressed, serde_json::json!([name]), "the one station that the line marks");
}

pub async fn the_line_is_one_tab_stop_and_arrows_walk_it(world: Arc<World>) {
    let page = journey(&world).await;
    assert_eq!(page.value("document.querySelectorAll('line-map [tabindex=\"0\"]').length").await, 1);
    page.tab_to("line-map .stn").await;
    page.press(Key::Home).await;
    inspected(page, "Client").await;
    for name in &NAMES[1..] {
        page.press(Key::Right).await;
        inspected(page, name).await;
        assert!(page.focus_is_on("line-map .stn[aria-pressed=true]").await);
    }
    page.press(Key::Right).await;
    inspected(page, "Data").await;
    page.press(Key::Left).await;
    inspected(page, "Service").await;
    page.press(Key::End).await;
    inspected(page, "Data").await;
    page.press(Key::Tab).await;
    assert!(!page.focus_is_on("line-map *").await, "Tab leaves the line");
}

pub async fn the_keys_1_to_8_pick_a_station(world: Arc<World>) {
    let page = journey(&world).await;
    for (key, name) in ('1'..='8').zip(NAMES) {
        page.press_char(key).await;
        inspected(page, name).await;
        let rows = page.value("[...document.querySelectorAll('.wf-rows [aria-pressed=true]')].every((row) => row.dataset.layer === document.querySelector('station-inspector .ins').dataset.layer)").await;
        assert_eq!(rows, true, "the waterfall marks the rows of {name}");
    }
    page.click("#count").await;
    page.press_char('2').await;
    inspected(page, "Data").await;
    assert_ne!(page.value("document.querySelector('#count').value").await, "1", "a field keeps its digits");
}

pub async fn the_waterfall_is_one_tab_stop_and_up_and_down_walk_it(world: Arc<World>) {
    let page = journey(&world).await;
    let place = "[...document.querySelectorAll('.wf-rows > *')].indexOf(document.activeElement)";
    assert_eq!(page.value("document.querySelectorAll('.wf-rows [tabindex=\"0\"]').length").await, 1);
    page.tab_to(".wf-rows > *").await;
    assert_eq!(page.value(place).await, 0);
    page.press(Key::Down).await;
    page.press(Key::Down).await;
    assert_eq!(page.value(place).await, 2);
    page.press(Key::Up).await;
    assert_eq!(page.value(place).await, 1);
    page.press(Key::End).await;
    assert_eq!(
        page.value("document.activeElement === document.querySelector('.wf-rows').lastElementChild").await,
        true
    );
    // The last row may be the time that no station accounts for; the one above it is a station's.
    page.press(Key::Up).await;
    page.press(Key::Enter).await;
    let follows =
        "document.querySelector('station-inspector .ins').dataset.layer === document.activeElement.dataset.layer";
    page.until("the inspector follows the row", follows).await;
    page.press(Key::Home).await;
    assert_eq!(page.value(place).await, 0);
}
