//! Requests sent from the console, and their journeys.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::people::{Ask, Owner};
use crate::harness::sealed::Sealed;
use crate::harness::{House, PASSWORD, PATIENCE};

fn sending(request: &str, role: &str) -> Value {
    json!({ "request": request, "as": role, "connection": "fresh", "caches": "use", "count": 1 })
}

async fn send(owner: &Owner, body: &Value) -> Value {
    let reply = owner.post("/api/journeys", body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_ends_as_the_role_it_is_sent_as_may() {
    let house = House::open().await;
    let owner = house.owner().await;
    // guest, waiter, chef, manager
    let table = [
        ("menu", [200, 200, 200, 200]),
        ("dish", [200, 200, 200, 200]),
        ("order", [201, 201, 403, 201]),
        ("other-order", [404, 200, 200, 200]),
        ("no-dish", [404, 404, 404, 404]),
        ("bad-body", [422, 422, 403, 422]),
    ];
    let presets = owner.get("/api/presets").await.json();
    let ids = |of: &str| -> Vec<String> {
        let list = presets[of].as_array().into_iter().flatten();
        list.filter_map(|one| one["id"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(ids("requests"), table.map(|(id, _)| id));
    let roles = ids("roles");
    assert_eq!(roles, ["guest", "waiter", "chef", "manager"]);
    for (request, statuses) in table {
        for (role, status) in roles.iter().zip(statuses) {
            let answer = send(&owner, &sending(request, role)).await;
            let journey = &answer["journey"];
            assert_eq!(journey["status"], status, "{request} as {role}");
            assert_eq!((&journey["as"], &journey["complete"]), (&json!(role), &json!(true)));
            assert_eq!(answer["journeys"][0]["trace_id"], journey["trace_id"]);
        }
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_are_sent_one_after_another_and_the_middle_one_is_shown() {
    let house = House::open().await;
    let owner = house.owner().await;
    for (connection, caches) in [("fresh", "use"), ("kept", "bypass")] {
        let body = json!({ "request": "menu", "as": "guest", "connection": connection, "caches": caches, "count": 5 });
        let answer = send(&owner, &body).await;
        let journeys = answer["journeys"].as_array().expect("journeys");
        assert_eq!(journeys.len(), 5);
        let mut times: Vec<f64> = journeys.iter().filter_map(|one| one["total_us"].as_f64()).collect();
        let sent: Vec<&str> = journeys.iter().filter_map(|one| one["sent_at"].as_str()).collect();
        assert!(sent.is_sorted(), "{sent:?}");
        times.sort_by(f64::total_cmp);
        assert_eq!(answer["journey"]["total_us"].as_f64(), Some(times[2]));
        assert_eq!(
            (&answer["journey"]["connection"], &answer["journey"]["caches"]),
            (&json!(connection), &json!(caches))
        );
        assert!(journeys.iter().all(|one| one["connection"] == connection), "{journeys:?}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journey_is_found_again_until_it_is_dropped() {
    let house = House::open().await;
    let owner = house.owner().await;
    let journey = send(&owner, &sending("menu", "guest")).await["journey"].clone();
    let path = format!("/api/journeys/{}", journey["trace_id"].as_str().expect("a trace id"));
    assert_eq!(owner.get(&path).await.json(), journey);
    let history = owner.get("/api/journeys?limit=50").await.json();
    assert_eq!(history["journeys"][0]["trace_id"], journey["trace_id"]);
    for gone in ["4bf92f3577b34da6a3ce929d0e0e4736", "x", "00000000000000000000000000000000"] {
        owner.get(&format!("/api/journeys/{gone}")).await.is_problem(404, "journey-gone", None);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_as_long_as_was_asked_for() {
    let house = House::open().await;
    let owner = house.owner().await;
    send(&owner, &json!({ "request": "menu", "as": "guest", "connection": "kept", "caches": "use", "count": 5 })).await;
    for (query, length) in [("?limit=2", 2), ("", 5), ("?limit=100", 5)] {
        let list = owner.get(&format!("/api/journeys{query}")).await.json();
        assert_eq!(list["journeys"].as_array().map(Vec::len), Some(length), "{query}");
    }
    for wrong in ["journeys?limit=x", "journeys?limit=101", "journeys?a=1", "happenings?limit=-1", "changes?before=0"] {
        owner.get(&format!("/api/{wrong}")).await.is_problem(400, "bad-query", None);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stack_is_told_as_it_is() {
    let house = House::open().await;
    house.kitchen_rests();
    let owner = house.owner().await;
    send(&owner, &sending("order", "guest")).await;
    let stack = owner.get("/api/stack").await.json();
    assert_eq!(
        (&stack["orders"], &stack["queue"]["waiting"], &stack["menu_items"]),
        (&1.into(), &1.into(), &40.into())
    );
    assert_eq!(stack["app_url"], house.stack.browser_url());
    let instances = stack["instances"].as_array().expect("instances");
    assert_eq!(instances.len(), 3);
    assert!(instances.iter().all(|instance| instance["state"] == "healthy"), "{stack}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_event_stream_tells_the_stack_and_every_journey_and_ends_with_the_console() {
    let house = House::open().await;
    let owner = house.owner().await;
    let mut stream = house.sealed(house.console.address()).await;
    let authority = owner.origin().trim_start_matches("https://").to_owned();
    let cookies = owner.cookies();
    let head = format!("GET /api/events HTTP/1.1\r\nHost: {authority}\r\nCookie: {cookies}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("is sent");
    let mut text = String::new();
    let mut bytes = [0; 8192];
    let mut read_until = async |what: &str| {
        while !text.contains(what) {
            let reading = tokio::time::timeout(PATIENCE, stream.read(&mut bytes)).await;
            let count = reading.unwrap_or_else(|_| panic!("no {what} in {text}")).expect("is read");
            assert_ne!(count, 0, "no {what} in {text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    read_until("event: stack\ndata: {").await;
    let journey = send(&owner, &sending("menu", "guest")).await["journey"].clone();
    read_until("event: journey\ndata: {").await;
    read_until(journey["trace_id"].as_str().expect("a trace id")).await;
    // What guests do is told, too, when it is worth keeping.
    assert_eq!(house.visitor().send(Ask::new("GET", "/api/v1/menu/9999")).await.status, 404);
    read_until("\"path\":\"/api/v1/menu/9999\"").await;
    assert!(text.to_ascii_lowercase().contains("content-type: text/event-stream"), "{text}");
    // An open page does not hold up a stop.
    house.stop().await;
    let rest = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
    assert!(rest.is_ok(), "the stream goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_stream_ends_with_its_session() {
    let house = House::open().await;
    let owner = house.owner().await;
    let authority = owner.origin().trim_start_matches("https://").to_owned();
    let listening = async || {
        let mut stream = house.sealed(house.console.address()).await;
        let head = format!("GET /api/events HTTP/1.1\r\nHost: {authority}\r\nCookie: {}\r\n\r\n", owner.cookies());
        stream.write_all(head.as_bytes()).await.expect("is sent");
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.expect("is read");
        assert_eq!(&start, b"HTTP/1.1 200");
        stream
    };
    let ended = async |mut stream: Sealed| {
        let mut text = String::new();
        let mut bytes = [0; 8192];
        let reading = async {
            // The last, empty chunk: the connection itself may stay.
            while !text.ends_with("\r\n0\r\n\r\n") {
                match stream.read(&mut bytes).await.expect("is read") {
                    0 => return,
                    count => text.push_str(&String::from_utf8_lossy(&bytes[..count])),
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("the stream goes on");
    };
    // Reset from a terminal: everybody is signed out.
    let stream = listening().await;
    let password_phc = house.hasher.hash(PASSWORD).await.expect("a hash");
    let again = roundtrip::domain::session::Owner { name: "owner".to_owned(), password_phc };
    house.control.reset_owner(again, "a command").await.expect("is reset");
    ended(stream).await;
    let credentials = json!({ "name": "owner", "password": PASSWORD });
    assert_eq!(owner.post("/api/session", &credentials).await.status, 200);
    let stream = listening().await;
    assert_eq!(owner.send(owner.fair("DELETE", "/api/session")).await.status, 204);
    ended(stream).await;
    house.stop().await;
}
