//! The page of the edge and its balancer.

use std::sync::Arc;

use fantoccini::key::Key;

use crate::page::Page;
use crate::rig::Upstream;
use crate::server::Server;
use crate::world::{OWNER, PASSWORD, World};

/// Everything that it asks for is there.
const DRAWN: &str = "document.querySelector('upstream-row') !== null && document.querySelector('setting-row') !== null
    && document.querySelector('shared-cache dd') !== null";

async fn edge(world: &World) -> &Page {
    world.open_as_owner("/edge").await;
    world.page.until("the page is drawn", DRAWN).await;
    &world.page
}

/// Types into a field and leaves it, which is when it is read.
async fn enter(page: &Page, selector: &str, text: &str) {
    page.type_into(selector, text).await;
    page.press(Key::Tab).await;
}

pub async fn an_upstream_is_weighed_and_emptied_while_it_serves(world: Arc<World>) {
    let (one, two) = (Upstream::saying("soup").await, Upstream::saying("salad").await);
    let server = Server::before(OWNER, PASSWORD, &[one.address, two.address]);
    world.open_as_owner_of(&server, "/edge").await;
    let page = &world.page;
    page.until("the page is drawn", DRAWN).await;

    enter(page, "#weight-u1", "257").await;
    page.until("too much, it says", "document.querySelector('#weight-u1-error').textContent.includes('0 to 256')")
        .await;
    enter(page, "#weight-u1", "7").await;
    page.until("nothing is wrong now", "document.querySelector('#weight-u1-error').textContent === ''").await;
    page.click("#draining-u2").await;
    let emptied = "document.querySelector('upstream-row[data-key=u2] .up-state').textContent === 'draining'
        && document.querySelector('upstream-list').textContent.includes('1 of 2 serving')";
    page.until("it is being emptied", emptied).await;
    let told = "document.querySelector('upstream-events li')?.textContent.includes('u2healthy → draining')";
    page.until("the newest event says so", told).await;

    page.reload().await;
    page.until("the server knows", &format!("{DRAWN} && document.querySelector('#weight-u1').value === '7' && document.querySelector('#draining-u2').checked")).await;
    page.click("#draining-u2").await;
    let back = "document.querySelector('upstream-list').textContent.includes('2 of 2 serving')";
    page.until("it serves again", back).await;
    page.leave().await;
}

pub async fn the_configuration_is_loaded_again_or_what_is_wrong_with_it_is_said(world: Arc<World>) {
    let upstream = Upstream::saying("soup").await;
    let server = Server::before(OWNER, PASSWORD, &[upstream.address]);
    world.open_as_owner_of(&server, "/edge").await;
    let page = &world.page;
    page.until("the page is drawn", DRAWN).await;
    page.expect_refusal("/api/configuration/reload", 422);
    server.configure(Some("nonsense = 1\n"));
    page.click("configuration-panel button").await;
    let wrong = "document.querySelector('configuration-panel [role=alert]').textContent.includes('nonsense')";
    page.until("the wrong key is named", wrong).await;

    server.configure(None);
    page.click("configuration-panel button").await;
    let loaded =
        "document.querySelector('configuration-panel [role=status]').textContent.startsWith('Loaded: 1 pool, 1 route.')
        && document.querySelector('configuration-panel [role=alert]').textContent === ''";
    page.until("what was loaded is said", loaded).await;
    page.leave().await;
}

pub async fn each_route_is_listed_with_its_rules_and_opens_by_keyboard(world: Arc<World>) {
    const TITLES: &str =
        "[...document.querySelectorAll('site-routes .mono')].map((each) => each.textContent).join(', ')";
    let upstream = Upstream::saying("soup").await;
    let server = Server::before(OWNER, PASSWORD, &[upstream.address]);
    world.open_as_owner_of(&server, "/edge").await;
    let page = &world.page;
    page.until("the one route of the start", &format!("{DRAWN} && {TITLES} === 'any host /'")).await;

    let text = format!(
        "[pool.shop]\nupstreams = ['http://{}']\n[[route]]\nhost = 'shop.example'\npath = '/api'\npool = 'shop'\n\
         cache = {{ default-ttl = 5 }}\nlimit = {{ requests = 100, seconds = 60 }}\n",
        upstream.address
    );
    server.configure(Some(&text));
    page.click("configuration-panel button").await;
    page.until("the new one goes first", &format!("{TITLES} === 'shop.example /api, any host /'")).await;
    let first = page.text("site-routes li").await;
    assert!(first.contains("pool shop · 100 in 60 seconds by address"), "{first}");

    page.reload().await;
    page.until("the server knows", &format!("{DRAWN} && {TITLES} === 'shop.example /api, any host /'")).await;
    page.tab_to("site-routes summary").await;
    page.press(Key::Enter).await;
    page.until("it is open", "document.querySelector('site-routes details').open").await;
    let facts = page.text("site-routes dl").await;
    for words in ["/api and what is beneath it", "as answers say, 5 seconds where they do not", "any size"] {
        assert!(facts.contains(words), "{facts}");
    }
    server.configure(None);
    page.leave().await;
}

