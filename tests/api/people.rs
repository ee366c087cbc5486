//! Who may do what, and how people sign in.

use serde_json::json;

use crate::harness::people::Ask;
use crate::harness::{House, PASSWORD, order_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_is_the_managers() {
    let house = House::open().await;
    let guest = house.visitor();
    let placed = guest.post("/api/v1/orders", &order_of(12, 2)).await.json();
    for nobody in [&guest, &house.visitor()] {
        nobody.get("/api/v1/ledger").await.is_problem(401, "sign-in-first", Some("api"));
    }
    for name in ["waiter", "chef"] {
        house.staff(name).await.get("/api/v1/ledger").await.is_problem(403, "not-allowed", Some("api"));
    }
    let ledger = house.staff("manager").await.get("/api/v1/ledger").await.json();
    assert_eq!((&ledger["sum_cents"], &ledger["count"]), (&json!(0), &json!(2)));
    let total = placed["total_cents"].as_i64().expect("a total");
    let amounts: Vec<i64> =
        ledger["entries"].as_array().into_iter().flatten().filter_map(|entry| entry["amount_cents"].as_i64()).collect();
    assert!(amounts.contains(&total) && amounts.contains(&-total), "{ledger}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chef_cooks_and_takes_no_orders() {
    let house = House::open().await;
    let chef = house.staff("chef").await;
    let books = house.books();
    chef.post("/api/v1/orders", &order_of(12, 1)).await.is_problem(403, "not-allowed", Some("api"));
    // Who may not learns nothing of what would be wrong.
    chef.post("/api/v1/orders", &json!({})).await.is_problem(403, "not-allowed", Some("api"));
    assert_eq!(house.books(), books);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anothers_order_is_not_there_for_a_guest_and_is_for_staff() {
    let house = House::open().await;
    house.kitchen_rests();
    let (one, other) = (house.visitor(), house.visitor());
    let placed = one.post("/api/v1/orders", &order_of(12, 1)).await;
    assert_eq!(other.post("/api/v1/orders", &order_of(1, 1)).await.status, 201);
    let place = placed.header("location");
    let hidden = other.get(place).await.is_problem(404, "not-found", Some("service"));
    let missing = other.get("/api/v1/orders/ord_00000000000000000000000000").await;
    assert_eq!(missing.is_problem(404, "not-found", Some("service")), hidden, "the two look alike");
    house.visitor().get(place).await.is_problem(404, "not-found", Some("service"));
    assert_eq!(house.visitor().get("/api/v1/orders").await.json(), json!({ "orders": [], "next": null }));
    for name in ["waiter", "chef", "manager"] {
        let staff = house.staff(name).await;
        assert_eq!(staff.get(place).await.json(), placed.json());
        assert_eq!(staff.get("/api/v1/orders").await.json()["orders"].as_array().map(Vec::len), Some(2));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_that_is_no_session_makes_a_stranger() {
    let house = House::open().await;
    let guest = house.visitor();
    let placed = guest.post("/api/v1/orders", &order_of(12, 1)).await;
    let place = placed.header("location");
    let made_up = format!("__Host-rt_bistro={}", "0".repeat(64));
    let twice = format!("{}; {made_up}", guest.cookies());
    for wrong in [made_up.as_str(), "__Host-rt_bistro=", "__Host-rt_bistro=x", "rt_bistro=x", twice.as_str(), ";;=;"] {
        let stranger = house.visitor();
        let reply = stranger.send(Ask::new("GET", place).header("cookie", wrong)).await;
        reply.is_problem(404, "not-found", Some("service"));
        let ledger = stranger.send(Ask::new("GET", "/api/v1/ledger").header("cookie", wrong)).await;
        ledger.is_problem(401, "sign-in-first", Some("api"));
        let who = stranger.send(Ask::new("GET", "/api/v1/session").header("cookie", wrong)).await;
        assert_eq!(who.json(), json!({ "role": "guest", "name": null }));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_sign_in_with_the_password_that_the_owner_set_and_out_again() {
    let house = House::open().await;
    let owner = house.owner().await;
    let person = house.visitor();
    let path = "/api/v1/session";
    let of = |name: &str| json!({ "name": name, "password": PASSWORD });
    let set = owner.put("/api/staff/waiter/password", &json!({ "password": PASSWORD })).await;
    assert_eq!(set.status, 204, "{}", set.text());
    // Nobody of that name, and somebody without a password: who guesses can't tell them apart.
    let nobody = house.visitor().post(path, &of("nobody")).await.is_problem(401, "sign-in-failed", Some("api"));
    let chef = house.visitor().post(path, &of("chef")).await.is_problem(401, "sign-in-failed", Some("api"));
    assert_eq!(nobody, chef);
    let signed_in = person.post(path, &of("waiter")).await;
    assert_eq!((signed_in.status, signed_in.json()), (200, json!({ "name": "waiter", "role": "waiter" })));
    let cookie = signed_in.header("set-cookie");
    for attribute in ["__Host-rt_bistro=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(attribute), "{attribute} in {cookie}");
    }
    assert_eq!(person.get(path).await.json()["name"], "waiter");
    let thief = house.visitor();
    thief.take_cookies_of(&person);
    assert_eq!(person.delete(path).await.status, 204);
    assert_eq!((person.cookies().as_str(), thief.get(path).await.json()["role"].as_str()), ("", Some("guest")));
    for bad in
        [json!({}), json!({ "name": 1, "password": [] }), json!({ "name": "", "password": "x", "role": "manager" })]
    {
        person.post(path, &bad).await.is_problem(422, "invalid-body", Some("api"));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_replaces_the_session_there_was() {
    let house = House::open().await;
    let waiter = house.staff("waiter").await;
    let before = house.visitor();
    before.take_cookies_of(&waiter);
    let again = waiter.post("/api/v1/session", &json!({ "name": "waiter", "password": PASSWORD })).await;
    assert_eq!(again.status, 200);
    assert_eq!(before.get("/api/v1/session").await.json()["role"], "guest");
    assert_eq!(waiter.get("/api/v1/session").await.json()["role"], "waiter");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_tries_many_sign_ins_is_stopped_at_the_edge_and_may_still_look_around() {
    let house = House::open().await;
    let visitor = house.visitor();
    let mut refused = None;
    for number in 0..1_000 {
        let reply = visitor.post("/api/v1/session", &json!({ "name": format!("name-{number}") })).await;
        if reply.status == 429 {
            refused = Some((number, reply));
            break;
        }
        assert!(reply.header("ratelimit").starts_with("\"sign-in\";r="), "{reply:?}");
    }
    let (tried, reply) = refused.expect("a refusal");
    assert!(tried >= 60, "{tried}");
    reply.is_problem(429, "too-many-requests", Some("http"));
    assert_eq!((reply.header("retry-after"), reply.header("ratelimit-policy")), ("1", "\"sign-in\";q=60;w=60"));
    for path in ["/api/v1/session", "/api/v1/menu", "/"] {
        assert_eq!(visitor.get(path).await.status, 200, "{path}");
    }
    house.stop().await;
}
