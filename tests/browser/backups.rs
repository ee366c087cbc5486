//! The backups on the account page.

use std::sync::Arc;

use fantoccini::key::Key;

use crate::page::PHONE;
use crate::server::Server;
use crate::world::{OWNER, PASSWORD, World};

const SAID: &str = "document.querySelector('backup-list [role=status]').textContent";

pub async fn the_owner_backs_up_verifies_and_goes_back_by_keyboard(world: Arc<World>) {
    // Of its own: others have no use for data that goes back.
    let server = Server::with_owner(OWNER, PASSWORD);
    let page = &world.page;
    page.window(PHONE).await;
    world.open_as_owner_of(&server, "/account").await;
    page.until("the section is drawn", "document.querySelector('backup-list')?.textContent.includes('no backup yet')")
        .await;
    page.tab_to("backup-list .act button").await;
    page.press(Key::Enter).await;
    page.until("it is listed", "document.querySelectorAll('backup-list li').length === 1").await;
    page.until("and said", &format!("{SAID}.endsWith('-manual is there.')")).await;
    page.until("as not verified", "document.querySelector('backup-list li').textContent.includes('Not verified')")
        .await;

    page.tab_to("backup-list [data-act=verify]").await;
    page.press(Key::Enter).await;
    page.until("it is sound", &format!("{SAID}.includes('is sound: 0 orders')")).await;
    page.until(
        "and the row says so",
        "document.querySelector('backup-list li').textContent.includes('every rule holds')",
    )
    .await;

    page.tab_to("backup-list [data-act=ask]").await;
    page.press(Key::Enter).await;
    assert!(page.focus_is_on("backup-list [data-act=restore]").await, "it asks whether it is meant");
    page.tab_to("backup-list [data-act=leave]").await;
    page.press(Key::Enter).await;
    assert!(page.focus_is_on("backup-list [data-act=ask]").await, "back where it was asked");
    page.press(Key::Enter).await;
    page.press(Key::Enter).await;
    page.until("it is restored", &format!("{SAID}.startsWith('Restored: 0 orders.')")).await;
    page.until(
        "what was there is kept",
        "[...document.querySelectorAll('backup-list li')].some((row) => row.textContent.includes('Kept before a restore'))",
    )
    .await;
    let wide = page.value("document.scrollingElement.scrollWidth").await;
    assert!(wide.as_u64() <= Some(u64::from(PHONE.0)), "{wide} wide");
    page.leave().await;
}
