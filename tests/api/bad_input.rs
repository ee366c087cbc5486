//! Bad input: each a clear problem document with the right status, and nothing changed.

use serde_json::{Value, json};

use crate::harness::people::Ask;
use crate::harness::{House, RARE_DISH, RARE_PORTIONS, order_of};

const ORDERS: &str = "/api/v1/orders";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_order_is_refused_field_by_field() {
    let house = House::open().await;
    let guest = house.visitor();
    let books = house.books();
    let ask = |body: &str| guest.fair("POST", ORDERS).header("content-type", "application/json").body(body);
    let lines = |lines: Value| json!({ "table": 4, "lines": lines }).to_string();
    let line = |id: Value, quantity: Value| lines(json!([{ "menu_item_id": id, "quantity": quantity }]));
    for no_json in ["", "{", "{\"table\":4,}", "table=4", "\u{feff}{}", "{\"table\":4} {}", "NaN"] {
        guest.send(ask(no_json)).await.is_problem(400, "bad-json", Some("api"));
    }
    let latin1 =
        guest.fair("POST", ORDERS).header("content-type", "application/json").body(b"{\"a\":\"\xe9\"}".to_vec());
    guest.send(latin1).await.is_problem(400, "bad-json", Some("api"));
    for (body, pointers) in [
        ("[]".to_owned(), vec![""]),
        ("null".to_owned(), vec![""]),
        ("\"order\"".to_owned(), vec![""]),
        ("{}".to_owned(), vec!["/table", "/lines"]),
        (r#"{"table":4,"lines":[],"tip":1}"#.to_owned(), vec!["/lines", "/tip"]),
        (r#"{"table":"4","lines":{}}"#.to_owned(), vec!["/table", "/lines"]),
        (r#"{"table":0,"lines":[{"menu_item_id":12,"quantity":1}]}"#.to_owned(), vec!["/table"]),
        (r#"{"table":21,"lines":[{"menu_item_id":12,"quantity":1}]}"#.to_owned(), vec!["/table"]),
        (r#"{"table":-1,"lines":[7]}"#.to_owned(), vec!["/table", "/lines/0"]),
        (lines(json!([{ "menu_item_id": 12, "quantity": 1, "price": 0 }])), vec!["/lines/0/price"]),
        (lines(json!([{ "menu_item_id": 12 }])), vec!["/lines/0/quantity"]),
        (line(json!("soup"), json!(-2)), vec!["/lines/0/menu_item_id", "/lines/0/quantity"]),
        (line(json!(12), json!(0)), vec!["/lines/0/quantity"]),
        (line(json!(12), json!(51)), vec!["/lines/0/quantity"]),
        (line(json!(12), json!(1.5)), vec!["/lines/0/quantity"]),
        (line(json!(12), json!(true)), vec!["/lines/0/quantity"]),
        (line(json!(-12), json!(1)), vec!["/lines/0/menu_item_id"]),
        (line(json!(0), json!(1)), vec!["/lines/0/menu_item_id"]),
        (line(json!(1e30), json!(1)), vec!["/lines/0/menu_item_id"]),
        (lines(json!(vec![json!({ "menu_item_id": 12, "quantity": 1 }); 41])), vec!["/lines"]),
    ] {
        let reply = guest.send(ask(&body)).await;
        reply.is_problem(422, "invalid-body", Some("api"));
        assert_eq!(reply.pointers(), pointers, "{body}");
    }
    assert_eq!(house.books(), books);
    assert_eq!(guest.cookies(), "", "who orders nothing gets no session");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_too_deep_or_of_another_kind_is_not_read() {
    let house = House::open().await;
    let guest = house.visitor();
    let books = house.books();
    let ask = || guest.fair("POST", ORDERS).header("content-type", "application/json");
    let padded = |bytes: usize| format!("{}{}", order_of(12, 1), " ".repeat(bytes));
    guest.send(ask().body(padded(64 * 1024))).await.is_problem(413, "too-large", Some("api"));
    guest.send(ask().body(padded(256 * 1024))).await.is_problem(413, "body-too-large", Some("http"));
    for depth in [9, 100, 20_000] {
        let reply = guest.send(ask().body(format!("{}{}", "[".repeat(depth), "]".repeat(depth)))).await;
        // The parser has a bound of its own.
        reply.is_problem(400, if depth > 100 { "bad-json" } else { "too-deep" }, Some("api"));
    }
    for media_type in
        ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data", ""]
    {
        let ask = guest.fair("POST", ORDERS).header("content-type", media_type).body(order_of(12, 1).to_string());
        guest.send(ask).await.is_problem(415, "not-json", Some("api"));
    }
    let untyped = guest.fair("POST", ORDERS).body(order_of(12, 1).to_string());
    guest.send(untyped).await.is_problem(415, "not-json", Some("api"));
    assert_eq!(house.books(), books);
    let target = format!("/api/v1/menu?{}", "x".repeat(9_000));
    guest.get(&target).await.is_problem(414, "target-too-long", Some("http"));
    let wide = Ask::new("GET", "/api/v1/menu").header("x-wide", &"x".repeat(17_000));
    guest.send(wide).await.is_problem(431, "head-too-large", Some("http"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_names_nothing_is_not_found() {
    let house = House::open().await;
    let guest = house.visitor();
    for id in ["9999", "0", "-1", "1e3", "soup", "12x", "99999999999999999999", "1%2F2", "%00", "1.0"] {
        guest.get(&format!("/api/v1/menu/{id}")).await.is_problem(404, "not-found", Some("service"));
    }
    for id in ["ord_", "ord_x", "1", "ord_00000000000000000000000000", "%27%20OR%201=1"] {
        guest.get(&format!("{ORDERS}/{id}")).await.is_problem(404, "not-found", Some("service"));
    }
    for path in ["/api/v1/nothing", "/api/v1", "/api/v1/menu/12/x", "/admin", "/../etc/passwd"] {
        guest.get(path).await.is_problem(404, "no-such-address", Some("api"));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_dish_spoils_the_whole_order() {
    let house = House::open().await;
    let guest = house.visitor();
    let books = house.books();
    let body = json!({ "table": 4, "lines": [
        { "menu_item_id": 12, "quantity": 1 }, { "menu_item_id": 9999, "quantity": 1 }
    ] });
    let reply = guest.post(ORDERS, &body).await;
    reply.is_problem(422, "unknown-dish", Some("service"));
    assert_eq!(reply.pointers(), ["/lines/1/menu_item_id"]);
    assert_eq!(house.books(), books);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_is_sold_than_there_is_whoever_asks_at_once() {
    let house = House::open().await;
    let guest = house.visitor();
    let dish = format!("/api/v1/menu/{RARE_DISH}");
    assert_eq!(guest.get(&dish).await.json()["available"], true);
    let books = house.books();
    let reply = guest.post(ORDERS, &order_of(RARE_DISH, RARE_PORTIONS + 1)).await;
    reply.is_problem(409, "out-of-stock", Some("service"));
    assert_eq!(reply.pointers(), ["/lines/0/quantity"]);
    // Nor in two lines that would do one by one.
    let halves = json!({ "table": 4, "lines": [
        { "menu_item_id": RARE_DISH, "quantity": RARE_PORTIONS / 2 },
        { "menu_item_id": RARE_DISH, "quantity": RARE_PORTIONS / 2 + 1 }
    ] });
    let reply = guest.post(ORDERS, &halves).await;
    reply.is_problem(409, "out-of-stock", Some("service"));
    assert_eq!(reply.pointers(), ["/lines/1/quantity"]);
    assert_eq!(house.books(), books);

    let mut guests = tokio::task::JoinSet::new();
    for _ in 0..RARE_PORTIONS + 10 {
        let guest = house.visitor();
        guests.spawn(async move { guest.post(ORDERS, &order_of(RARE_DISH, 1)).await.status });
    }
    let mut statuses = guests.join_all().await;
    statuses.sort_unstable();
    let (sold, refused) = statuses.split_at(RARE_PORTIONS as usize);
    assert!(sold.iter().all(|status| *status == 201) && refused.iter().all(|status| *status == 409), "{statuses:?}");
    assert_eq!(house.books().orders, RARE_PORTIONS);
    // No cache of any instance says otherwise; the edge's may for as long as the menu allows it.
    house.edge_keeps_nothing();
    for _ in 0..6 {
        assert_eq!(house.visitor().get(&dish).await.json()["available"], false);
        let menu = house.visitor().get("/api/v1/menu").await.json();
        let rare = menu["items"].as_array().into_iter().flatten().find(|item| item["id"] == RARE_DISH);
        assert_eq!(rare.map(|item| &item["available"]), Some(&json!(false)));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_method_is_told_the_right_ones() {
    let house = House::open().await;
    let guest = house.visitor();
    let books = house.books();
    for (path, allowed) in [
        ("/", "GET, HEAD"),
        ("/api/v1/menu", "GET, HEAD"),
        ("/api/v1/menu/12", "GET, HEAD"),
        (ORDERS, "GET, HEAD, POST"),
        ("/api/v1/orders/ord_x", "GET, HEAD, PUT"),
        ("/api/v1/orders/ord_x/events", "GET, HEAD"),
        ("/api/v1/orders/ord_x/pay", "POST"),
        ("/api/v1/ledger", "GET, HEAD"),
        ("/api/v1/ledger/days", "GET, HEAD, POST"),
        ("/api/v1/session", "GET, HEAD, POST, DELETE"),
        ("/api/openapi.json", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
    ] {
        for method in ["PUT", "PATCH", "OPTIONS", "BREW", "DELETE", "POST"] {
            if allowed.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let reply = guest.send(guest.fair(method, path).json(&order_of(12, 1))).await;
            reply.is_problem(405, "method-not-allowed", Some("api"));
            assert_eq!(reply.header("allow"), allowed, "{method} {path}");
        }
        let reply = guest.send(Ask::new("TRACE", path)).await;
        reply.is_problem(405, "method-not-allowed", Some("http"));
        assert!(!reply.header("allow").is_empty());
    }
    assert_eq!(house.books(), books);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_host_is_misdirected() {
    let house = House::open().await;
    let guest = house.visitor();
    let books = house.books();
    let port = house.stack.app().port();
    let console = house.console.address().port();
    for host in [
        "evil.example",
        "bistro.localhost",
        "bistro.localhost:1",
        &format!("roundtrip.localhost:{console}"),
        &format!("evil:{port}"),
    ] {
        let ask = guest.fair("POST", ORDERS).json(&order_of(12, 1)).header("host", host);
        guest.send(ask).await.is_problem(421, "misdirected", Some("http"));
    }
    assert_eq!(house.books(), books);
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("bistro.roundtrip.test:{port}")] {
        assert_eq!(guest.send(Ask::new("GET", "/api/v1/menu").header("host", &host)).await.status, 200, "{host}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_acts_only_from_its_own_page() {
    let house = House::open().await;
    let waiter = house.staff("waiter").await;
    let books = house.books();
    let ask = |method: &str| {
        Ask::new(method, if method == "POST" { ORDERS } else { "/api/v1/session" }).json(&order_of(12, 1))
    };
    let own = waiter.origin().to_owned();
    let console = house.console_url();
    for method in ["POST", "DELETE"] {
        for forged in [
            ask(method),
            ask(method).header("sec-fetch-site", "cross-site"),
            ask(method).header("sec-fetch-site", "same-site").header("origin", &own),
            ask(method).header("sec-fetch-site", "none"),
            ask(method).header("origin", "https://evil.example"),
            ask(method).header("origin", "null"),
            ask(method).header("origin", &console),
        ] {
            waiter.send(forged).await.is_problem(403, "cross-origin", Some("api"));
        }
    }
    assert_eq!(house.books(), books);
    assert_eq!(waiter.get("/api/v1/session").await.json()["role"], "waiter");
    // A browser's cross-site request without a cookie is refused all the same; a program's is not.
    let stranger = house.visitor();
    let forged = Ask::new("POST", ORDERS).json(&order_of(12, 1)).header("sec-fetch-site", "cross-site");
    stranger.send(forged).await.is_problem(403, "cross-origin", Some("api"));
    assert_eq!(stranger.send(Ask::new("POST", ORDERS).json(&order_of(12, 1))).await.status, 201);
    assert_eq!(waiter.send(ask("POST").header("origin", &own)).await.status, 201);
    house.stop().await;
}
