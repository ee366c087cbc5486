//! The API tokens on the account page.

use std::sync::Arc;

use crate::server::Server;
use crate::world::{OWNER, PASSWORD, World};

pub async fn a_token_is_shown_once_listed_and_revoked(world: Arc<World>) {
    let server = Server::with_owner(OWNER, PASSWORD);
    world.open_as_owner_of(&server, "/account").await;
    let page = &world.page;
    page.until("the section is drawn", "document.querySelector('token-list')?.textContent.includes('no token yet')")
        .await;
    page.click("token-list [type=submit]").await;
    page.until(
        "a name is asked for",
        "document.querySelector('#token-name-error').textContent.startsWith('Give it a name')",
    )
    .await;
    page.type_into("#token-name", "night script").await;
    page.click("token-list input[value=change]").await;
    page.choose("#token-days", "7").await;
    page.type_into("#token-password", PASSWORD).await;
    page.click("token-list [type=submit]").await;
    page.until("it is shown", "document.querySelector('.token-secret code')?.textContent.startsWith('rtk_')").await;
    let listed = page.text("token-list li p").await;
    assert!(listed.starts_with("May read and change. Until "), "{listed}");

    // As a script would, without the owner's cookie.
    let script = "const token = document.querySelector('.token-secret code')?.textContent ?? arguments[0];
        return fetch('/api/stack', { credentials: 'omit', headers: { authorization: 'Bearer ' + token } })
            .then((answer) => [token, answer.status])";
    let used = page.run(script, vec!["".into()]).await;
    assert_eq!(used[1], 200, "it opens what it was made for");
    page.reload().await;
    page.until("it is listed", "document.querySelectorAll('token-list li').length === 1").await;
    assert_eq!(
        page.value("document.querySelector('.token-secret')").await,
        serde_json::Value::Null,
        "and never shown again"
    );

    // Whoever finds the page open, but does not know the password, gets none.
    page.type_into("#token-name", "another").await;
    page.type_into("#token-password", "somebody else's").await;
    page.expect_refusal("/api/tokens", 422);
    page.click("token-list [type=submit]").await;
    page.until("the password is wrong", "document.querySelector('#token-password-error').textContent !== ''").await;

    page.click("token-list li button").await;
    page.until("it is gone", "document.querySelectorAll('token-list li').length === 0").await;
    page.expect_refusal("/api/stack", 401);
    assert_eq!(page.run(script, vec![used[0].clone()]).await[1], 401, "it opens nothing any more");
    page.leave().await;
}
