//! The page on which a stack is watched while it works.

use std::sync::Arc;

use crate::page::Page;
use crate::rig::Upstream;
use crate::server::Server;
use crate::world::{OWNER, PASSWORD, World};

/// Everything that it asks for is there.
const DRAWN: &str = "document.querySelector('live-chart svg') !== null && document.querySelectorAll('instance-table tbody tr').length === 3
    && document.querySelector('#load-mix option') !== null && document.querySelector('#workers').value !== ''";

/// A server of its own: its instances come and go.
async fn live(world: &World) -> (Server, &Page) {
    let server = Server::with_owner(OWNER, PASSWORD);
    world.open_as_owner_of(&server, "/live").await;
    world.page.until("the page is drawn", DRAWN).await;
    (server, &world.page)
}

/// What its row says of an instance.
fn says(id: &str, words: &str) -> String {
    format!("document.querySelector('instance-table [data-key={id}] .inst-state')?.textContent.trim() === '{words}'")
}

pub async fn an_instance_is_killed_taken_back_and_removed(world: Arc<World>) {
    let (_server, page) = live(&world).await;
    let pressed = "document.querySelector(\"[aria-label='Kill i2']\").ariaPressed";
    page.click("[aria-label='Kill i2']").await;
    page.until("it is dead", &format!("{} && {pressed} === 'true'", says("i2", "killed"))).await;
    page.until(
        "it says until when",
        "/^i2 is dead; it ends in [12]:/.test(document.querySelector('.toast').textContent)",
    )
    .await;
    page.until("the bar says so", "document.querySelector('.bar-faults [role=status]').textContent === '1 fault on'")
        .await;
    page.click("[aria-label='Kill i2']").await;
    page.until("it serves again", &format!("{} && {pressed} === 'false'", says("i2", "serving"))).await;

    page.click("[aria-label='Remove i3']").await;
    assert_eq!(page.value("document.querySelectorAll('instance-table tbody tr').length").await, 3, "it asks first");
    page.click("[aria-label^='Really remove i3']").await;
    page.until("it is gone", "document.querySelector('instance-table [data-key=i3]') === null").await;
    page.until("and the rest serves", &format!("{} && {}", says("i1", "serving"), says("i2", "serving"))).await;
    page.leave().await;
}

pub async fn instances_are_restarted_released_and_given_more_workers(world: Arc<World>) {
    let (_server, page) = live(&world).await;
    page.type_into("#workers", "3").await;
    page.click("#rollout-version").await;
    page.until(
        "it is set",
        "document.querySelector('.toast').textContent === 'Each instance cooks 3 tickets at the same time.'",
    )
    .await;
    page.type_into("#rollout-version", "two words").await;
    page.expect_refusal("/api/rollouts", 422);
    page.click("roll-out [type=submit]").await;
    page.until("it says why not", "document.querySelector('roll-out .err-text').textContent.includes('A version is')")
        .await;
    page.type_into("#rollout-version", "v2").await;
    page.click("roll-out [type=submit]").await;
    let can_be_called_back = "!document.querySelector('roll-out .harm').hidden";
    page.until("it is under way", can_be_called_back).await;
    page.click("roll-out .harm").await;
    page.until(
        "it goes back",
        "document.querySelector('roll-out').textContent.includes('The release of v2 was taken back to v1')",
    )
    .await;
    page.leave().await;
}

pub async fn traffic_is_sent_and_seen(world: Arc<World>) {
    let (_server, page) = live(&world).await;
    let mixes = "[...document.querySelectorAll('#load-mix option')].map((each) => each.value).join(' ')";
    assert_eq!(page.value(mixes).await, "reads orders mixed menu dish");
    page.type_into("#load-rate", "40").await;
    page.type_into("#load-seconds", "300").await;
    page.click("send-traffic [type=submit]").await;
    page.until(
        "it says so",
        "document.querySelector('send-traffic [role=status]').textContent === 'Traffic is being sent.'",
    )
    .await;
    page.until(
        "it is counted",
        "/^Sending: .* answers a second/.test(document.querySelector('send-traffic p.tnum').textContent)",
    )
    .await;
    page.until("the chart shows it", "document.querySelectorAll('live-chart rect').length > 2").await;
    page.until("and the log", "document.querySelectorAll('log-tail .lg').length > 10").await;
    page.click("send-traffic .load-act [type=button]").await;
    page.until(
        "it is over",
        "document.querySelector('send-traffic [role=status]').textContent.startsWith('The traffic is over. Sent: ')",
    )
    .await;
    page.click_label("1 min").await;
    page.until(
        "a minute is shown",
        "document.querySelector('live-chart svg').ariaLabel.startsWith('The last 1 min') && document.querySelector('live-chart').textContent.includes('60 s ago')",
    )
    .await;
    page.leave().await;
}

pub async fn before_ones_own_service_there_is_traffic_and_nothing_of_instances(world: Arc<World>) {
    let upstream = Upstream::saying("soup").await;
    let server = Server::before(OWNER, PASSWORD, &[upstream.address]);
    world.open_as_owner_of(&server, "/live").await;
    let page = &world.page;
    page.until("what can be sent", "document.querySelector('#load-mix option') !== null").await;
    assert_eq!(
        page.value("[...document.querySelectorAll('#load-mix option')].map((each) => each.value)").await,
        serde_json::json!(["front"])
    );
    for part in ["#instances", "#autoscaler"] {
        let shown = page.value(&format!("document.querySelector('{part}').checkVisibility()")).await;
        assert_eq!(shown, false, "{part} is the service's own");
    }
    page.type_into("#load-seconds", "300").await;
    page.click("send-traffic [type=submit]").await;
    page.until(
        "it is answered",
        "/[1-9]\\d* answered/.test(document.querySelector('send-traffic p.tnum').textContent)",
    )
    .await;
    assert_eq!(page.text("#trouble").await, "");
    page.leave().await;
}
