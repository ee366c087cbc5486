//! Sending requests and reading their journeys.

use std::sync::Arc;

use serde_json::Value;

use crate::page::Page;
use crate::server::Server;
use crate::world::{OWNER, PASSWORD, World};

/// The Journey page as the owner sees it, ready to send.
async fn composer(world: &World) -> &Page {
    world.open_as_owner("/").await;
    world.page.until("the requests are offered", "document.querySelector('#request option') !== null").await;
    // A page with a history opens the latest journey; what is sent meanwhile would be replaced by nothing, but the
    // address must be settled before it is compared.
    world
        .page
        .until(
            "the latest journey is open",
            "document.querySelector('journey-history li') === null || document.querySelector('#time').hidden === false",
        )
        .await;
    &world.page
}

/// Presses the button and waits for the journey. With reduced motion it is there at once.
pub async fn send(page: &Page) {
    let before = page.address().await;
    page.click("request-composer [type=submit]").await;
    let after =
        format!("location.href !== '{before}' && document.querySelector('request-composer form').ariaBusy !== 'true'");
    page.until("the journey is shown", &after).await;
}

/// What a station says for itself to those who do not see the line.
async fn station(page: &Page, hop: &str) -> String {
    let script =
        "return document.querySelector(`line-map .stn[data-layer=${arguments[0]}]`).getAttribute('aria-label')";
    page.run(script, vec![hop.into()]).await.as_str().expect("a label").to_owned()
}

const HOPS: [&str; 8] = ["client", "dns", "tls", "http", "balancer", "api", "service", "data"];

/// The last station that the line does not call "not reached".
async fn turn(page: &Page) -> &'static str {
    let mut turn = "";
    for hop in HOPS {
        if !station(page, hop).await.ends_with("not reached") {
            turn = hop;
        }
    }
    turn
}

/// Request, role, answer.
const ANSWERS: [(&str, [(&str, u16); 4]); 6] = [
    ("menu", [("guest", 200), ("waiter", 200), ("chef", 200), ("manager", 200)]),
    ("dish", [("guest", 200), ("waiter", 200), ("chef", 200), ("manager", 200)]),
    ("order", [("guest", 201), ("waiter", 201), ("chef", 403), ("manager", 201)]),
    // A guest is not told whether the order exists; the staff may read all of them.
    ("other-order", [("guest", 404), ("waiter", 200), ("chef", 200), ("manager", 200)]),
    ("no-dish", [("guest", 404), ("waiter", 404), ("chef", 404), ("manager", 404)]),
    ("bad-body", [("guest", 422), ("waiter", 422), ("chef", 403), ("manager", 422)]),
];

pub async fn every_request_as_every_role_shows_where_it_turned(world: Arc<World>) {
    let page = composer(&world).await;
    page.click_label("Bypass").await;
    for (request, answers) in ANSWERS {
        page.choose("#request", request).await;
        for (role, status) in answers {
            page.choose("#as", role).await;
            send(page).await;
            let what = format!("{request} as {role}");
            let said = page.text("#announce").await;
            assert!(said.starts_with(&status.to_string()), "{what}: {said}");
            let answer = page.text("line-map").await;
            assert!(answer.contains(&format!("The answer: {status}")), "{what}: {answer}");
            // Who shows a session is looked up in the storeroom first, so only a guest's line can end sooner.
            let expected = if (request, role) == ("bad-body", "guest") { "api" } else { "data" };
            assert_eq!(turn(page).await, expected, "{what}");
            explains(page, status, request).await;
        }
    }
}

/// The front desk says what it did not like.
async fn explains(page: &Page, status: u16, request: &str) {
    page.press_char('6').await;
    let facts = page.text("station-inspector").await;
    match (status, request) {
        (403, _) => assert!(facts.contains("GrantedNo."), "{facts}"),
        (422, _) => assert!(facts.contains("What is wrong with the body"), "{facts}"),
        (_, "order") => assert!(facts.contains("Grantedyes"), "{facts}"),
        _ => {}
    }
}

