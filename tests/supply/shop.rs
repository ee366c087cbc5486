//! The supplier's own API, as any client meets it.

use roundtrip::client::{Answer, Outgoing};
use serde_json::{Value, json};

use crate::world::World;

async fn send(world: &World, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
    let headers = [&[("content-type", "application/json")], headers].concat();
    let outgoing = Outgoing {
        method: method.to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: if body.is_null() { Default::default() } else { body.to_string().into() },
        ..Outgoing::get(format!("http://{}{path}", world.supplier.address()))
    };
    world.client.send(outgoing).await.expect("an answer")
}

fn read(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[tokio::test]
async fn its_catalogue_says_what_it_sells_and_for_how_much() {
    let world = World::open(&[]);
    let answer = send(&world, "GET", "/catalogue", &[], Value::Null).await;
    let catalogue = read(&answer);
    let items = catalogue["items"].as_array().expect("items");
    let flour = items.iter().find(|item| item["item"] == "Flour");
    assert_eq!(flour, Some(&json!({ "item": "Flour", "unit": "g", "per": 1_000, "price_cents": 60 })));
    assert!(items.iter().all(|item| item["item"] != "White truffle"));
}

#[tokio::test]
async fn everything_in_the_pantry_but_the_truffle_is_in_its_catalogue_in_the_same_unit() {
    let world = World::open(&[]);
    let catalogue = read(&send(&world, "GET", "/catalogue", &[], Value::Null).await);
    let pantry = world.bistro.pantry(&crate::world::span(false)).await.expect("the pantry");
    for item in pantry.iter().filter(|item| item.name != "White truffle") {
        let offers = catalogue["items"].as_array().into_iter().flatten();
        assert_eq!(
            offers.filter(|offer| offer["item"] == item.name && offer["unit"] == item.unit).count(),
            1,
            "{item:?}"
        );
    }
}

#[tokio::test]
async fn the_same_key_gets_the_same_delivery_and_with_another_request_422() {
    let world = World::open(&[]);
    let ask = |quantity: i64| {
        send(
            &world,
            "POST",
            "/deliveries",
            &[("idempotency-key", "k-1")],
            json!({ "item": "Flour", "quantity": quantity }),
        )
    };
    let (first, again) = (ask(1_500).await, ask(1_500).await);
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(read(&first), read(&again));
    assert_eq!(read(&first)["price_cents"], 90);
    let other = ask(1_501).await;
    assert_eq!((other.status, read(&other)["type"].as_str()), (422, Some("/problems/idempotency-key-reused")));
    assert_eq!(world.supplier.deliveries(), 1);
}

#[tokio::test]
async fn what_it_does_not_take_it_refuses_with_a_problem_document() {
    let world = World::open(&[]);
    let (key, flour) = ([("idempotency-key", "k")], json!({ "item": "Flour", "quantity": 1 }));
    let truffle = json!({ "item": "White truffle", "quantity": 1 });
    for (method, path, headers, body, status, kind) in [
        ("POST", "/deliveries", &[][..], flour.clone(), 400, "idempotency-key-missing"),
        ("POST", "/deliveries", &key, truffle, 404, "not-sold"),
        ("POST", "/deliveries", &key, json!({ "item": "Flour", "quantity": 0 }), 422, "invalid-body"),
        ("GET", "/deliveries", &key, Value::Null, 405, "method-not-allowed"),
        ("GET", "/elsewhere", &key, Value::Null, 404, "no-such-address"),
        ("POST", "/deliveries", &[("idempotency-key", "k"), ("host", "evil.test")], flour, 421, "misdirected"),
    ] {
        let answer = send(&world, method, path, headers, body).await;
        let problem = read(&answer);
        assert_eq!((answer.status, problem["type"].as_str()), (status, Some(&*format!("/problems/{kind}"))));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    assert_eq!(world.supplier.deliveries(), 0);
}

#[tokio::test]
async fn closed_it_answers_503_and_failing_500() {
    let world = World::open(&[("fault.supplier.closed", json!(true))]);
    assert_eq!(send(&world, "GET", "/catalogue", &[], Value::Null).await.status, 503);
    world.change(&[("fault.supplier.closed", json!(false)), ("fault.supplier.fails", json!(100))]);
    assert_eq!(send(&world, "GET", "/catalogue", &[], Value::Null).await.status, 500);
}
