//! The life of an order over HTTP: who may do what to it in which state, and what follows.

use std::time::Duration;

use roundtrip::policy::backoff::Attempts;
use roundtrip::store::bistro::{Bistro, Options};
use roundtrip::store::engine::unwatched;
use serde_json::{Value, json};

use crate::harness::people::{Ask, Person};
use crate::harness::reply::Reply;
use crate::harness::{House, RARE_DISH, RARE_PORTIONS, order_of};

const STATES: [&str; 8] = ["draft", "placed", "cooking", "ready", "served", "paid", "cancelled", "refunded"];
const ACTIONS: [&str; 6] = ["edit", "place", "serve", "pay", "cancel", "refund"];

/// Where each leads; in any other state it is refused.
fn leads(action: &str, state: &str) -> Option<&'static str> {
    match (action, state) {
        ("edit", "draft") => Some("draft"),
        ("place", "draft") => Some("placed"),
        ("cancel", "draft" | "placed") => Some("cancelled"),
        ("serve", "ready") => Some("served"),
        ("pay", "served") => Some("paid"),
        ("refund", "paid") => Some("refunded"),
        _ => None,
    }
}

/// What stops a role before the state is even looked at.
fn stops(action: &str, role: &str) -> Option<(u16, &'static str)> {
    match (action, role) {
        ("edit" | "place" | "cancel", "owner" | "waiter" | "manager") => None,
        ("edit" | "place" | "cancel", "other" | "stranger") => Some((404, "not-found")),
        ("serve" | "pay", "waiter" | "manager") | ("refund", "manager") => None,
        (_, "owner" | "other" | "stranger") => Some((401, "sign-in-first")),
        _ => Some((403, "not-allowed")),
    }
}

/// A house whose kitchen does only what the test says.
pub struct Quiet {
    pub house: House,
    cook: Bistro,
}

impl Quiet {
    pub async fn open() -> Quiet {
        let house = House::open().await;
        house.kitchen_rests();
        let cook = Bistro::open(&house.folder().join("bistro.db"), Options::default()).expect("the database opens");
        Quiet { house, cook }
    }

    /// Takes up the order's ticket, and finishes it if `ready`.
    pub async fn cook(&self, order: &Value, ready: bool) {
        let attempts = Attempts { max: 9, first: Duration::ZERO, longest: Duration::ZERO };
        let mut others = Vec::new();
        loop {
            let claim = self.cook.claim(&unwatched("Test"), "test", Duration::from_secs(60), attempts).await;
            let claim = claim.expect("an answer").expect("its ticket waits");
            if order["id"] == claim.order.as_str() {
                if ready {
                    self.cook.finish(&unwatched("Test"), &claim).await.expect("it is cooked");
                }
                break;
            }
            others.push(claim);
        }
        for claim in &others {
            self.cook.hand_back(&unwatched("Test"), claim).await.expect("it waits again");
        }
    }

    /// An order of `guest` in that state.
    async fn order_in(&self, state: &str, guest: &Person, manager: &Person) -> Value {
        let mut body = order_of(12, 2);
        body["draft"] = json!(state == "draft");
        let order = guest.post("/api/v1/orders", &body).await.json();
        let to = |action: &str| format!("/api/v1/orders/{}/{action}", order["id"].as_str().expect("an id"));
        let deeds: &[&str] = match state {
            "draft" | "placed" => return order,
            "cancelled" => &["cancel"],
            "cooking" | "ready" => &[],
            "served" => &["serve"],
            "paid" => &["serve", "pay"],
            _ => &["serve", "pay", "refund"],
        };
        if state != "cancelled" {
            self.cook(&order, state != "cooking").await;
        }
        for deed in deeds {
            let done = manager.send(manager.fair("POST", &to(deed))).await;
            assert_eq!(done.status, 200, "{deed}: {}", done.text());
        }
        guest.get(&format!("/api/v1/orders/{}", order["id"].as_str().expect("an id"))).await.json()
    }

    pub async fn stop(self) {
        let Quiet { house, cook } = self;
        let audit = cook.audit().await.expect("an audit");
        assert_eq!(audit.wrong, Vec::<String>::new());
        cook.close().await.expect("an orderly close");
        house.stop().await;
    }
}

fn path(order: &Value) -> String {
    format!("/api/v1/orders/{}", order["id"].as_str().expect("an id"))
}