pub async fn a_kept_connection_needs_no_name_and_no_handshake(world: Arc<World>) {
    let page = composer(&world).await;
    send(page).await;
    for hop in ["dns", "tls"] {
        assert!(station(page, hop).await.contains("microseconds"), "a fresh connection passes {hop}");
    }
    page.click_label("Kept open").await;
    // The first of them may have to open what the second then finds open.
    send(page).await;
    send(page).await;
    for hop in ["dns", "tls"] {
        assert!(station(page, hop).await.ends_with("not needed"), "{}", station(page, hop).await);
    }
    page.press_char('3').await;
    assert!(page.text("station-inspector").await.contains("TLS"));
    assert!(page.text("#map-title").await.contains("was"), "compared with the one before");
}

pub async fn a_path_of_ones_own_is_sent_and_a_wrong_one_is_named_at_its_field(world: Arc<World>) {
    let page = composer(&world).await;
    assert_eq!(page.value("document.querySelector('#path').checkVisibility()").await, false);
    page.choose("#request", "custom").await;
    assert!(page.focus_is_on("#path").await, "it can be typed at once");
    page.expect_refusal("/api/journeys", 422);
    page.type_into("#path", "api/v1/menu").await;
    page.click("request-composer [type=submit]").await;
    let named = "document.querySelector('#path-error').textContent.includes('begins with /')";
    page.until("the path's mistake is named", named).await;
    assert!(page.focus_is_on("#path[aria-invalid=true]").await);

    page.type_into("#path", "/api/v1/menu/12?from=here").await;
    assert_eq!(page.text("#path-error").await, "", "it is being put right");
    page.choose("#method", "HEAD").await;
    send(page).await;
    assert!(page.text("#map-title").await.starts_with("HEAD /api/v1/menu/12?from=here"));
    assert!(page.text("#announce").await.starts_with("200 OK"));
}

pub async fn the_policy_is_chosen_at_the_balancer_and_holds_from_the_next_request_on(world: Arc<World>) {
    let page = composer(&world).await;
    page.click_label("Bypass").await;
    page.press_char('5').await;
    assert_eq!(page.value("document.querySelectorAll('#policy option').length").await, 7);
    for (policy, name) in [("weighted_round_robin", "In turn, by weight"), ("p2c_peak_ewma", "Less busy of two")] {
        page.choose("#policy", policy).await;
        let changed = format!(
            "document.querySelector('.policy [role=status]').textContent.startsWith('Changed.')
                && document.querySelector('#policy').value === '{policy}'"
        );
        page.until("it is changed", &changed).await;
        send(page).await;
        page.press_char('5').await;
        let facts = page.text("station-inspector").await;
        assert!(facts.contains(&format!("Policy{name}")), "{facts}");
    }
}

pub async fn an_answer_from_the_shared_cache_turns_at_the_edge_until_it_is_forgotten(world: Arc<World>) {
    let server = Server::with_owner(OWNER, PASSWORD);
    world.open_as_owner_of(&server, "/").await;
    let page = &world.page;
    page.until("the requests are offered", "document.querySelector('#request option') !== null").await;
    let keep = "return fetch('/api/settings', { method: 'PATCH',
        headers: { 'content-type': 'application/json', 'roundtrip-console': '1' },
        body: JSON.stringify({ 'api.menu.shared_ttl': 3600 }) }).then((answer) => answer.status)";
    assert_eq!(page.run(keep, Vec::new()).await, 200, "the menu may be kept for long");
    send(page).await;
    assert_eq!(turn(page).await, "data");
    assert!(page.text("line-map").await.contains("Shared cachemiss"));
    send(page).await;
    assert_eq!(turn(page).await, "http");
    let line = page.text("line-map").await;
    assert!(line.contains("Shared cachehit at the edge, ") && line.contains(" s old, good for "), "{line}");
    page.press_char('4').await;
    let facts = page.text("station-inspector").await;
    assert!(facts.contains("Answerhit at the edge") && facts.contains("Founda fresh answer"), "{facts}");
    page.press_char('5').await;
    let facts = page.text("station-inspector").await;
    assert!(facts.contains("The request turned back at HTTP"), "{facts}");

    page.open(&format!("{}/edge", server.console)).await;
    page.until("one answer is kept", "document.querySelector('shared-cache dd')?.textContent === '1'").await;
    page.expect_refusal("/api/cache/purge", 422);
    page.type_into("#purge-address", "menu").await;
    page.click("shared-cache [type=submit]").await;
    page.until("no address, it says", "document.querySelector('#purge-error').textContent.includes('whole address')")
        .await;
    page.click_label("Everything").await;
    page.click("shared-cache [type=submit]").await;
    page.until("it is forgotten", "document.querySelector('shared-cache').textContent.includes('Forgot 1 answer.') && document.querySelector('shared-cache dd').textContent === '0'").await;
    page.leave().await;
}

