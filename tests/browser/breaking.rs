//! Breaking things, watching what they cut off, and ending it all.

use std::sync::Arc;

use fantoccini::key::Key;

use crate::page::Page;
use crate::server::Server;
use crate::world::{OWNER, PASSWORD, World};

const MARK: &str = "document.querySelector('.bar-faults [role=status]').textContent";
const DRAWN: &str =
    "document.querySelectorAll('fault-line').length === 8 && document.querySelector('fault-switch') !== null";

/// The page of the server that all scenarios share: to be looked at, and left as it was.
pub async fn open_line(world: &World) {
    world.page.open(&world.console("/break")).await;
    world.page.until("the line is drawn", DRAWN).await;
}

/// A server of its own: nobody else wants it broken.
async fn breakable<'a>(world: &'a World, path: &str) -> (Server, &'a Page) {
    let server = Server::with_owner(OWNER, PASSWORD);
    world.open_as_owner_of(&server, path).await;
    (server, &world.page)
}

async fn line(world: &World) -> (Server, &Page) {
    let (server, page) = breakable(world, "/break").await;
    page.until("the line is drawn", DRAWN).await;
    (server, page)
}

fn state_of(hop: &str) -> String {
    format!("document.querySelector('#{hop} .fx-state').textContent")
}

/// The value of a fault as the server has it.
async fn value(page: &Page, key: &str) -> serde_json::Value {
    let script = "return fetch('/api/settings').then((answer) => answer.json())
        .then(({ settings }) => settings.find(({ key }) => key === arguments[0]).value)";
    page.run(script, vec![key.into()]).await
}

pub async fn what_a_fault_cuts_off_is_grey_every_page_says_so_and_one_button_ends_it(world: Arc<World>) {
    let (server, page) = line(&world).await;
    page.until("nothing is broken", "document.querySelector('#on-count').textContent === 'All as built' && document.querySelector('#restore').ariaDisabled === 'true'").await;
    page.click("[id='fault.dns.nxdomain']").await;
    page.until("DNS is broken", &format!("{} === 'broken'", state_of("dns"))).await;
    let below = "[...document.querySelectorAll('#dns ~ fault-line')].map((line) => line.querySelector('.fx-state').textContent)";
    assert_eq!(page.value(below).await, serde_json::json!(vec!["no request gets here"; 6]));
    assert_eq!(page.value(&state_of("client")).await, "as built", "the station before it");
    page.until("one is counted", "document.querySelector('#on-count').textContent === '1 fault on'").await;
    page.until(
        "and how long it lasts",
        "/^ends in [12]:/.test(document.querySelector(\"[id='fault.dns.nxdomain-note']\").textContent)",
    )
    .await;

    for path in ["/", "/edge", "/account"] {
        page.open(&format!("{}{path}", server.console)).await;
        page.until("the bar says so", &format!("{MARK} === '1 fault on'")).await;
    }
    page.click(".bar-faults button").await;
    page.until(
        "it says how long that took",
        "document.querySelector('.toast')?.textContent.startsWith('Everything restored in ')",
    )
    .await;
    page.until("nothing is said any more", &format!("{MARK} === ''")).await;

    page.open(&format!("{}/break", server.console)).await;
    page.until(
        "as before",
        &format!(
            "{DRAWN} && {} === 'as built' && document.querySelector('#restore').ariaDisabled === 'true'",
            state_of("dns")
        ),
    )
    .await;
    page.click("[id='fault.tls.expired']").await;
    page.until("TLS is broken", &format!("{} === 'broken'", state_of("tls"))).await;
    page.click("#restore").await;
    page.until("it is mended", &format!("{} === 'as built'", state_of("tls"))).await;
    assert_eq!(value(page, "fault.tls.expired").await, false);
    page.leave().await;
}

pub async fn a_fault_is_aimed_and_timed_before_it_is_switched_on(world: Arc<World>) {
    let (_server, page) = line(&world).await;
    page.click_label("± 20 %").await;
    page.click("[data-more='fault.instance.slow']").await;
    page.until("its details are open", "!document.querySelector('#details-service').hidden").await;
    page.click("#details-service input[value=i2]").await;
    page.choose("[id='fault.instance.slow-for_s']", "600").await;
    assert_eq!(value(page, "fault.instance.slow").await, false, "it is not on yet");
    page.type_into("[id='fault.instance.slow-amount']", "640").await;
    page.press(Key::Tab).await;
    page.until("the instance is slow", &format!("{} === 'degraded'", state_of("service"))).await;
    let spec = value(page, "fault.instance.slow").await;
    assert_eq!((&spec["strength"], &spec["vary"]), (&640.into(), &20.into()));
    assert_eq!(spec["instances"], serde_json::json!(["i2"]));
    assert!(spec["left_s"].as_f64() > Some(120.0), "{spec}");
    page.until(
        "the slider says it",
        "document.querySelector(\"output[for='fault.instance.slow']\").textContent === '640\\u202fms'",
    )
    .await;
    page.until("and at whom", "document.querySelector(\"[id='fault.instance.slow-note']\").textContent.startsWith('i2, ±\\u202f20\\u202f% · ends in 9:')").await;

    // The strip stays at the top, over what is scrolled under it.
    page.run("scrollTo(0, 0)", Vec::new()).await;
    page.click_label("not at all").await;
    page.until(
        "it varies no more",
        "!document.querySelector(\"[id='fault.instance.slow-note']\").textContent.includes('±')",
    )
    .await;
    assert_eq!(value(page, "fault.instance.slow").await["vary"], 0);
    page.leave().await;
}