fn ask(person: &Person, order: &Value, action: &str) -> Ask {
    match action {
        "edit" => person.fair("PUT", &path(order)).json(&order_of(12, 3)).header("if-match", "*"),
        action => person.fair("POST", &format!("{}/{action}", path(order))),
    }
}

async fn act(person: &Person, order: &Value, action: &str) -> Reply {
    person.send(ask(person, order, action)).await
}

fn draft_of(dish: i64, quantity: i64) -> Value {
    let mut body = order_of(dish, quantity);
    body["draft"] = json!(true);
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_may_do_to_an_order_in_each_state_what_the_table_says() {
    let quiet = Quiet::open().await;
    let house = &quiet.house;
    let (owner, other, stranger) = (house.visitor(), house.visitor(), house.visitor());
    for guest in [&owner, &other] {
        assert_eq!(guest.post("/api/v1/orders", &order_of(1, 1)).await.status, 201);
    }
    let (waiter, chef, manager) =
        (house.staff("waiter").await, house.staff("chef").await, house.staff("manager").await);
    let people = [
        ("owner", &owner),
        ("other", &other),
        ("stranger", &stranger),
        ("waiter", &waiter),
        ("chef", &chef),
        ("manager", &manager),
    ];
    for state in STATES {
        let order = quiet.order_in(state, &owner, &manager).await;
        assert_eq!(order["state"], state);
        for action in ACTIONS {
            for (role, person) in people {
                let says = format!("{role} {action} {state}");
                match (stops(action, role), leads(action, state)) {
                    (Some((status, kind)), _) => {
                        let reply = act(person, &order, action).await;
                        let hop = if status == 404 { "service" } else { "api" };
                        assert_eq!(reply.status, status, "{says}: {}", reply.text());
                        reply.is_problem(status, kind, Some(hop));
                    }
                    (None, None) => {
                        let reply = act(person, &order, action).await;
                        assert_eq!(reply.status, 409, "{says}: {}", reply.text());
                        let problem = reply.is_problem(409, "wrong-state", Some("service"));
                        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(state)), "{problem}");
                    }
                    (None, Some(next)) => {
                        let fresh = quiet.order_in(state, &owner, &manager).await;
                        let reply = act(person, &fresh, action).await;
                        assert_eq!(reply.status, 200, "{says}: {}", reply.text());
                        let done = reply.json();
                        assert_eq!(done["state"], next, "{says}");
                        assert_eq!(reply.header("etag"), format!("\"{}\"", done["version"]), "{says}");
                        assert_eq!(owner.get(&path(&fresh)).await.json(), done, "{says}");
                    }
                }
            }
        }
        assert_eq!(owner.get(&path(&order)).await.json(), order, "what is refused changes nothing");
    }
    quiet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_bound_to_the_version_that_was_read() {
    let quiet = Quiet::open().await;
    let guest = quiet.house.visitor();
    let begun = guest.post("/api/v1/orders", &draft_of(12, 1)).await;
    let draft = begun.json();
    assert_eq!((begun.status, begun.header("etag"), &draft["ticket"]), (201, "\"1\"", &Value::Null));
    let edit = |tag: Option<&str>| {
        let ask = guest.fair("PUT", &path(&draft)).json(&order_of(1, 2));
        tag.map_or(ask.clone(), |tag| ask.header("if-match", tag))
    };
    guest.send(edit(None)).await.is_problem(428, "precondition-required", Some("api"));
    for stale in ["\"2\"", "W/\"1\"", "1", "\"01\"", "\"x\"", "", "\"0\", \"7\""] {
        guest.send(edit(Some(stale))).await.is_problem(412, "changed-meanwhile", Some("service"));
    }
    let edited = guest.send(edit(Some("\"7\", \"1\""))).await;
    assert_eq!((edited.status, edited.header("etag")), (200, "\"2\""), "{}", edited.text());
    let dish = guest.get("/api/v1/menu/1").await.json();
    assert_eq!(edited.json()["total_cents"], dish["price_cents"].as_i64().expect("a price") * 2);
    let place = |tag: &str| guest.fair("POST", &format!("{}/place", path(&draft))).header("if-match", tag);
    guest.send(place("\"1\"")).await.is_problem(412, "changed-meanwhile", Some("service"));
    let placed = guest.send(place("\"2\"")).await;
    assert_eq!((placed.status, placed.header("etag")), (200, "\"3\""));
    assert_eq!(guest.get(&path(&draft)).await.header("etag"), "\"3\"");
    quiet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_takes_nothing_until_it_is_placed_and_then_what_an_order_takes() {
    let quiet = Quiet::open().await;
    let house = &quiet.house;
    let guest = house.visitor();
    let direct = guest.post("/api/v1/orders", &order_of(12, 2)).await.json();
    let before = house.books();
    let draft = guest.post("/api/v1/orders", &draft_of(12, 2)).await.json();
    let drafted = house.books();
    assert_eq!((&drafted.used, drafted.entries), (&before.used, before.entries));
    assert_eq!(
        (&draft["state"], &draft["placed_at"], &draft["total_cents"]),
        (&json!("draft"), &Value::Null, &direct["total_cents"])
    );
    let placed = act(&guest, &draft, "place").await.json();
    let after = house.books();
    let twice: Vec<i64> = before.used.iter().map(|used| used * 2).collect();
    assert_eq!(after.used, twice, "as much as the direct one");
    assert_eq!(after.entries, before.entries + 2);
    assert_eq!((&placed["id"], &placed["ticket"]["state"]), (&draft["id"], &json!("waiting")));
    assert!(placed["placed_at"].is_string());
    for order in [&direct, &placed] {
        let events = guest.get(&format!("{}/events", path(order))).await.json();
        assert_eq!((&events["events"][0]["action"], &events["events"][0]["by"]), (&json!("place"), &json!("guest")));
    }
    house.visitor().get(&format!("{}/events", path(&direct))).await.is_problem(404, "not-found", Some("service"));
    quiet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_has_five_drafts_at_most() {
    let quiet = Quiet::open().await;
    let guest = quiet.house.visitor();
    let mut drafts = Vec::new();
    for _ in 0..5 {
        drafts.push(guest.post("/api/v1/orders", &draft_of(12, 1)).await.json());
    }
    let refused = guest.post("/api/v1/orders", &draft_of(12, 1)).await;
    refused.is_problem(409, "too-many-drafts", Some("service"));
    assert_eq!(guest.post("/api/v1/orders", &order_of(12, 1)).await.status, 201, "an order is none");
    assert_eq!(quiet.house.visitor().post("/api/v1/orders", &draft_of(12, 1)).await.status, 201, "nor is another's");
    for (draft, action) in drafts.iter().zip(["cancel", "place"]) {
        assert_eq!(act(&guest, draft, action).await.status, 200);
        assert_eq!(guest.post("/api/v1/orders", &draft_of(12, 1)).await.status, 201, "{action} makes room");
    }
    quiet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_can_be_had_again_at_every_instance() {
    let quiet = Quiet::open().await;
    let house = &quiet.house;
    house.edge_keeps_nothing();
    let guest = house.visitor();
    assert_eq!(guest.post("/api/v1/orders", &order_of(1, 1)).await.status, 201);
    let before = house.books();
    let all = guest.post("/api/v1/orders", &order_of(RARE_DISH, RARE_PORTIONS)).await.json();
    let draft = guest.post("/api/v1/orders", &draft_of(RARE_DISH, 1)).await.json();
    act(&guest, &draft, "place").await.is_problem(409, "out-of-stock", Some("service"));
    let available = async || {
        let mut answers = Vec::new();
        for _ in 0..6 {
            let item = guest.get(&format!("/api/v1/menu/{RARE_DISH}")).await.json();
            answers.push(item["available"].as_bool().expect("yes or no"));
        }
        answers
    };
    assert_eq!(available().await, [false; 6]);
    let cancelled = act(&guest, &all, "cancel").await.json();
    assert_eq!((&cancelled["state"], &cancelled["ticket"]["state"]), (&json!("cancelled"), &json!("cancelled")));
    assert_eq!(available().await, [true; 6]);
    assert_eq!(house.books().used, before.used);
    assert_eq!(act(&guest, &draft, "place").await.status, 200);
    quiet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_a_hundred_who_want_the_last_portion_at_once_one_gets_it() {
    let quiet = Quiet::open().await;
    let house = &quiet.house;
    assert_eq!(house.visitor().post("/api/v1/orders", &order_of(RARE_DISH, RARE_PORTIONS - 1)).await.status, 201);
    let mut guests = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let guest = house.visitor();
        guests.spawn(async move { guest.post("/api/v1/orders", &order_of(RARE_DISH, 1)).await });
    }
    let (mut placed, mut refused) = (0, 0);
    for reply in guests.join_all().await {
        match reply.status {
            201 => placed += 1,
            _ => {
                reply.is_problem(409, "out-of-stock", Some("service"));
                refused += 1;
            }
        }
    }
    assert_eq!((placed, refused), (1, 99));
    assert_eq!(house.books().orders, 2);
    quiet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_gets_the_answer_of_then_whatever_has_happened_since() {
    let quiet = Quiet::open().await;
    let house = &quiet.house;
    let guest = house.visitor();
    assert_eq!(guest.post("/api/v1/orders", &order_of(1, 1)).await.status, 201);
    let waiter = house.staff("waiter").await;
    let same = |first: &Reply, again: &Reply| {
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{}", again.text());
        for name in ["etag", "location", "content-type"] {
            assert_eq!(again.header(name), first.header(name), "{name}");
        }
    };
    let begin = || guest.fair("POST", "/api/v1/orders").json(&draft_of(12, 1)).header("idempotency-key", "k");
    let begun = guest.send(begin()).await;
    let draft = begun.json();
    let edit = || ask(&guest, &draft, "edit").header("idempotency-key", "edit");
    let edited = guest.send(edit()).await;
    let place = || ask(&guest, &draft, "place").header("idempotency-key", "k").header("if-match", "\"2\"");
    let placed = guest.send(place()).await;
    assert_eq!((edited.status, placed.status), (200, 200), "{}", placed.text());
    quiet.cook(&draft, true).await;
    let serve = || ask(&waiter, &draft, "serve").header("idempotency-key", "s");
    let served = waiter.send(serve()).await;
    let books = house.books();
    same(&begun, &guest.send(begin()).await);
    same(&edited, &guest.send(edit()).await);
    same(&placed, &guest.send(place()).await);
    same(&served, &waiter.send(serve()).await);
    assert_eq!(served.json()["state"], "served");
    assert_eq!(house.books(), books, "a repeat does nothing");
    // Another body, another deed, another order: another request, which needs another key.
    let other = guest.post("/api/v1/orders", &draft_of(12, 1)).await.json();
    let conflict = "idempotency-key-reused";
    let direct = guest.fair("POST", "/api/v1/orders").json(&order_of(12, 1)).header("idempotency-key", "k");
    guest.send(direct).await.is_problem(422, conflict, Some("service"));
    for ask in [ask(&guest, &draft, "cancel"), ask(&guest, &other, "place")] {
        guest.send(ask.header("idempotency-key", "k")).await.is_problem(422, conflict, Some("service"));
    }
    let longer = guest.fair("PUT", &path(&draft)).json(&order_of(12, 4)).header("if-match", "*");
    guest.send(longer.header("idempotency-key", "edit")).await.is_problem(422, conflict, Some("service"));
    // Another person's key is another key.
    let pay = waiter.send(ask(&waiter, &draft, "pay").header("idempotency-key", "k")).await;
    assert_eq!(pay.json()["state"], "paid");
    quiet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_deed_no_body_and_no_draft_is_refused() {
    let quiet = Quiet::open().await;
    let guest = quiet.house.visitor();
    let order = guest.post("/api/v1/orders", &order_of(12, 1)).await.json();
    for action in ["cook", "finish", "put-back", "edit", "eat", "PLACE"] {
        let reply = guest.send(guest.fair("POST", &format!("{}/{action}", path(&order)))).await;
        reply.is_problem(404, "no-such-address", Some("api"));
    }
    let tipped = guest.post(&format!("{}/cancel", path(&order)), &json!({ "tip": 1 })).await;
    tipped.is_problem(422, "invalid-body", Some("api"));
    assert_eq!(tipped.pointers(), ["/tip"]);
    let unsure = guest.post("/api/v1/orders", &json!({ "table": 4, "lines": [], "draft": 1 })).await;
    assert_eq!(unsure.pointers(), ["/lines", "/draft"]);
    let wrong = guest.fair("POST", &format!("{}/cancel", path(&order))).header("idempotency-key", "a b");
    guest.send(wrong).await.is_problem(400, "bad-idempotency-key", Some("api"));
    assert_eq!(
        guest.post(&format!("{}/cancel", path(&order)), &json!({})).await.status,
        200,
        "an empty object is no body"
    );
    quiet.stop().await;
}
