//! In a whole house: found by its name, seen on the journey, shown to those who may see it.

use serde_json::{Value, json};

use crate::harness::probes::{self, outgoing};
use crate::harness::{House, audit, order_of};
use crate::world::{JUICE, ORANGES};

/// Fills the pantry with so many oranges; more are bought in the background at `reorder_at`.
fn oranges(house: &House, initial: i64, reorder_at: i64) {
    let database = rusqlite::Connection::open(house.folder().join("bistro.db")).expect("the database");
    let sql = "UPDATE pantry_item SET initial = ?2, reorder_at = ?3 WHERE id = ?1";
    assert_eq!(database.execute(sql, [ORANGES, initial, reorder_at]).expect("an update"), 1);
}

/// Of seven oranges six are used, so that the next two glasses need an express delivery, and leave one.
async fn one_orange_left(house: &House) {
    oranges(house, 7, 0);
    assert_eq!(house.visitor().post("/api/v1/orders", &order_of(JUICE, 2)).await.status, 201);
}

#[tokio::test]
async fn an_express_delivery_is_a_side_station_of_the_journey_and_leaves_the_hops_of_the_way_alone() {
    let house = House::open().await;
    one_orange_left(&house).await;
    let (answer, journey) =
        probes::probe(&house, outgoing(&house, "POST", "/api/v1/orders", Some(&order_of(JUICE, 2)))).await;
    assert_eq!(answer.status, 201);
    let side = journey.sides.supplier.as_ref().expect("the supplier was asked");
    assert_eq!((side.item.as_str(), side.outcome.as_str(), side.attempts), ("Oranges", "delivered", 1));
    assert!(side.us > 0.0 && side.breaker == "closed");
    let asked: Vec<_> = journey.spans.iter().filter(|span| span.name == "Look up the name").collect();
    assert!(asked.iter().any(|span| span.attributes["dns.question.name"] == "supplier.roundtrip.test"));
    assert_eq!(house.stack.deliveries(), 1);
    let (_, plain) = probes::probe(&house, outgoing(&house, "GET", "/api/v1/menu", None)).await;
    assert!(plain.sides.supplier.is_none());
    let folder = house.folder().to_owned();
    house.stack.stop(std::time::Duration::from_secs(5)).await.expect("an orderly stop");
    audit(&folder).await;
}

#[tokio::test]
async fn an_order_for_more_than_can_be_had_says_what_the_supplier_did() {
    let house = House::open().await;
    house.stack.settings().change([("fault.supplier.closed", &json!(true))]).expect("fits");
    oranges(&house, 2, 0);
    let refused = house.visitor().post("/api/v1/orders", &order_of(JUICE, 1)).await;
    let problem = refused.json();
    assert_eq!((refused.status, &problem["type"]), (409, &json!("/problems/out-of-stock")));
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("Orange Juice") && detail.contains("The supplier is closed"), "{detail}");
    house.stop().await;
}

#[tokio::test]
async fn the_pantry_is_for_the_chef_and_the_manager_and_shows_what_is_on_its_way() {
    let house = House::open().await;
    house.stack.settings().change([("fault.supplier.closed", &json!(true))]).expect("fits");
    oranges(&house, 300, 300);
    assert_eq!(house.visitor().post("/api/v1/orders", &order_of(JUICE, 1)).await.status, 201);
    assert_eq!(house.visitor().get("/api/v1/pantry").await.status, 401);
    assert_eq!(house.staff("waiter").await.get("/api/v1/pantry").await.status, 403);
    for name in ["chef", "manager"] {
        let pantry = house.staff(name).await.get("/api/v1/pantry").await;
        assert_eq!(pantry.status, 200);
        let pantry = pantry.json();
        let oranges = pantry["items"].as_array().into_iter().flatten().find(|item| item["id"] == ORANGES);
        let oranges = oranges.expect("in the pantry");
        assert_eq!(
            (&oranges["stock"], &oranges["reorder_at"], &oranges["last_delivery"]),
            (&json!(297), &json!(300), &Value::Null)
        );
        assert_eq!(oranges["purchase"]["quantity"], 3);
    }
    house.stop().await;
}

