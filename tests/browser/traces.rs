//! Looking for traces.

use std::sync::Arc;

use fantoccini::key::Key;

use crate::server::Server;
use crate::world::{OWNER, PASSWORD, World};

pub async fn traces_are_found_by_fault_and_opened(world: Arc<World>) {
    let server = Server::with_owner(OWNER, PASSWORD);
    world.open_as_owner_of(&server, "/traces").await;
    let page = &world.page;
    let send = "const send = (method, path, body) => fetch(path, { method,
            headers: { 'content-type': 'application/json', 'roundtrip-console': '1' }, body: JSON.stringify(body) })
            .then((answer) => answer.json());
        const look = { request: 'menu', as: 'guest', connection: 'fresh', caches: 'bypass', count: 1 };
        return send('POST', '/api/journeys', look)
            .then(() => send('PATCH', '/api/settings', { 'fault.instance.slow': { strength: 20 } }))
            .then(() => send('POST', '/api/journeys', look))
            .then(({ journeys }) => journeys[0].trace_id)";
    let struck = page.run(send, Vec::new()).await;
    let struck = struck.as_str().expect("a trace id");
    page.reload().await;
    page.until("both are listed", "document.querySelectorAll('trace-list li').length === 2").await;
    page.choose("#f-fault", "fault.instance.slow").await;
    page.until("only the one that it struck", "document.querySelectorAll('trace-list li').length === 1").await;
    let found = page.text("trace-list li").await;
    assert!(found.contains("instance.slow") && found.contains("GET /api/v1/menu"), "{found}");
    assert_eq!(page.address().await.query(), Some("fault=fault.instance.slow"));

    page.reload().await;
    page.until("a link says the same", "document.querySelectorAll('trace-list li').length === 1 && document.querySelector('#f-fault').value === 'fault.instance.slow'").await;
    page.choose("#f-status", "5xx").await;
    page.until(
        "none fits",
        "document.querySelector('#none').checkVisibility() && document.querySelectorAll('trace-list li').length === 0",
    )
    .await;
    page.choose("#f-status", "").await;
    page.until("it is back", "document.querySelectorAll('trace-list li').length === 1").await;
    page.tab_to("trace-list a").await;
    page.press(Key::Enter).await;
    page.until(
        "it is open",
        &format!(
            "location.pathname === '/journeys/{struck}' && document.querySelector('.wf-rows')?.textContent !== ''"
        ),
    )
    .await;
    page.leave().await;
}