pub async fn what_the_server_refuses_is_said_at_the_control(world: Arc<World>) {
    let (_server, page) = line(&world).await;
    page.expect_refusal("/api/settings", 422);
    page.click("[data-more='fault.api.tiny_rate_limit']").await;
    page.type_into("[id='fault.api.tiny_rate_limit-route']", "menu").await;
    page.click("[id='fault.api.tiny_rate_limit']").await;
    page.until(
        "what a path begins with",
        "document.getElementById('fault.api.tiny_rate_limit-error').textContent.includes('/api/v1/menu')",
    )
    .await;
    page.until("the switch is off again", "!document.getElementById('fault.api.tiny_rate_limit').checked").await;
    page.type_into("[id='fault.api.tiny_rate_limit-route']", "/api/v1/orders").await;
    page.click("[id='fault.api.tiny_rate_limit']").await;
    page.until(
        "now it is on",
        &format!(
            "{} === 'broken' && document.getElementById('fault.api.tiny_rate_limit-error').textContent === ''",
            state_of("api")
        ),
    )
    .await;
    page.leave().await;
}

pub async fn a_station_is_broken_from_the_journey_and_by_keyboard(world: Arc<World>) {
    let (_server, page) = breakable(&world, "/").await;
    page.until("the requests are offered", "document.querySelector('#request option') !== null").await;
    page.press_char('2').await;
    page.until("DNS is looked at", "document.querySelector('break-it a')?.textContent === 'DNS on the Break page'")
        .await;
    page.tab_to("break-it summary").await;
    page.press(Key::Enter).await;
    page.tab_to("[id='fault.dns.servfail']").await;
    for _ in 0..3 {
        page.press(Key::Right).await;
    }
    page.until(
        "fifteen in a hundred fail",
        "document.querySelector('break-it summary').textContent === 'Break it1 on'",
    )
    .await;
    assert_eq!(value(page, "fault.dns.servfail").await["probability"], 15);
    page.until("the bar says so", &format!("{MARK} === '1 fault on'")).await;
    page.press(Key::Home).await;
    page.until("and nobody fails", &format!("{MARK} === ''")).await;
    page.tab_to("break-it p a").await;
    page.press(Key::Enter).await;
    page.until(
        "its row on the Break page",
        "location.pathname === '/break' && document.querySelector('#dns')?.classList.contains('aim')",
    )
    .await;
    page.leave().await;
}

pub async fn killing_each_instance_cuts_the_line_at_the_balancer(world: Arc<World>) {
    let (_server, page) = line(&world).await;
    for id in ["i1", "i2"] {
        page.click(&format!("[id='fault.instance.kill-{id}']")).await;
        page.until(
            "it is off",
            &format!(
                "document.querySelector(\"[id='fault.instance.kill-{id}-note']\").textContent.startsWith('ends in ')"
            ),
        )
        .await;
    }
    assert_eq!(page.value(&state_of("api")).await, "as built", "the third still serves");
    page.click("[id='fault.instance.kill-i3']").await;
    page.until("now none does", &format!("{} === 'no request gets here'", state_of("api"))).await;
    page.click("[id='fault.instance.kill-i2']").await;
    page.until("one is back", &format!("{} === 'as built'", state_of("api"))).await;
    assert_eq!(value(page, "fault.instance.kill").await["instances"], serde_json::json!(["i1", "i3"]));
    page.click("#restore").await;
    page.until("all are", &format!("{} === 'as built'", state_of("balancer"))).await;
    page.leave().await;
}

pub async fn a_bad_day_begins_with_its_story(world: Arc<World>) {
    let (_server, page) = line(&world).await;
    page.until("the days are offered", "document.querySelectorAll('bad-days li').length > 3").await;
    assert_eq!(page.value("document.querySelector('bad-days li p').checkVisibility()").await, false);
    page.click("bad-days .quiet").await;
    assert_eq!(page.value("document.querySelector('bad-days li p').checkVisibility()").await, true);
    page.click("bad-days li button").await;
    page.until("something is on", "document.querySelector('#on-count').textContent.includes('on')").await;
    let story = page.text("bad-days li p").await;
    page.until("its story is told", "document.querySelector('bad-days .say').textContent !== ''").await;
    assert!(page.text("bad-days .say").await.ends_with(&story));
    page.click("#restore").await;
    page.until("nothing is", "document.querySelector('#on-count').textContent === 'All as built'").await;
    page.leave().await;
}