#[tokio::test]
async fn the_console_shows_each_instances_cache_and_how_it_stands_with_the_supplier() {
    let house = House::open().await;
    one_orange_left(&house).await;
    house.edge_keeps_nothing();
    let visitor = house.visitor();
    for _ in 0..4 {
        assert_eq!(visitor.get("/api/v1/menu").await.status, 200);
    }
    assert_eq!(visitor.post("/api/v1/orders", &order_of(JUICE, 2)).await.status, 201);
    let sides = house.owner().await.get("/api/stack/sides").await.json();
    let sum = |list: &str, key: &str| -> i64 {
        sides[list].as_array().into_iter().flatten().filter_map(|of_one| of_one[key].as_i64()).sum()
    };
    let ids: Vec<_> = sides["caches"].as_array().into_iter().flatten().map(|of_one| &of_one["instance"]).collect();
    assert_eq!(ids, ["i1", "i2", "i3"]);
    assert_eq!(sum("caches", "hits") + sum("caches", "misses"), 4);
    assert_eq!((sum("buyers", "asked"), sum("buyers", "delivered"), &sides["deliveries"]), (1, 1, &json!(1)));
    assert_eq!(sides["buyers"][0]["breaker"], "closed");
    house.stop().await;
}

#[tokio::test]
async fn what_the_edge_keeps_of_the_menu_ends_with_each_change_of_what_can_be_had() {
    let house = House::open().await;
    let changes = [("api.menu.shared_ttl", &json!(3_600)), ("service.kitchen.workers", &json!(0))];
    house.stack.settings().change(changes).expect("fits");
    let visitor = house.visitor();
    let available = || async { visitor.get("/api/v1/menu/15").await.json()["available"] == true };
    assert!(available().await && available().await);
    assert!(house.stack.cache().is_some_and(|cache| cache.figures().hits > 0), "the edge keeps it");
    let placed = visitor.post("/api/v1/orders", &order_of(15, 20)).await;
    assert_eq!(placed.status, 201);
    assert!(!available().await, "sold out");
    let path = format!("/api/v1/orders/{}/cancel", placed.json()["id"].as_str().expect("an id"));
    let waiter = house.staff("waiter").await;
    assert_eq!(waiter.send(waiter.fair("POST", &path)).await.status, 200);
    assert!(available().await, "given back");
    house.stop().await;
}

#[tokio::test]
async fn the_pantry_has_a_page_of_its_own() {
    let house = House::open().await;
    let page = house.visitor().get("/pantry").await;
    assert!(page.status == 200 && page.text().contains("bistro/pantry.js"));
    house.stop().await;
}

#[tokio::test]
async fn a_draft_that_is_placed_gets_its_express_delivery_too() {
    let house = House::open().await;
    one_orange_left(&house).await;
    let visitor = house.visitor();
    let mut draft = order_of(JUICE, 2);
    draft["draft"] = json!(true);
    let drafted = visitor.post("/api/v1/orders", &draft).await;
    assert_eq!(drafted.status, 201, "{}", drafted.text());
    let path = format!("/api/v1/orders/{}/place", drafted.json()["id"].as_str().expect("an id"));
    let placed = visitor.send(visitor.fair("POST", &path)).await;
    assert_eq!((placed.status, house.stack.deliveries()), (200, 1), "{}", placed.text());
    house.stop().await;
}

#[tokio::test]
async fn what_a_cancelled_order_gives_back_can_be_had_again_at_every_instance() {
    let house = House::open().await;
    house.edge_keeps_nothing();
    house.stack.settings().change([("service.kitchen.workers", &json!(0))]).expect("fits");
    let visitor = house.visitor();
    let available = || async {
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push(visitor.get("/api/v1/menu/15").await.json()["available"] == true);
        }
        seen
    };
    let placed = visitor.post("/api/v1/orders", &order_of(15, 20)).await;
    assert_eq!(placed.status, 201);
    assert_eq!(available().await, [false; 6]);
    let path = format!("/api/v1/orders/{}/cancel", placed.json()["id"].as_str().expect("an id"));
    let waiter = house.staff("waiter").await;
    let cancelled = waiter.send(waiter.fair("POST", &path)).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text());
    assert_eq!(available().await, [true; 6]);
    house.stop().await;
}
