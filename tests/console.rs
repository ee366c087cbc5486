//! The console over its own listener, as a browser, a stranger and a command meet it.

mod harness;

#[path = "console/changes.rs"]
mod changes;
#[path = "console/control.rs"]
mod control;
#[path = "console/door.rs"]
mod door;
#[path = "console/gate.rs"]
mod gate;
#[path = "console/journeys.rs"]
mod journeys;
#[path = "console/tokens.rs"]
mod tokens;

use harness::people::{Ask, Person};
use harness::{House, PASSWORD};
use roundtrip::web::respond;
use serde_json::{Value, json};

fn account(token: &str, name: &str, password: &str) -> Value {
    json!({ "token": token, "name": name, "password": password })
}

fn credentials(name: &str, password: &str) -> Value {
    json!({ "name": name, "password": password })
}

/// A session cookie that no script, no other site and no plain connection gets.
#[track_caller]
fn is_a_careful_cookie(cookie: &str) {
    let mut parts = cookie.split(';').map(str::trim);
    let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).expect("a cookie");
    assert_eq!((name, value.len()), ("__Host-rt_session", 64), "{cookie}");
    let attributes: Vec<&str> = parts.collect();
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(attributes.contains(&attribute), "{attribute} in {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
}

async fn leads_to(person: &Person, path: &str) -> String {
    let reply = person.get(path).await;
    assert_eq!(reply.status, 303, "{path}: {}", reply.text());
    reply.is_guarded();
    reply.header("location").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_lead_to_set_up_then_to_sign_in_and_only_then_to_themselves() {
    let house = House::open().await;
    let pages = ["/", "/account", "/journeys/4bf92f3577b34da6a3ce929d0e0e4736"];
    let stranger = house.stranger();
    for page in pages.iter().chain(&["/sign-in"]) {
        assert_eq!(leads_to(&stranger, page).await, "/setup", "{page}");
    }
    let first = stranger.get("/setup").await.is_page();
    assert_ne!(stranger.get("/setup").await.is_page(), first, "a nonce is used once");

    let owner = house.owner().await;
    for page in pages {
        assert_eq!(leads_to(&stranger, page).await, format!("/sign-in?next={page}"));
        owner.get(page).await.is_page();
    }
    // With an empty fragment: a browser would keep the token of a used link over the redirect.
    assert_eq!(leads_to(&stranger, "/setup").await, "/sign-in#");
    stranger.get("/sign-in").await.is_page();
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn set_up_works_once_and_only_with_the_token() {
    let house = House::open().await;
    let stranger = house.stranger();
    let suggested =
        stranger.get("/api/setup/password").await.json()["password"].as_str().expect("a password").to_owned();
    assert_eq!(suggested.split('-').count(), 4, "{suggested}");
    assert_ne!(stranger.get("/api/setup/password").await.json()["password"], suggested.as_str());

    let old = house.control.create_setup_token().await.expect("a token");
    let token = house.control.create_setup_token().await.expect("a token");
    for wrong in ["x", "00000000000000000000000000000000", old.as_str()] {
        stranger.post("/api/setup", &account(wrong, "owner", PASSWORD)).await.is_problem(403, "bad-token", None);
    }
    for (name, password, pointer) in [
        ("owner", "short", "/password"),
        ("owner", "aaaaaaaaaaaaaaaaaaaa", "/password"),
        (" owner", PASSWORD, "/name"),
        ("", PASSWORD, "/name"),
    ] {
        let reply = stranger.post("/api/setup", &account(&token, name, password)).await;
        reply.is_problem(422, "invalid-body", None);
        assert_eq!(reply.pointers(), [pointer]);
    }
    assert!(house.control.owner().await.expect("an answer").is_none());

    let made = stranger.post("/api/setup", &account(&token, "ada", PASSWORD)).await;
    assert_eq!((made.status, &made.json()["name"]), (201, &json!("ada")));
    is_a_careful_cookie(made.header("set-cookie"));
    assert_eq!(stranger.get("/api/session").await.json(), json!({ "name": "ada", "role": "owner" }));

    let again = house.stranger().post("/api/setup", &account(&token, "eve", PASSWORD)).await;
    again.is_problem(403, "bad-token", None);
    let fresh = house.control.create_setup_token().await.expect("a token");
    house.stranger().post("/api/setup", &account(&fresh, "eve", PASSWORD)).await.is_problem(409, "owner-exists", None);
    assert_eq!(house.control.owner().await.expect("an answer").map(|owner| owner.name), Some("ada".to_owned()));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_set_ups_at_once_make_one_owner() {
    let house = House::open().await;
    let token = house.control.create_setup_token().await.expect("a token");
    let mut rivals = tokio::task::JoinSet::new();
    for number in 0..6 {
        let (person, body) = (house.stranger(), account(&token, &format!("rival {number}"), PASSWORD));
        rivals.spawn(async move { person.post("/api/setup", &body).await.status });
    }
    let mut statuses = rivals.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201, "{statuses:?}");
    assert!(statuses[1..].iter().all(|status| matches!(status, 403 | 409)), "{statuses:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_name_and_a_wrong_password_are_told_alike_and_slow_down() {
    let house = House::open().await;
    house.owner().await;
    let wrong = house.stranger().post("/api/session", &credentials("owner", "not the password")).await;
    let unknown = house.stranger().post("/api/session", &credentials("nobody", PASSWORD)).await;
    let (wrong, unknown) =
        (wrong.is_problem(401, "sign-in-failed", None), unknown.is_problem(401, "sign-in-failed", None));
    assert_eq!(wrong, unknown);
    for name in ["owner", "nobody"] {
        let mut last = 401;
        // The first failure begins the wait; a test that is slower than the wait begins another.
        for _ in 0..50 {
            let reply = house.stranger().post("/api/session", &credentials(name, "not the password")).await;
            last = reply.status;
            if last == 429 {
                reply.is_problem(429, "too-many-attempts", None);
                assert!(reply.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
                break;
            }
        }
        assert_eq!(last, 429, "{name}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_makes_a_new_session_and_a_sign_out_ends_it_for_good() {
    let house = House::open().await;
    let owner = house.owner().await;
    let (before, thief) = (owner.cookies(), house.stranger());
    thief.take_cookies_of(&owner);
    let reply = owner.post("/api/session", &credentials("owner", PASSWORD)).await;
    assert_eq!((reply.status, &reply.json()["name"]), (200, &json!("owner")));
    is_a_careful_cookie(reply.header("set-cookie"));
    assert_ne!(owner.cookies(), before);
    assert_eq!(thief.get("/api/session").await.status, 401, "the session of before is over");

    thief.take_cookies_of(&owner);
    assert_eq!(thief.get("/api/session").await.status, 200);
    let out = owner.delete("/api/session").await;
    assert_eq!((out.status, owner.cookies().as_str()), (204, ""));
    assert!(out.header("clear-site-data").contains("cookies"));
    thief.get("/api/session").await.is_problem(401, "sign-in-first", None);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_change_together_or_not_at_all() {
    let house = House::open().await;
    let owner = house.owner().await;
    let before = owner.get("/api/settings").await.json();
    let settings = before["settings"].as_array().expect("settings");
    assert!(settings.iter().any(|setting| setting["key"] == "balancer.policy"), "{before}");
    for wrong in [
        json!({ "balancer.policy": "magic" }),
        json!({ "balancer.policy": "round_robin", "data.cache.ttl": -1 }),
        json!({ "balancer.policy": "round_robin", "data.cache.ttl": 3_601 }),
        json!({ "data.cache.ttl": 1.5 }),
        json!({ "data.cache.ttl": "1" }),
        json!({ "balancer.policy": "round_robin", "no.such.key": 1 }),
        json!([]),
        json!("x"),
    ] {
        let reply = owner.patch("/api/settings", &wrong).await;
        reply.is_problem(422, "bad-setting", None);
        assert_eq!(owner.get("/api/settings").await.json(), before, "{wrong}");
    }
    let both = json!({ "balancer.policy": "round_robin", "data.cache.ttl": 0 });
    let after = owner.patch("/api/settings", &both).await;
    assert_eq!((after.status, after.json()), (200, owner.get("/api/settings").await.json()));
    assert_eq!(owner.get("/api/stack").await.json()["policy"], "round_robin");
    assert!(house.stack.settings().snapshot().data.cache.ttl.is_zero());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_gives_staff_their_passwords() {
    let house = House::open().await;
    let owner = house.owner().await;
    let staff = owner.get("/api/staff").await.json();
    let nobody_has_one = staff["staff"].as_array().expect("staff").iter().all(|member| member["has_password"] == false);
    assert!(nobody_has_one, "{staff}");
    let path = "/api/staff/waiter/password";
    let visitor = house.visitor();
    assert_eq!(visitor.post("/api/v1/session", &credentials("waiter", PASSWORD)).await.status, 401);
    let short = owner.put(path, &json!({ "password": "short" })).await;
    short.is_problem(422, "invalid-body", None);
    assert_eq!(short.pointers(), ["/password"]);
    let good = json!({ "password": PASSWORD });
    owner.put("/api/staff/nobody/password", &good).await.is_problem(404, "no-such-person", None);
    assert_eq!(owner.put(path, &good).await.status, 204);
    let (chef, visitor) = (house.visitor(), house.visitor());
    assert_eq!(chef.post("/api/v1/session", &credentials("chef", PASSWORD)).await.status, 401);
    let manager = "/api/staff/manager/password";
    assert_eq!(owner.put(manager, &good).await.status, 204);
    let signed_in = visitor.post("/api/v1/session", &credentials("manager", PASSWORD)).await;
    assert_eq!(signed_in.json(), json!({ "name": "manager", "role": "manager" }));
    // A new password ends the sessions that the old one began.
    assert_eq!(owner.put(manager, &json!({ "password": "salt-pepper-oil-vinegar" })).await.status, 204);
    assert_eq!(visitor.get("/api/v1/session").await.json()["role"], "guest");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_body_is_said_and_too_much_is_not_read() {
    let house = House::open().await;
    let owner = house.owner().await;
    let post = |body: &str| owner.fair("POST", "/api/journeys").header("content-type", "application/json").body(body);
    for (body, status, kind) in [
        ("", 400, "bad-json"),
        ("{", 400, "bad-json"),
        ("[]", 422, "invalid-body"),
        ("{}", 422, "invalid-body"),
        (r#"{"request":"menu","as":"owner","connection":"x","caches":1,"count":51,"more":1}"#, 422, "invalid-body"),
    ] {
        owner.send(post(body)).await.is_problem(status, kind, None);
    }
    let deep = format!("{}{}", "[".repeat(20), "]".repeat(20));
    owner.send(post(&deep)).await.is_problem(400, "too-deep", None);
    let typed = owner.fair("POST", "/api/journeys").header("content-type", "text/plain").body("{}");
    owner.send(typed).await.is_problem(415, "not-json", None);
    let large = format!("\"{}\"", "x".repeat(1024 * 1024));
    owner.send(post(&large)).await.is_problem(413, "too-large", None);
    let put = owner.send(owner.fair("PUT", "/api/journeys").json(&json!({}))).await;
    put.is_problem(405, "method-not-allowed", None);
    assert_eq!(put.header("allow"), "GET, HEAD, POST");
    owner.get("/api/nothing").await.is_problem(404, "no-such-address", None);
    assert!(house.stack.recorder().recent(10).is_empty(), "the console's requests are no traffic");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_tries_many_sign_ins_must_wait_whatever_the_names() {
    let house = House::open().await;
    let stranger = house.stranger();
    let mut refused = None;
    for number in 0..1_000 {
        let reply = stranger.post("/api/session", &json!({ "name": format!("name-{number}") })).await;
        if reply.status == 429 {
            refused = Some((number, reply));
            break;
        }
        assert_eq!(reply.status, 422, "{}", reply.text());
    }
    let (tried, reply) = refused.expect("a refusal");
    assert!(tried >= 60, "{tried}");
    let problem = reply.is_problem(429, "too-many-attempts", None);
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("from this address")), "{problem}");
    assert_eq!(reply.header("retry-after"), "1");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_kept_for_ever_under_the_trees_hash_and_nowhere_else() {
    let house = House::open().await;
    let stranger = house.stranger();
    let hash = roundtrip::web::assets::TREE_HASH;
    let path = format!("/static/{hash}/styles/tokens.css");
    let file = stranger.get(&path).await;
    assert_eq!((file.status, file.header("cache-control")), (200, roundtrip::web::assets::IMMUTABLE));
    file.is_guarded();
    let packed = stranger.send(Ask::new("GET", &path).header("accept-encoding", "gzip, br")).await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, "br"));
    for gone in ["/static/00/styles/tokens.css".to_owned(), format!("/static/{hash}/../Cargo.toml")] {
        assert_eq!(stranger.get(&gone).await.status, 404, "{gone}");
    }
    assert_eq!(respond::icon().status(), stranger.get("/favicon.ico").await.status);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_is_given_a_weight_and_emptied_while_requests_go_on() {
    let house = House::open().await;
    let owner = house.owner().await;
    let changed = owner.patch("/api/upstreams/i1", &json!({ "weight": 5 })).await.json();
    assert_eq!((&changed["id"], &changed["weight"]), (&json!("i1"), &json!(5)));
    let drained = owner.patch("/api/upstreams/i1", &json!({ "draining": true })).await.json();
    assert_eq!((&drained["state"], &drained["draining"]), (&json!("draining"), &json!(true)));
    let events = owner.get("/api/upstreams/events").await.json();
    let newest = events["events"].as_array().and_then(|events| events.last()).expect("an event");
    assert_eq!((&newest["upstream"], &newest["to"]), (&json!("i1"), &json!("draining")));
    let stack = owner.get("/api/stack").await.json();
    assert_eq!((&stack["instances"][0]["pool"], &stack["pools"][0]["name"]), (&json!("bistro"), &json!("bistro")));
    for _ in 0..12 {
        assert_eq!(house.visitor().get("/api/v1/menu/1").await.status, 200);
    }
    let i1 = &owner.get("/api/stack").await.json()["instances"][0];
    assert_eq!((&i1["ewma_us"], &i1["in_flight"]), (&json!(null), &json!(0)), "nobody asked it");
    for (wrong, pointer) in
        [(json!({ "weight": -1 }), "/weight"), (json!({ "draining": 1 }), "/draining"), (json!({}), "/weight")]
    {
        let refused = owner.patch("/api/upstreams/i1", &wrong).await;
        refused.is_problem(422, "invalid-body", None);
        assert_eq!(refused.pointers(), [pointer]);
    }
    owner.patch("/api/upstreams/i9", &json!({ "weight": 1 })).await.is_problem(404, "no-such-upstream", None);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_edge_has_kept_is_counted_and_can_be_taken_out() {
    let house = House::open().await;
    let owner = house.owner().await;
    let ttl = json!({ "api.menu.shared_ttl": 3_600 });
    assert_eq!(owner.patch("/api/settings", &ttl).await.status, 200);
    let menu = format!("{}/api/v1/menu", house.stack.browser_url());
    let kept = |figures: serde_json::Value| figures["entries"].as_u64().expect("a count");
    for (purge, path, purged) in [
        (json!({ "url": menu }), "/api/v1/menu", 1),
        (json!({ "prefix": menu }), "/api/v1/menu/12", 1),
        (json!({ "all": true }), "/api/v1/menu", 1),
        (json!({ "url": format!("{menu}/nothing") }), "", 0),
    ] {
        if !path.is_empty() {
            for _ in 0..2 {
                assert_eq!(house.visitor().get(path).await.status, 200);
            }
        }
        let before = kept(owner.get("/api/cache").await.json());
        assert_eq!(owner.post("/api/cache/purge", &purge).await.json(), json!({ "purged": purged }), "{purge}");
        assert_eq!(kept(owner.get("/api/cache").await.json()), before - purged, "{purge}");
    }
    assert!(owner.get("/api/cache").await.json()["hits"].as_u64() >= Some(3));
    for wrong in [json!({ "url": "/api/v1/menu" }), json!({ "all": false }), json!({})] {
        owner.post("/api/cache/purge", &wrong).await.is_problem(422, "invalid-body", None);
    }
    house.stop().await;
}
