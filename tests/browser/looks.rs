//! Light and dark, phone and projector.

use std::sync::Arc;

use crate::breaking;
use crate::journeys;
use crate::page::{PHONE, PROJECTOR, Page};
use crate::server::Server;
use crate::world::World;

async fn background(page: &Page) -> String {
    page.value("getComputedStyle(document.documentElement).backgroundColor")
        .await
        .as_str()
        .expect("a colour")
        .to_owned()
}

pub async fn the_theme_follows_the_system_until_chosen_and_the_choice_stays(world: Arc<World>) {
    const BUTTON: &str = "top-bar .side > button";
    let page = &world.page;
    page.forget(&world.server.console).await;
    world.open_as_owner("/account").await;
    page.until("the bar is there", "document.querySelector('top-bar .side > button') !== null").await;
    let light = background(page).await;
    assert_eq!(page.text(BUTTON).await, "Dark");
    page.prefer("dark", "reduce").await;
    page.until("the system's choice", "document.querySelector('top-bar .side > button').textContent === 'Light'").await;
    let dark = background(page).await;
    assert_ne!(light, dark);

    page.click(BUTTON).await;
    assert_eq!(background(page).await, light);
    page.reload().await;
    page.until("the bar is there", "document.querySelector('top-bar .side > button')?.textContent === 'Dark'").await;
    assert_eq!(background(page).await, light, "chosen, whatever the system says");
    page.open(&world.console("/")).await;
    page.until("on the other page too", "document.querySelector('top-bar .side > button')?.textContent === 'Dark'")
        .await;
    page.forget(&world.server.console).await;
}

/// Not wider than the window, and nothing cut off by hiding what is.
pub async fn fits(page: &Page, (width, height): (u32, u32), what: &str) {
    let wide = page.value("document.scrollingElement.scrollWidth").await;
    assert!(wide.as_u64() <= Some(u64::from(width)), "{what} is {wide} wide at {width}×{height}");
    // Beyond the edge on its own, and not inside something that scrolls or is meant to be unseen.
    let script = "const hides = (each) => each !== null && each !== document.documentElement && each !== document.body
            && (getComputedStyle(each).overflowX !== 'visible' || hides(each.parentElement));
        return [...document.querySelectorAll('main button, main a, main input, main select, main h1, main h2, main p, header *')]
            .filter((each) => each.checkVisibility() && each.getBoundingClientRect().right > arguments[0] + 1 && !hides(each))
            .map((each) => each.outerHTML.slice(0, 120))";
    let beyond = page.run(script, vec![width.into()]).await;
    assert_eq!(beyond, serde_json::json!([]), "{what} reaches beyond {width}×{height}");
}

pub async fn no_page_is_wider_than_a_phone_or_a_projector(world: Arc<World>) {
    let (page, fresh) = (&world.page, Server::new());
    let link = fresh.setup_url.as_deref().expect("a link");
    let setup = link.replace(&fresh.http, &format!("{}/setup", fresh.console)).replace("/setup/", "/setup");
    for size in [PHONE, PROJECTOR] {
        page.window(size).await;
        page.leave().await;
        page.open(link).await;
        page.until("the door is drawn", "document.querySelector('#fingerprint')?.innerText.length > 90").await;
        page.run("for (const each of document.querySelectorAll('details')) each.open = true", Vec::new()).await;
        fits(page, size, "the door").await;
        page.open(&setup).await;
        page.until("set-up is drawn", "document.querySelector('#password')?.value.includes('-')").await;
        fits(page, size, "set-up").await;

        page.open(&world.console("/sign-in")).await;
        page.until("the line is drawn", "document.querySelector('hairpin-line circle') !== null").await;
        fits(page, size, "sign-in").await;
        world.open_as_owner("/").await;
        page.until("the requests are offered", "document.querySelector('#request option') !== null").await;
        page.choose("#request", "order").await;
        journeys::send(page).await;
        for key in '1'..='8' {
            page.press_char(key).await;
            fits(page, size, &format!("the journey, station {key}")).await;
        }
        page.open(&world.console("/edge")).await;
        page.until("the settings are listed", "document.querySelectorAll('setting-row').length > 30").await;
        page.run("for (const each of document.querySelectorAll('details')) each.open = true", Vec::new()).await;
        fits(page, size, "the edge").await;
        breaking::open_line(&world).await;
        page.until("the days are offered", "document.querySelector('bad-days li') !== null").await;
        let open = "for (const each of document.querySelectorAll('.fx-more, bad-days .quiet')) each.click()";
        page.run(open, Vec::new()).await;
        fits(page, size, "the break page").await;
        page.open(&world.console("/live")).await;
        let drawn = "document.querySelector('live-chart svg') !== null && document.querySelector('instance-table tr .btn') !== null && document.querySelector('#load-mix option') !== null";
        page.until("the figures are drawn", drawn).await;
        fits(page, size, "the live page").await;
        page.open(&world.console("/traces")).await;
        page.until("traces are listed", "document.querySelector('trace-list li') !== null").await;
        fits(page, size, "the traces").await;
        page.open(&world.console("/account")).await;
        page.until("the staff are listed", "document.querySelectorAll('staff-row button').length > 3").await;
        page.click("staff-row button").await;
        fits(page, size, "the account").await;

        page.open(&world.server.app).await;
        page.until("the menu is read", "document.querySelectorAll('.dish').length > 20").await;
        page.run("document.querySelector('.dish button:enabled').click()", Vec::new()).await;
        fits(page, size, "the restaurant").await;
    }
}
