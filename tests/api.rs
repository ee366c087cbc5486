//! The application through its edge, over TLS, as browsers and programs meet it.

mod harness;

#[path = "api/bad_input.rs"]
mod bad_input;
#[path = "api/books.rs"]
mod books;
#[path = "api/front.rs"]
mod front;
#[path = "api/life.rs"]
mod life;
#[path = "api/lists.rs"]
mod lists;
#[path = "api/people.rs"]
mod people;

use harness::people::Ask;
use harness::{House, order_of};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_menu_has_forty_dishes_and_each_is_found_by_its_number() {
    let house = House::open().await;
    let visitor = house.visitor();
    let menu = visitor.get("/api/v1/menu").await;
    assert_eq!((menu.status, menu.header("content-type")), (200, "application/json"));
    let menu = menu.json();
    let items = menu["items"].as_array().expect("dishes");
    assert_eq!(items.len(), 40);
    for item in items {
        assert_eq!(visitor.get(&format!("/api/v1/menu/{}", item["id"])).await.json(), *item);
        assert!(item["price_cents"].as_i64().is_some_and(|price| price > 0) && item["currency"] == "EUR", "{item}");
        assert_eq!(item["available"], true, "{item}");
    }
    assert_eq!(visitor.cookies(), "", "who only reads gets no session");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_orders_and_finds_the_order_again() {
    let house = House::open().await;
    house.kitchen_rests();
    let guest = house.visitor();
    let body = json!({ "table": 7, "lines": [
        { "menu_item_id": 12, "quantity": 2 }, { "menu_item_id": 3, "quantity": 1 }
    ] });
    let placed = guest.post("/api/v1/orders", &body).await;
    assert_eq!(placed.status, 201, "{}", placed.text());
    let order = placed.json();
    assert_eq!(placed.header("location"), format!("/api/v1/orders/{}", order["id"].as_str().expect("an id")));
    assert!(order["id"].as_str().is_some_and(|id| id.starts_with("ord_")));
    assert_eq!(
        (&order["table"], &order["state"], &order["ticket"]["state"]),
        (&json!(7), &json!("placed"), &json!("waiting"))
    );
    let lines = order["lines"].as_array().expect("lines");
    let cents = |line: &Value, member: &str| line[member].as_i64().expect("cents");
    let mut total = 0;
    for (line, quantity) in lines.iter().zip([2, 1]) {
        let dish = guest.get(&format!("/api/v1/menu/{}", line["menu_item_id"])).await.json();
        assert_eq!((&line["name"], cents(line, "unit_price_cents")), (&dish["name"], cents(&dish, "price_cents")));
        assert_eq!(cents(line, "line_total_cents"), quantity * cents(line, "unit_price_cents"));
        total += cents(line, "line_total_cents");
    }
    assert_eq!(cents(&order, "total_cents"), total);
    let cookie = placed.header("set-cookie");
    for attribute in ["__Host-rt_bistro=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(attribute), "{attribute} in {cookie}");
    }
    assert_eq!(guest.get(placed.header("location")).await.json(), order);
    assert_eq!(guest.get("/api/v1/orders").await.json(), json!({ "orders": [order], "next": null }));
    // The second one is for the same person, who needs no new cookie.
    let again = guest.post("/api/v1/orders", &order_of(12, 1)).await;
    assert_eq!((again.status, again.all("set-cookie").len()), (201, 0));
    assert_eq!(guest.get("/api/v1/orders").await.json()["orders"][0]["id"], again.json()["id"], "newest first");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_is_the_same_order_and_another_order_needs_another_key() {
    let house = House::open().await;
    house.kitchen_rests();
    let guest = house.visitor();
    assert_eq!(guest.post("/api/v1/orders", &order_of(1, 1)).await.status, 201);
    let ask = |key: &str, body: &Value| guest.fair("POST", "/api/v1/orders").json(body).header("idempotency-key", key);
    let first = guest.send(ask("breakfast", &order_of(12, 1))).await;
    let books = house.books();
    // However it is written.
    let spaced = r#" {"lines": [{"quantity": 1, "menu_item_id": 12}], "table": 4} "#;
    let replays = [ask("breakfast", &order_of(12, 1)), ask("breakfast", &order_of(12, 1)).body(spaced)];
    for replay in replays {
        let replay = guest.send(replay).await;
        assert_eq!((replay.status, replay.json()), (201, first.json()));
        assert_eq!(replay.header("location"), first.header("location"));
    }
    let conflict = guest.send(ask("breakfast", &order_of(12, 2))).await;
    conflict.is_problem(422, "idempotency-key-reused", Some("service"));
    for bad in [String::new(), "a b".to_owned(), "x".repeat(129)] {
        guest.send(ask(&bad, &order_of(12, 1))).await.is_problem(400, "bad-idempotency-key", Some("api"));
    }
    assert_eq!(house.books(), books);
    // Another person's key is another key; so is a new key.
    assert_eq!(guest.send(ask("lunch", &order_of(12, 1))).await.status, 201);
    let waiter = house.staff("waiter").await;
    let other = waiter.fair("POST", "/api/v1/orders").json(&order_of(12, 1)).header("idempotency-key", "breakfast");
    let other = waiter.send(other).await;
    assert_ne!(other.json()["id"], first.json()["id"]);
    assert_eq!(house.books().orders, books.orders + 2);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_whose_first_answer_was_lost_finds_the_order_by_its_key() {
    let house = House::open().await;
    house.kitchen_rests();
    let first_order = |quantity: i64| {
        let person = house.visitor();
        let ask = person.fair("POST", "/api/v1/orders").json(&order_of(12, quantity)).header("idempotency-key", "lost");
        (person, ask)
    };
    let (guest, ask) = first_order(1);
    let placed = guest.send(ask).await;
    // The cookie was in the lost answer: the repeat comes from nobody.
    let (stranger, ask) = first_order(1);
    let again = stranger.send(ask).await;
    assert_eq!((again.status, again.json()), (201, placed.json()));
    assert_eq!(again.all("set-cookie").len(), 0, "whoever guesses a key gets nobody's session");
    let (other, ask) = first_order(2);
    assert_ne!(other.send(ask).await.json()["id"], placed.json()["id"], "another order, another guest");
    assert_eq!(house.books().orders, 2);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_sent_many_times_at_once_is_one_order() {
    let house = House::open().await;
    let guest = house.visitor();
    assert_eq!(guest.post("/api/v1/orders", &order_of(1, 1)).await.status, 201);
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let person = house.visitor();
        person.take_cookies_of(&guest);
        senders.spawn(async move {
            let ask = person.fair("POST", "/api/v1/orders").json(&order_of(12, 1)).header("idempotency-key", "one");
            let reply = person.send(ask).await;
            (reply.status, reply.header("location").to_owned())
        });
    }
    let answers = senders.join_all().await;
    assert!(answers.iter().all(|answer| answer.0 == 201 && *answer == answers[0]), "{answers:?}");
    assert_eq!(house.books().orders, 2);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_answers_get_answers_head_without_a_body() {
    let house = House::open().await;
    let waiter = house.staff("waiter").await;
    let manager = house.staff("manager").await;
    let order = waiter.post("/api/v1/orders", &order_of(12, 1)).await;
    let style = format!("/static/{}/styles/tokens.css", roundtrip::web::assets::TREE_HASH);
    for path in [
        "/",
        "/api/v1/menu",
        "/api/v1/menu/12",
        "/api/v1/orders",
        order.header("location"),
        "/api/v1/ledger",
        "/api/v1/session",
        "/api/openapi.json",
        "/healthz",
        style.as_str(),
    ] {
        let get = manager.get(path).await;
        let head = manager.send(Ask::new("HEAD", path)).await;
        assert!(get.status < 300, "{path}: {}", get.text());
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        if get.status == 200 && path != "/" {
            assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        }
        head.is_guarded();
    }
    let lost = manager.send(Ask::new("HEAD", "/api/v1/menu/9999")).await;
    assert_eq!((lost.status, lost.body.len()), (404, 0));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openapi_document_is_3_1_and_lists_every_address_with_its_methods() {
    let house = House::open().await;
    let visitor = house.visitor();
    let document = visitor.get("/api/openapi.json").await.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{document}");
    let paths = document["paths"].as_object().expect("paths");
    let table = include_str!("../src/api/routes.rs");
    let routes = table.split("resource(\"/api/v1").skip(1).filter_map(|rest| {
        let mut parts = rest.split('"');
        Some((format!("/api/v1{}", parts.next()?), parts.nth(1)?.to_owned()))
    });
    let routes: Vec<(String, String)> = routes.collect();
    assert_eq!(routes.len(), paths.len(), "{routes:?}");
    for (path, allowed) in routes {
        let methods = paths.get(&path).and_then(Value::as_object).unwrap_or_else(|| panic!("{path} is not listed"));
        let mut listed: Vec<String> = methods.keys().map(|method| method.to_ascii_uppercase()).collect();
        let mut allowed: Vec<&str> = allowed.split(", ").filter(|method| *method != "HEAD").collect();
        listed.sort();
        allowed.sort_unstable();
        assert_eq!(listed, allowed, "{path}");
    }
    // What it says is what is.
    let schema = &document["components"]["schemas"]["OrderBody"]["properties"];
    assert_eq!((&schema["table"]["minimum"], &schema["table"]["maximum"]), (&json!(1), &json!(20)));
    house.stop().await;
}
