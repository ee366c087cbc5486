//! From the printed link to the first journey.

use std::sync::Arc;

use crate::server::Server;
use crate::world::World;

const SET_UP_IS_READY: &str =
    "location.pathname === '/setup' && /^[a-z]+(-[a-z]+){3}$/.test(document.querySelector('#password')?.value)";

/// The link and the token in it.
fn printed(server: &Server) -> (&str, &str) {
    let link = server.setup_url.as_deref().expect("a server without owner prints a link");
    (link, link.split_once('#').expect("the token is the fragment").1)
}

pub async fn a_new_user_walks_from_the_printed_link_to_a_first_journey(world: Arc<World>) {
    let (page, server) = (&world.page, Server::new());
    let (link, token) = printed(&server);
    page.prefer("light", "no-preference").await;

    page.open(link).await;
    let named = format!("document.querySelector('#continue')?.href === '{}/setup#{token}'", server.console);
    page.until("the door leads to the name, with the token", &named).await;
    page.until("the door shows the fingerprint", "document.querySelector('#fingerprint')?.innerText.length > 90").await;
    page.click("#continue").await;

    page.until("set-up has made a password of four words", SET_UP_IS_READY).await;
    assert_eq!(page.address().await.as_str(), format!("{}/setup", server.console), "the token left the address bar");
    let first = page.value("document.querySelector('#password').value").await;
    page.click("#another").await;
    page.until("another password", &format!("document.querySelector('#password').value !== {first}")).await;
    page.click("#setup [type=submit]").await;

    page.until("a journey has its address", "/^\\/journeys\\/[0-9a-f]{32}$/.test(location.pathname)").await;
    page.until("the request travels", "document.querySelector('line-map.playing circle') !== null").await;
    assert!(page.text("#map-title").await.ends_with("on its way"));
    page.click("trip-player button").await;
    let sentence = "/^\\d+(\\.\\d+)?\\sms; \\d+\\s% was /.test(document.querySelector('#map-title').textContent)";
    page.until("its figures are the headline", sentence).await;

    page.click("#map-title button").await;
    page.until("the same once more, on the kept connection", "document.querySelector('[name=connection]:checked').value === 'kept' && document.querySelectorAll('journey-history li').length >= 2").await;
    assert_eq!(page.address().await.fragment(), None);
    let requests = page.requests().await;
    assert!(requests.iter().any(|request| request.contains("/api/setup")), "the requests are known");
    let leaks: Vec<&String> = requests.iter().filter(|request| request.contains(token)).collect();
    assert!(leaks.is_empty(), "the token is in {leaks:?}");
    page.leave().await;
}

pub async fn without_a_good_link_nobody_makes_an_account(world: Arc<World>) {
    let (page, server) = (&world.page, Server::new());
    let (_, token) = printed(&server);
    page.open(&format!("{}/setup", server.console)).await;
    page.until(
        "a link without token is refused",
        "document.querySelector('#refused')?.innerText.includes('roundtrip owner link')",
    )
    .await;
    assert_eq!(page.value("document.querySelector('#setup').checkVisibility()").await, false);

    let setup = format!("{}/setup#{token}", server.console);
    page.open(&setup).await;
    page.until("set-up is ready", SET_UP_IS_READY).await;
    page.click("#setup [type=submit]").await;
    page.until("the owner is in", "location.pathname.startsWith('/journeys/')").await;

    // Whoever finds the link later is asked who they are.
    page.leave().await;
    page.open(&setup).await;
    page.until(
        "the owner's sign-in",
        "location.pathname === '/sign-in' && document.querySelector('#sign-in') !== null",
    )
    .await;
    page.leave().await;
}
