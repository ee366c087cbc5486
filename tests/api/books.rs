//! The ledger over HTTP: what an order's life books, pages of entries, and the business day.

use serde_json::{Value, json};

use crate::harness::order_of;
use crate::harness::people::Person;
use crate::life::Quiet;

const LEDGER: &str = "/api/v1/ledger";
const DAYS: &str = "/api/v1/ledger/days";

fn balance(ledger: &Value, account: &str) -> i64 {
    let balances = ledger["balances"].as_array().expect("balances");
    let found = balances.iter().find(|balance| balance["account"] == account).expect("the account");
    found["balance_cents"].as_i64().expect("cents")
}

async fn act(person: &Person, order: &Value, action: &str) -> Value {
    let path = format!("/api/v1/orders/{}/{action}", order["id"].as_str().expect("an id"));
    let done = person.send(person.fair("POST", &path)).await;
    assert_eq!(done.status, 200, "{action}: {}", done.text());
    done.json()
}

fn total(order: &Value) -> i64 {
    order["total_cents"].as_i64().expect("cents")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_s_report_says_what_was_ordered_taken_given_back_and_is_still_owed() {
    let quiet = Quiet::open().await;
    let house = &quiet.house;
    let guest = house.visitor();
    let manager = house.staff("manager").await;
    let close = |key: &str| manager.fair("POST", DAYS).header("idempotency-key", key);
    manager.send(close("early")).await.is_problem(409, "nothing-to-close", Some("service"));

    let mut orders = Vec::new();
    for quantity in 1..=4 {
        orders.push(guest.post("/api/v1/orders", &order_of(12, quantity)).await.json());
    }
    act(&guest, &orders[3], "cancel").await;
    for order in &orders[..2] {
        quiet.cook(order, true).await;
        act(&manager, order, "serve").await;
        act(&manager, order, "pay").await;
    }
    act(&manager, &orders[0], "refund").await;
    let ledger = manager.get(LEDGER).await.json();
    let expected = [
        ("cash", total(&orders[1])),
        ("receivable", total(&orders[2])),
        ("refunds", total(&orders[0])),
        ("sales", -(total(&orders[0]) + total(&orders[1]) + total(&orders[2]))),
    ];
    for (account, cents) in expected {
        assert_eq!(balance(&ledger, account), cents, "{account}: {ledger}");
    }
    assert_eq!((&ledger["sum_cents"], &ledger["count"]), (&json!(0), &json!(16)));

    let closed = manager.send(close("first")).await;
    assert_eq!(closed.status, 201, "{}", closed.text());
    let day = closed.json();
    assert_eq!((&day["id"], &day["orders"], &day["sum_cents"]), (&json!(1), &json!(4), &json!(0)));
    assert_eq!(day["takings_cents"], total(&orders[0]) + total(&orders[1]));
    assert_eq!(day["refunds_cents"], total(&orders[0]));
    assert_eq!(day["receivable_cents"], total(&orders[2]));
    let line = day["lines"].as_array().expect("lines").iter();
    let sales = line.clone().find(|line| line["kind"] == "sale" && line["account"] == "sales").expect("a line");
    assert_eq!((&sales["entries"], line.count()), (&json!(4), 8));
    // Again with the key: the same report. Without: nothing more to close.
    assert_eq!(manager.send(close("first")).await.body, closed.body);
    manager.send(close("second")).await.is_problem(409, "nothing-to-close", Some("service"));

    quiet.cook(&orders[2], true).await;
    act(&manager, &orders[2], "serve").await;
    act(&manager, &orders[2], "pay").await;
    let second = manager.send(close("second")).await.json();
    assert_eq!((&second["orders"], &second["receivable_cents"]), (&json!(0), &json!(0)), "paid a day later");
    assert_eq!(manager.send(close("first")).await.json(), day, "as it was then");
    assert_eq!(manager.get(DAYS).await.json(), json!({ "days": [second, day], "next": null }));
    let newest = manager.get(&format!("{DAYS}?limit=1")).await.json();
    let older = manager.get(&format!("{DAYS}?limit=1&cursor={}", newest["next"].as_str().expect("a cursor"))).await;
    assert_eq!(older.json(), json!({ "days": [day], "next": null }));
    quiet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_manager_closes_the_day_and_reads_the_reports() {
    let quiet = Quiet::open().await;
    let house = &quiet.house;
    let guest = house.visitor();
    assert_eq!(guest.post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    let (waiter, chef) = (house.staff("waiter").await, house.staff("chef").await);
    for (person, status, kind) in
        [(&guest, 401, "sign-in-first"), (&waiter, 403, "not-allowed"), (&chef, 403, "not-allowed")]
    {
        person.get(DAYS).await.is_problem(status, kind, Some("api"));
        person.send(person.fair("POST", DAYS)).await.is_problem(status, kind, Some("api"));
    }
    quiet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_come_in_pages_and_are_never_changed() {
    let quiet = Quiet::open().await;
    let house = &quiet.house;
    let guest = house.visitor();
    for _ in 0..5 {
        assert_eq!(guest.post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    }
    let manager = house.staff("manager").await;
    let (mut seen, mut at) = (Vec::new(), format!("{LEDGER}?limit=3"));
    loop {
        let page = manager.get(&at).await.json();
        let entries = page["entries"].as_array().expect("entries");
        seen.extend(entries.iter().map(|entry| entry["id"].as_i64().expect("a number")));
        let Some(next) = page["next"].as_str() else { break };
        at = format!("{LEDGER}?limit=3&cursor={next}");
    }
    assert_eq!(seen, (1..=10).rev().collect::<Vec<_>>());
    manager.get(&format!("{LEDGER}?cursor=0")).await.is_problem(400, "bad-query", Some("api"));

    let database = rusqlite::Connection::open(house.folder().join("bistro.db")).expect("the database");
    for change in ["UPDATE entry SET amount_cents = 0", "DELETE FROM entry", "REPLACE INTO entry SELECT * FROM entry"] {
        let refused = database.execute(change, []).expect_err(change).to_string();
        assert!(refused.contains("append-only"), "{change}: {refused}");
    }
    assert_eq!(house.books().entries, 10);
    quiet.stop().await;
}