pub async fn a_setting_is_found_changed_and_set_back(world: Arc<World>) {
    const FIELD: &str = "[id='balancer.breaker.window']";
    const CHANGED: &str =
        "document.querySelector(\"[data-key='balancer.breaker.window']\").classList.contains('changed')";
    let page = edge(&world).await;
    page.type_into("#filter", "breaker last requests").await;
    page.until("one is found", "document.querySelectorAll('setting-row').length === 1").await;
    enter(page, FIELD, "0").await;
    let wrong =
        "document.getElementById('balancer.breaker.window-error').textContent.startsWith('A whole number from 1 to ')";
    page.until("too little, it says", wrong).await;
    enter(page, FIELD, "30").await;
    page.until("it is marked as changed", CHANGED).await;

    page.reload().await;
    page.until("the server knows", &format!("{DRAWN} && {CHANGED}")).await;
    page.click("#only-changed").await;
    page.until("the others are gone", "document.querySelectorAll('setting-row').length === 1").await;
    page.click("#only-changed").await;
    page.type_into("#filter", "breaker.window").await;
    page.click("setting-row .set-note button").await;
    page.until(
        "it is as by default",
        &format!("!{CHANGED} && document.getElementById('balancer.breaker.window').value === '20'"),
    )
    .await;
    page.type_into("#filter", "no such words").await;
    page.until("none is found", "document.querySelectorAll('setting-row').length === 0").await;
}

pub async fn a_list_of_addresses_is_set_and_a_wrong_one_is_named_at_its_field(world: Arc<World>) {
    const FIELD: &str = "[id='http.firewall.deny']";
    let server = Server::with_owner(OWNER, PASSWORD);
    world.open_as_owner_of(&server, "/edge").await;
    let page = &world.page;
    page.until("the page is drawn", DRAWN).await;
    page.type_into("#filter", "firewall.deny").await;
    page.until("one is found", "document.querySelectorAll('setting-row').length === 1").await;
    page.expect_refusal("/api/settings", 422);
    enter(page, FIELD, "203.0.113.0/33").await;
    let error = "document.getElementById('http.firewall.deny-error').textContent";
    page.until("it is no range", &format!("{error} !== ''")).await;
    assert_eq!(
        page.value(&format!("document.querySelector(\"{FIELD}\").value")).await,
        "203.0.113.0/33",
        "to be put right"
    );
    enter(page, FIELD, "203.0.113.0/24, 2001:db8::/32").await;
    page.until("it is taken", &format!("{error} === '' && document.querySelector('setting-row.changed') !== null"))
        .await;
    page.reload().await;
    let kept = format!("{DRAWN} && document.querySelector(\"{FIELD}\").value.includes('203.0.113.0/24')");
    page.until("the server knows", &kept).await;
    page.type_into("#filter", "firewall.deny").await;
    page.click("setting-row .set-note button").await;
    page.until(
        "nobody is denied",
        &format!("document.querySelector(\"{FIELD}\").value === '' && !document.querySelector('setting-row.changed')"),
    )
    .await;
    page.leave().await;
}

pub async fn the_edge_page_works_by_keyboard(world: Arc<World>) {
    let page = edge(&world).await;
    let first = "document.querySelector('upstream-row .up-state').textContent";
    page.tab_to("upstream-row [role=switch]").await;
    page.press_char(' ').await;
    page.until("it is being emptied", &format!("{first} === 'draining'")).await;
    page.press_char(' ').await;
    page.until("it serves again", &format!("{first} === 'healthy'")).await;

    page.tab_to("#filter").await;
    for letter in "ejection.failures".chars() {
        page.press_char(letter).await;
    }
    page.until("one is found", "document.querySelectorAll('setting-row').length === 1").await;
    page.tab_to("setting-row input").await;
    page.press(Key::Up).await;
    page.press(Key::Tab).await;
    page.until("one more than by default", "document.querySelector('setting-row.changed input')?.value === '6'").await;
    page.tab_to("setting-row button").await;
    page.press(Key::Enter).await;
    page.until("as by default", "document.querySelector('setting-row:not(.changed) input')?.value === '5'").await;
    assert!(page.focus_is_on("setting-row input").await, "the focus goes where the button was for");
}