pub async fn reduced_motion_goes_straight_to_the_result_and_announces_it(world: Arc<World>) {
    let page = composer(&world).await;
    let watch = "globalThis.moved = false;
        new MutationObserver(() => { globalThis.moved ||= document.querySelector('line-map.playing') !== null; })
            .observe(document.querySelector('line-map'), { attributes: true });";
    page.run(watch, Vec::new()).await;
    send(page).await;
    let said = page.text("#announce").await;
    assert!(said.starts_with("200 OK in ") && said.contains("microseconds. Slowest station: "), "{said}");
    assert_eq!(page.value("document.querySelector('#announce').getAttribute('role')").await, "status");
    assert_eq!(page.value("globalThis.moved").await, false);
    assert_eq!(page.text("trip-player button").await, "Replay");
}

pub async fn a_link_reopens_its_journey_and_one_that_is_gone_says_so(world: Arc<World>) {
    let page = composer(&world).await;
    page.choose("#request", "dish").await;
    send(page).await;
    let (link, title) = (page.address().await, page.text("#map-title").await);
    page.choose("#request", "menu").await;
    send(page).await;
    assert_ne!(page.address().await, link);

    let shown = "document.querySelector('#map-title')?.textContent.startsWith('GET /api/v1/menu/12')";
    page.open(link.as_str()).await;
    page.until("the journey of the link", shown).await;
    page.reload().await;
    page.until("the same after a reload", shown).await;
    assert_eq!(page.address().await, link);
    let figure = title.split(", was").next().expect("a title");
    assert_eq!(page.text("#map-title").await, figure);

    page.expect_refusal("/api/journeys/", 404);
    page.open(&world.console("/journeys/0123456789abcdef0123456789abcdef")).await;
    page.until("it is gone", "document.querySelector('#map-title')?.textContent.includes('this one has made room')")
        .await;
    assert_eq!(page.value("document.querySelectorAll('section.map button:not([hidden] *)').length").await, 1);
    page.click("#map-title button").await;
    page.until("a new one", "document.querySelector('#time').hidden === false && !location.pathname.endsWith('cdef')")
        .await;
}

pub async fn several_at_once_are_dots_of_which_three_can_be_shown(world: Arc<World>) {
    let page = composer(&world).await;
    page.type_into("#count", "12").await;
    assert_eq!(page.text("request-composer [type=submit]").await, "Send 12 requests");
    send(page).await;
    page.until("twelve dots", "document.querySelectorAll('sent-several .dot').length === 12").await;
    assert!(page.text("sent-several").await.starts_with("12 sent. Half within "));
    let middle = page.address().await;
    for (words, place) in [("Fastest", "min"), ("Slowest", "max"), ("Middle", "")] {
        page.click_label(words).await;
        let checked = format!(
            "document.querySelector('sent-several [name=which]:checked')?.parentElement.textContent === '{words}'"
        );
        page.until(words, &checked).await;
        if !place.is_empty() {
            let xs = "[...document.querySelectorAll('sent-several .dot')].map((dot) => dot.cx.baseVal.value)";
            let extreme =
                format!("document.querySelector('sent-several .dot.here').cx.baseVal.value === Math.{place}(...{xs})");
            page.until("its dot stands at that end", &extreme).await;
        }
    }
    page.until("the first address again", &format!("location.href === '{middle}'")).await;
    assert_eq!(page.value("document.querySelector('sent-several').hidden").await, Value::Bool(false));
}
