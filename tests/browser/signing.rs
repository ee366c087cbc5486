//! Signing in to the console and out of it.

use std::sync::Arc;

use crate::world::{OWNER, PASSWORD, World};

pub async fn a_wrong_password_is_named_and_the_right_one_leads_back_to_the_page_asked_for(world: Arc<World>) {
    let page = &world.page;
    page.open(&world.console("/account")).await;
    page.until("the sign-in page", "location.pathname === '/sign-in' && document.activeElement.id === 'name'").await;

    page.click("#sign-in [type=submit]").await;
    page.until("both fields are asked for", "document.querySelector('#name-error').textContent !== '' && document.querySelector('#password-error').textContent !== ''").await;

    page.expect_refusal("/api/session", 401);
    page.type_into("#name", OWNER).await;
    page.type_into("#password", "not-the-password-at-all").await;
    page.click("#sign-in [type=submit]").await;
    page.until("the problem is said", "document.querySelector('#sign-in-error').innerText.length > 10").await;
    assert!(page.focus_is_on("#password").await, "the password can be typed again at once");

    page.expect_refusal("/api/session", 429);
    page.type_into("#password", PASSWORD).await;
    page.click_until(
        "#sign-in [type=submit]",
        "the page that was asked for",
        "location.pathname === '/account' && document.querySelector('#who')?.textContent === 'owner'",
    )
    .await;
}

pub async fn after_signing_out_every_page_asks_to_sign_in(world: Arc<World>) {
    let page = &world.page;
    world.open_as_owner("/account").await;
    page.until("the owner's page", "document.querySelector('#who')?.textContent === 'owner'").await;
    page.click("#sign-out").await;
    page.until("the sign-in page", "location.pathname === '/sign-in'").await;
    for path in ["/", "/account", "/break", "/edge", "/journeys/0123456789abcdef0123456789abcdef"] {
        page.open(&world.console(path)).await;
        page.until("the sign-in page", "location.pathname === '/sign-in'").await;
        let back =
            page.address().await.query_pairs().find(|(name, _)| name == "next").map(|(_, value)| value.into_owned());
        assert_eq!(back.unwrap_or("/".to_owned()), path, "where sign-in leads back to");
    }
}
