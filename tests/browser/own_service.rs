//! The Journey page before somebody's own service.

use std::sync::Arc;

use hyper::Response;

use crate::journeys::send;
use crate::rig::{Upstream, body, until};
use crate::server::Server;
use crate::world::{OWNER, PASSWORD, World};

const STATIONS: &str = "[...document.querySelectorAll('line-map .stn')].map((each) => each.dataset.layer).join(' ')";

pub async fn the_line_to_ones_own_service_has_six_stations_and_says_what_is_known(world: Arc<World>) {
    let (one, two) = (Upstream::saying("soup").await, Upstream::saying("salad").await);
    let server = Server::before(OWNER, PASSWORD, &[one.address, two.address]);
    world.open_as_owner_of(&server, "/").await;
    let page = &world.page;
    page.until("a request is offered", "document.querySelector('#request option') !== null").await;
    assert_eq!(page.value("document.querySelector('#as').checkVisibility()").await, false, "one role is no choice");
    let says = "document.querySelector('top-bar').textContent.includes('Your service: 2 of 2 upstreams serving')";
    page.until("the bar says what stands behind", says).await;

    send(page).await;
    assert_eq!(page.value(STATIONS).await, "client dns tls http balancer service");
    let label =
        page.value("document.querySelector('line-map .stn[data-layer=service]').getAttribute('aria-label')").await;
    let label = label.as_str().expect("a label");
    assert!(label.starts_with("6–8, Your service, what you run: ") && label.contains("microseconds"), "{label}");
    // Three stations in one, so three keys pick it.
    for key in ['6', '7', '8'] {
        page.press_char('1').await;
        page.press_char(key).await;
        assert_eq!(page.text("station-inspector h2").await, "Your service");
    }
    let facts = page.text("station-inspector").await;
    assert!(facts.contains("What is known") && facts.contains("What is not"), "{facts}");
    let address = page.address().await;
    let trace = address.path().rsplit('/').next().expect("a trace id").to_owned();
    let (answered, id) = if one.seen.lock().unwrap().is_empty() { (&two, "u2") } else { (&one, "u1") };
    assert!(facts.contains(&format!("Answered by{id}")) && facts.contains(&answered.address.to_string()), "{facts}");
    assert!(facts.contains(&trace), "{facts}");
    let told = answered.seen.lock().unwrap().last().expect("it was asked").0.headers["traceparent"].clone();
    assert!(told.to_str().expect("text").contains(&trace), "{told:?}");
    let bar = page.text(".wf-rows").await;
    assert!(bar.contains("Your service answers"), "{bar}");

    page.press_char('5').await;
    let facts = page.text("station-inspector").await;
    for column in ["Weight", "healthy", "Score"] {
        assert!(facts.contains(column), "{facts}");
    }
    page.leave().await;
}

pub async fn a_stale_answer_goes_out_while_a_new_one_is_fetched_and_the_line_says_so(world: Arc<World>) {
    // Stale when it comes, and good once more while it is asked for again.
    let upstream = Upstream::start(|_, _| {
        let control = ("cache-control", "max-age=60, stale-while-revalidate=3600");
        let response = Response::builder().header(control.0, control.1).header("age", "70").header("etag", "\"v1\"");
        response.body(body("soup")).expect("an answer")
    })
    .await;
    let server = Server::before(OWNER, PASSWORD, &[upstream.address]);
    world.open_as_owner_of(&server, "/").await;
    let page = &world.page;
    page.until("a request is offered", "document.querySelector('#request option') !== null").await;
    send(page).await;
    let line = page.text("line-map").await;
    assert!(line.contains("Shared cachemiss"), "{line}");

    send(page).await;
    let line = page.text("line-map").await;
    assert!(line.contains("Shared cachehit at the edge, stale, 7") && line.contains(" s old"), "{line}");
    assert!(!line.contains("good for"), "{line}");
    let label = "document.querySelector('line-map .stn[data-layer=service]').getAttribute('aria-label')";
    assert!(page.value(label).await.as_str().is_some_and(|label| label.ends_with("not reached")));
    page.press_char('4').await;
    let facts = page.text("station-inspector").await;
    assert!(facts.contains("Founda stale answer"), "{facts}");

    // The fetch behind it is a journey that nobody sent, and it asked whether what is kept is still good.
    until(|| upstream.seen.lock().unwrap().len() == 2).await;
    let asked = upstream.heads()[1].headers.get("if-none-match").cloned();
    assert_eq!(asked.expect("a condition"), "\"v1\"");
    page.leave().await;
}

pub async fn with_its_service_gone_the_line_ends_at_the_balancer(world: Arc<World>) {
    let upstream = Upstream::saying("soup").await;
    let server = Server::before(OWNER, PASSWORD, &[upstream.address]);
    upstream.kill();
    world.open_as_owner_of(&server, "/").await;
    let page = &world.page;
    page.until("a request is offered", "document.querySelector('#request option') !== null").await;
    send(page).await;
    assert_eq!(page.value(STATIONS).await, "client dns tls http balancer service");
    let label = "document.querySelector('line-map .stn[data-layer=service]').getAttribute('aria-label').endsWith('not reached')";
    page.until("your service was not reached", label).await;
    let said = page.text("#announce").await;
    assert!(said.starts_with("50"), "{said}");
    page.press_char('7').await;
    let facts = page.text("station-inspector").await;
    assert!(facts.contains("The request turned back at Balancer"), "{facts}");
    page.leave().await;
}
