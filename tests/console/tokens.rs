//! API tokens: what scripts show instead of signing in.

use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::people::{Ask, Owner};
use crate::harness::reply::Reply;
use crate::harness::{House, PASSWORD};

async fn made(owner: &Owner, name: &str, scopes: &[&str]) -> Value {
    let made =
        owner.post("/api/tokens", &json!({ "name": name, "scopes": scopes, "days": 30, "password": PASSWORD })).await;
    assert_eq!((made.status, made.header("cache-control")), (201, "no-store"), "{}", made.text());
    made.json()
}

fn secret(made: &Value) -> String {
    made["token"].as_str().expect("a token").to_owned()
}

/// As a script sends it: no cookie, no origin, no header of a page.
async fn by(house: &House, token: &str, method: &str, path: &str, body: &Value) -> Reply {
    let ask = Ask::new(method, path).header("authorization", &format!("Bearer {token}"));
    house.stranger().send_bare(if method == "GET" { ask } else { ask.json(body) }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_shown_once_and_its_hash_alone_is_kept() {
    let house = House::open().await;
    let owner = house.owner().await;
    let made = made(&owner, "ci", &["read", "change"]).await;
    let secret = secret(&made);
    assert!(secret.starts_with("rtk_") && secret.len() == 47, "{}", secret.len());
    let listed = owner.get("/api/tokens").await;
    assert!(!listed.text().contains(&secret[4..]), "the list shows no secret");
    let token = &listed.json()["tokens"][0];
    assert_eq!((&token["name"], &token["scopes"]), (&json!("ci"), &json!(["read", "change"])));
    assert_eq!(token["last_used_at"], Value::Null);
    let database = Connection::open(house.folder().join("control.db")).expect("the database");
    let hash: Vec<u8> = database.query_row("SELECT secret_sha256 FROM token", [], |row| row.get(0)).expect("the hash");
    assert_eq!(hash, roundtrip::web::secret::sha256(secret.as_bytes()));
    assert_eq!(owner.get("/api/changes").await.json()["changes"][0]["kind"], "token");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_does_what_its_scopes_say_in_its_own_name() {
    let house = House::open().await;
    let owner = house.owner().await;
    let read = secret(&made(&owner, "reader", &["read"]).await);
    let change = secret(&made(&owner, "changer", &["change"]).await);
    let send = secret(&made(&owner, "sender", &["send"]).await);
    let ttl = json!({ "data.cache.ttl": 7 });
    let journey = json!({ "request": "menu", "as": "guest", "connection": "fresh", "caches": "use", "count": 1 });
    for (token, method, path, body, status) in [
        (&read, "GET", "/api/settings", &Value::Null, 200),
        (&read, "GET", "/api/changes", &Value::Null, 200),
        (&read, "PATCH", "/api/settings", &ttl, 403),
        (&read, "POST", "/api/restore", &json!({}), 403),
        (&read, "POST", "/api/journeys", &journey, 403),
        (&change, "PATCH", "/api/settings", &ttl, 200),
        (&change, "POST", "/api/restore", &json!({}), 200),
        (&change, "PATCH", "/api/upstreams/i1", &json!({ "weight": 2 }), 200),
        (&change, "GET", "/api/settings", &Value::Null, 403),
        (&change, "POST", "/api/journeys", &journey, 403),
        (&send, "POST", "/api/journeys", &journey, 200),
        (&send, "PATCH", "/api/settings", &ttl, 403),
    ] {
        let reply = by(&house, token, method, path, body).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        if status == 403 {
            reply.is_problem(403, "insufficient-scope", None);
        }
    }
    let changes = owner.get("/api/changes?limit=1").await.json();
    let (who, after) = (&changes["changes"][0]["who"], &changes["changes"][0]["after"]);
    assert_eq!((who, after), (&json!("token changer"), &json!({ "weight": 2 })));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_makes_tokens_sets_passwords_or_replaces_the_data() {
    let house = House::open().await;
    let owner = house.owner().await;
    let made = made(&owner, "everything", &["read", "change", "send"]).await;
    let (token, id) = (secret(&made), &made["id"]);
    let another = json!({ "name": "another", "scopes": ["read"], "days": 1 });
    for (method, path, body) in [
        ("GET", "/api/tokens", &Value::Null),
        ("POST", "/api/tokens", &another),
        ("DELETE", &*format!("/api/tokens/{id}"), &Value::Null),
        ("PUT", "/api/staff/waiter/password", &json!({ "password": PASSWORD })),
        ("GET", "/api/staff", &Value::Null),
        ("POST", "/api/backups", &json!({})),
        ("POST", "/api/backups/verify", &json!({ "name": "x" })),
        ("POST", "/api/backups/restore", &json!({ "name": "x" })),
        ("POST", "/api/configuration/reload", &json!({})),
    ] {
        by(&house, &token, method, path, body).await.is_problem(403, "insufficient-scope", None);
    }
    for path in ["/api/control/settings", "/api/control/restore", "/api/control/owner", "/api/control/tokens/create"] {
        by(&house, &token, "POST", path, &json!({})).await.is_problem(401, "commands-only", None);
    }
    // It is no session: pages are for people.
    assert_eq!(by(&house, &token, "GET", "/", &Value::Null).await.status, 303);
    assert_eq!(owner.get("/api/tokens").await.json()["tokens"].as_array().map(Vec::len), Some(1));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_refused_with_a_cookie_when_it_is_wrong_and_once_it_is_revoked() {
    let house = House::open().await;
    let owner = house.owner().await;
    let made = made(&owner, "ci", &["read"]).await;
    let token = secret(&made);
    assert_eq!(by(&house, &token, "GET", "/api/stack", &Value::Null).await.status, 200);
    for cookie in [owner.cookies(), "a=1".to_owned()] {
        let ask = Ask::new("GET", "/api/stack").header("authorization", &format!("Bearer {token}"));
        house.stranger().send(ask.header("cookie", &cookie)).await.is_problem(400, "token-with-cookie", None);
    }
    let other = format!("rtk_{}", "A".repeat(43));
    for wrong in ["", "x", "rtk_", &other, &token[..46], &format!("{token}A")] {
        let reply = by(&house, wrong, "GET", "/api/stack", &Value::Null).await;
        reply.is_problem(401, "bad-token", None);
        assert_eq!(reply.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }
    let path = format!("/api/tokens/{}", made["id"]);
    assert_eq!(owner.delete(&path).await.status, 204);
    by(&house, &token, "GET", "/api/stack", &Value::Null).await.is_problem(401, "bad-token", None);
    owner.delete(&path).await.is_problem(404, "no-such-token", None);
    owner.delete("/api/tokens/x").await.is_problem(404, "no-such-token", None);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_tokens_are_counted_like_sign_ins_and_right_ones_are_not() {
    let house = House::open().await;
    let owner = house.owner().await;
    let token = secret(&made(&owner, "ci", &["read"]).await);
    let mut refused = None;
    for number in 0..1_000 {
        let reply = by(&house, "rtk_x", "GET", "/api/stack", &Value::Null).await;
        if reply.status == 429 {
            refused = Some(number);
            break;
        }
        reply.is_problem(401, "bad-token", None);
    }
    assert!(refused.is_some_and(|tried| tried >= 60), "{refused:?}");
    assert_eq!(by(&house, &token, "GET", "/api/stack", &Value::Null).await.status, 200);
    let credentials = json!({ "name": "owner", "password": PASSWORD });
    assert_eq!(house.stranger().post("/api/session", &credentials).await.status, 200, "the owner can still sign in");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_made_by_whoever_knows_the_owners_password_and_not_by_whoever_finds_the_page_open() {
    let house = House::open().await;
    let owner = house.owner().await;
    let without = json!({ "name": "ci", "scopes": ["read"], "days": 1 });
    let reply = owner.post("/api/tokens", &without).await;
    reply.is_problem(422, "invalid-body", None);
    assert_eq!(reply.pointers(), ["/password"]);
    let wrong = json!({ "name": "ci", "scopes": ["read"], "days": 1, "password": "not the password" });
    let reply = owner.post("/api/tokens", &wrong).await;
    reply.is_problem(422, "wrong-password", None);
    assert_eq!(reply.pointers(), ["/password"]);
    assert_eq!(owner.get("/api/tokens").await.json(), json!({ "tokens": [] }));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_listen_leave_places_to_the_owner() {
    let house = House::with_one_instance().await;
    let owner = house.owner().await;
    let token = secret(&made(&owner, "listener", &["read"]).await);
    let authority = owner.origin().trim_start_matches("https://").to_owned();
    let listen = async |proof: &str| {
        let mut stream = house.sealed(house.console.address()).await;
        let head = format!("GET /api/events HTTP/1.1\r\nHost: {authority}\r\n{proof}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("is sent");
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.expect("a status");
        (String::from_utf8_lossy(&status[9..]).into_owned(), stream)
    };
    let mut listening = Vec::new();
    let refused = loop {
        let (status, stream) = listen(&format!("Authorization: Bearer {token}")).await;
        listening.push(stream);
        if status != "200" || listening.len() > 64 {
            break status;
        }
    };
    assert_eq!((refused.as_str(), listening.len()), ("503", 17));
    assert_eq!(listen(&format!("Cookie: {}", owner.cookies())).await.0, "200");
    drop(listening);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_token_can_be_made_of_is_refused() {
    let house = House::open().await;
    let owner = house.owner().await;
    for (body, pointers) in [
        (json!({ "name": "", "scopes": ["read"], "days": 1 }), vec!["/name"]),
        (json!({ "name": " x", "scopes": ["read"], "days": 1 }), vec!["/name"]),
        (json!({ "name": "x", "scopes": [], "days": 1 }), vec!["/scopes"]),
        (json!({ "name": "x", "scopes": ["read", "read"], "days": 1 }), vec!["/scopes"]),
        (json!({ "name": "x", "scopes": ["all"], "days": 1 }), vec!["/scopes"]),
        (json!({ "name": "x", "scopes": ["read"], "days": 0 }), vec!["/days"]),
        (json!({ "name": "x", "scopes": ["read"], "days": 91 }), vec!["/days"]),
        (json!({}), vec!["/name", "/scopes"]),
    ] {
        let mut body = body;
        body["password"] = json!(PASSWORD);
        let reply = owner.post("/api/tokens", &body).await;
        reply.is_problem(422, "invalid-body", None);
        assert_eq!(reply.pointers(), pointers, "{body}");
    }
    made(&owner, "ci", &["read"]).await;
    let again = json!({ "name": "ci", "scopes": ["read"], "password": PASSWORD });
    owner.post("/api/tokens", &again).await.is_problem(409, "name-taken", None);
    for number in 1..64 {
        made(&owner, &format!("number {number}"), &["read"]).await;
    }
    let more = json!({ "name": "one more", "scopes": ["read"], "password": PASSWORD });
    owner.post("/api/tokens", &more).await.is_problem(409, "too-many-tokens", None);
    house.stop().await;
}
