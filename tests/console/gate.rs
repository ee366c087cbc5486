//! Who is let in, and by what.

use roundtrip::web::secret;
use serde_json::json;

use crate::harness::people::Ask;
use crate::harness::{House, PASSWORD};

/// Every address under /api but those that nobody needs to be signed in for.
const GUARDED: [(&str, &str); 43] = [
    ("GET", "/api/session"),
    ("GET", "/api/presets"),
    ("GET", "/api/journeys"),
    ("POST", "/api/journeys"),
    ("GET", "/api/journeys/4bf92f3577b34da6a3ce929d0e0e4736"),
    ("GET", "/api/events"),
    ("GET", "/api/traces"),
    ("GET", "/api/log"),
    ("GET", "/api/stack"),
    ("GET", "/api/live"),
    ("GET", "/api/settings"),
    ("PATCH", "/api/settings"),
    ("POST", "/api/restore"),
    ("GET", "/api/bad-days"),
    ("POST", "/api/bad-days/i1"),
    ("GET", "/api/happenings"),
    ("GET", "/api/changes"),
    ("GET", "/api/tokens"),
    ("POST", "/api/tokens"),
    ("DELETE", "/api/tokens/i1"),
    ("GET", "/api/staff"),
    ("POST", "/api/configuration/reload"),
    ("GET", "/api/upstreams/events"),
    ("GET", "/api/site"),
    ("GET", "/api/stack/sides"),
    ("GET", "/api/cache"),
    ("GET", "/api/data/slow"),
    ("POST", "/api/cache/purge"),
    ("PATCH", "/api/upstreams/i1"),
    ("GET", "/api/backups"),
    ("POST", "/api/backups"),
    ("POST", "/api/backups/verify"),
    ("POST", "/api/backups/restore"),
    ("GET", "/api/instances"),
    ("POST", "/api/instances"),
    ("DELETE", "/api/instances/i1"),
    ("POST", "/api/instances/i1/drain"),
    ("POST", "/api/instances/i1/undrain"),
    ("POST", "/api/rollouts"),
    ("DELETE", "/api/rollouts/current"),
    ("GET", "/api/load"),
    ("POST", "/api/load"),
    ("DELETE", "/api/load"),
];
const FOR_COMMANDS: [&str; 19] = [
    "/api/control/setup-link",
    "/api/control/owner",
    "/api/control/sessions",
    "/api/control/journeys",
    "/api/control/traces",
    "/api/control/log",
    "/api/control/configuration",
    "/api/control/settings",
    "/api/control/restore",
    "/api/control/tokens/list",
    "/api/control/tokens/create",
    "/api/control/tokens/revoke",
    "/api/control/metrics",
    "/api/control/instances",
    "/api/control/rollouts",
    "/api/control/backups/list",
    "/api/control/backups/create",
    "/api/control/backups/verify",
    "/api/control/backups/restore",
];
/// For those who are not signed in yet.
const OPEN: [&str; 3] = ["/api/setup", "/api/setup/password", "/api/session"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_told_and_nothing_done_without_a_session() {
    let house = House::open().await;
    let made_up = format!("__Host-rt_session={}", "0".repeat(64));
    let owner = house.owner().await;
    let mut guarded = GUARDED.to_vec();
    guarded.push(("PUT", "/api/staff/waiter/password"));
    let books = house.books();
    for cookie in ["", made_up.as_str(), "__Host-rt_session=x", "__Host-rt_session="] {
        let stranger = house.stranger();
        for (method, path) in &guarded {
            let body = json!({ "password": PASSWORD, "balancer.policy": "round_robin" });
            let mut ask = stranger.fair(method, path).json(&body);
            if !cookie.is_empty() {
                ask = ask.header("cookie", cookie);
            }
            stranger.send(ask).await.is_problem(401, "sign-in-first", None);
        }
    }
    // A cookie of the same name twice is nobody's.
    let twice = format!("{}; {made_up}", owner.cookies());
    let ask = Ask::new("GET", "/api/stack").header("cookie", &twice);
    house.stranger().send(ask).await.is_problem(401, "sign-in-first", None);
    assert_eq!(house.books(), books);
    house.stop().await;
}

/// The list above is the whole of `src/console/routes.rs`: an address added there has to be added here.
#[test]
fn every_address_of_the_table_is_accounted_for() {
    let table = include_str!("../../src/console/routes.rs");
    let listed = table.split("resource(\"/api").skip(1).filter_map(|rest| rest.split_once('"')).map(|(path, _)| path);
    for path in listed {
        let path =
            format!("/api{path}").replace("{trace_id}", "4bf92f3577b34da6a3ce929d0e0e4736").replace("{id}", "i1");
        let known = GUARDED.iter().map(|(_, path)| *path).chain(FOR_COMMANDS).chain(OPEN);
        assert!(known.chain(["/api/staff/{name}/password"]).any(|known| known == path), "{path} is not tested");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_comes_from_the_consoles_own_pages() {
    let house = House::open().await;
    let owner = house.owner().await;
    let change = json!({ "balancer.policy": "round_robin" });
    let own = owner.origin().to_owned();
    let ask = || Ask::new("PATCH", "/api/settings").json(&change);
    let app = house.stack.browser_url();
    for wrong in [
        ask().header("origin", &own),
        ask().header("sec-fetch-site", "same-origin"),
        ask().header("roundtrip-console", "1"),
        ask().header("roundtrip-console", "1").header("origin", "https://evil.example"),
        ask().header("roundtrip-console", "1").header("origin", "null"),
        ask().header("roundtrip-console", "1").header("origin", &app),
        ask().header("roundtrip-console", "1").header("origin", &own).header("sec-fetch-site", "same-site"),
        ask().header("roundtrip-console", "1").header("origin", &own).header("sec-fetch-site", "cross-site"),
        ask().header("roundtrip-console", "1").header("sec-fetch-site", "none"),
    ] {
        owner.send_bare(wrong.clone()).await.is_problem(403, "cross-origin", None);
    }
    assert_eq!(owner.get("/api/stack").await.json()["policy"], "p2c_peak_ewma");
    // A sign-in is a change, too: another site must not sign anybody in.
    let body = json!({ "name": "owner", "password": PASSWORD });
    let ask = Ask::new("POST", "/api/session").json(&body).header("origin", "https://evil.example");
    house.stranger().send(ask).await.is_problem(403, "cross-origin", None);
    let right = ask_with(&own).json(&change);
    assert_eq!(owner.send_bare(right).await.status, 200);
    house.stop().await;
}

fn ask_with(origin: &str) -> Ask {
    Ask::new("PATCH", "/api/settings").header("roundtrip-console", "1").header("origin", origin)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_its_own_names_are_answered() {
    let house = House::open().await;
    let owner = house.owner().await;
    let port = house.console.address().port();
    for host in ["evil.example", "roundtrip.localhost", &format!("bistro.localhost:{port}"), &format!("evil:{port}")] {
        for path in ["/", "/api/stack", "/api/session", "/nothing"] {
            let ask = Ask::new("GET", path).header("host", host);
            owner.send(ask).await.is_problem(421, "wrong-host", None);
        }
    }
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("ROUNDTRIP.localhost:{port}")] {
        assert_eq!(owner.send(Ask::new("GET", "/api/stack").header("host", &host)).await.status, 200, "{host}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_key_opens_what_is_for_commands_and_nothing_else() {
    let house = House::open().await;
    let owner = house.owner().await;
    let key = format!("Roundtrip-Control {}", secret::hex(&house.control_key));
    let command = house.stranger();
    let ask = |key: &str| {
        Ask::new("POST", "/api/control/sessions").json(&json!({ "role": "waiter" })).header("authorization", key)
    };
    let right = command.send(ask(&key)).await;
    assert_eq!(right.status, 200, "{}", right.text());
    assert!(right.json()["cookie"].as_str().is_some_and(|cookie| cookie.starts_with("__Host-rt_bistro=")));

    let wrong = format!("Roundtrip-Control {}", "0".repeat(64));
    for bad in [
        ask(&wrong),
        ask("Roundtrip-Control x"),
        ask(&key).header("origin", owner.origin()),
        ask(&key).header("origin", "https://evil.example"),
        ask(&key).header("cookie", "a=1"),
        ask(&key).header("cookie", &owner.cookies()),
    ] {
        house.stranger().send(bad).await.is_problem(401, "bad-control-key", None);
    }
    for path in FOR_COMMANDS {
        // An owner in a browser is no command; nor is another scheme.
        owner.post(path, &json!({ "role": "waiter" })).await.is_problem(401, "commands-only", None);
        let ask = house.stranger().fair("POST", path).json(&json!({})).header("authorization", "Basic eDp5");
        house.stranger().send(ask).await.is_problem(401, "commands-only", None);
    }
    for (method, path) in GUARDED {
        let ask = Ask::new(method, path).json(&json!({})).header("authorization", &key);
        house.stranger().send(ask).await.is_problem(401, "sign-in-first", None);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_may_report_what_the_policy_stopped_without_a_header_of_ours() {
    let house = House::open().await;
    let owner = house.owner().await;
    let policy = owner.get("/").await.header("content-security-policy").to_owned();
    assert!(policy.ends_with("; report-uri /csp-report"), "{policy}");
    let report = || Ask::new("POST", "/csp-report").header("content-type", "application/csp-report").body("{}");
    let own = report().header("sec-fetch-site", "same-origin");
    assert_eq!(owner.send_bare(own).await.status, 204);
    let foreign = report().header("sec-fetch-site", "cross-site");
    owner.send_bare(foreign).await.is_problem(403, "cross-origin", None);
    house.stop().await;
}
