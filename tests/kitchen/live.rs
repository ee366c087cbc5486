//! The kitchen through the edge: what staff see of it, live, and what the chef decides.

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};

use super::harness::people::Person;
use super::harness::sealed::connect_speaking;
use super::harness::{House, PATIENCE, order_of};

pub const EVENTS: &str = "/api/v1/kitchen/events";

/// Both of the protocols that a browser speaks to the edge.
#[derive(Debug, Clone)]
enum Speaks {
    H1,
    H2(http2::SendRequest<Empty<Bytes>>),
}

impl Speaks {
    async fn h2(house: &House) -> Speaks {
        let (app, ca) = (house.stack.app(), house.ca_pem.as_bytes());
        let socket = TokioIo::new(connect_speaking(&[b"h2"], "localhost", app, ca).await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), socket).await.expect("h2");
        tokio::spawn(connection);
        Speaks::H2(sender)
    }

    async fn get(&self, house: &House, person: &Person, path: &str) -> hyper::Response<Incoming> {
        let address = format!("localhost:{}", house.stack.app().port());
        let request =
            hyper::Request::get(path).header("cookie", person.cookies()).header("accept-encoding", "gzip, br");
        match self {
            Speaks::H1 => {
                let (app, ca) = (house.stack.app(), house.ca_pem.as_bytes());
                let socket = TokioIo::new(connect_speaking(&[b"http/1.1"], "localhost", app, ca).await);
                let (mut sender, connection) = http1::handshake(socket).await.expect("h1");
                tokio::spawn(connection);
                let request = request.header("host", address).body(Empty::<Bytes>::new()).expect("a request");
                sender.send_request(request).await.expect("an answer")
            }
            Speaks::H2(sender) => {
                let request = request.uri(format!("https://{address}{path}")).body(Empty::new()).expect("a request");
                sender.clone().send_request(request).await.expect("an answer")
            }
        }
    }
}

/// A page that listens, and what it knows of the queue.
pub struct Listening {
    answer: hyper::Response<Incoming>,
    read: String,
    pub queue: Value,
    pub tickets: BTreeMap<i64, Value>,
}

impl Listening {
    async fn opened(house: &House, person: &Person, speaks: &Speaks) -> Listening {
        let answer = speaks.get(house, person, EVENTS).await;
        assert_eq!((answer.status().as_u16(), answer.headers().get("content-encoding")), (200, None));
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Listening { answer, read: String::new(), queue: Value::Null, tickets: BTreeMap::new() }
    }

    pub async fn over_h1(house: &House, person: &Person) -> Listening {
        Listening::opened(house, person, &Speaks::H1).await
    }

    /// The next event; None when the stream has ended as it should. An error is a stream that was cut.
    pub async fn next(&mut self) -> Result<Option<()>, hyper::Error> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let data = event.strip_prefix("event: queue\ndata: ").map(serde_json::from_str::<Value>);
                self.read = rest.to_owned();
                if let Some(data) = data {
                    self.hear(data.expect("JSON"));
                    return Ok(Some(()));
                }
                continue;
            }
            let frame = tokio::time::timeout(PATIENCE, self.answer.frame()).await.expect("more, or the end");
            let Some(frame) = frame.transpose()? else { return Ok(None) };
            let data = frame.into_data().unwrap_or_default();
            self.read.push_str(std::str::from_utf8(&data).expect("text"));
        }
    }

    fn hear(&mut self, data: Value) {
        for ticket in data["tickets"].as_array().expect("tickets") {
            self.tickets.insert(ticket["id"].as_i64().expect("a number"), ticket.clone());
        }
        let order = data["order"].as_array().expect("an order").clone();
        self.tickets.retain(|id, _| order.contains(&json!(id)));
        assert_eq!(self.tickets.len(), order.len(), "a page that heard everything knows every ticket");
        self.queue = data;
    }

    /// Listens until what it knows is so.
    async fn until(&mut self, what: &str, holds: impl Fn(&Listening) -> bool) {
        while !holds(self) {
            assert!(self.next().await.expect("a stream").is_some(), "it ended before {what}");
        }
    }

    fn lengths(&self) -> [&Value; 4] {
        ["waiting", "cooking", "dead", "paused"].map(|key| &self.queue[key])
    }
}

async fn order(house: &House) -> i64 {
    let placed = house.visitor().post("/api/v1/orders", &order_of(12, 1)).await;
    assert_eq!(placed.status, 201, "{}", placed.text());
    placed.json()["ticket"]["id"].as_i64().expect("a ticket")
}

async fn tell(chef: &Person, path: &str) -> u16 {
    chef.post(&format!("/api/v1/kitchen/{path}"), &json!({})).await.status
}

fn set(house: &House, key: &str, value: u64) {
    house.stack.settings().change([(format!("service.kitchen.{key}").as_str(), &json!(value))]).expect("fits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_see_the_queue_and_the_chef_directs_it() {
    let house = House::with_one_instance().await;
    set(&house, "workers", 0);
    let (guest, waiter, chef) = (house.visitor(), house.staff("waiter").await, house.staff("chef").await);
    guest.get("/api/v1/kitchen").await.is_problem(401, "sign-in-first", Some("api"));
    guest.get(EVENTS).await.is_problem(401, "sign-in-first", Some("api"));
    let (one, two) = (order(&house).await, order(&house).await);
    let queue = waiter.get("/api/v1/kitchen").await.json();
    assert_eq!((&queue["waiting"], &queue["paused"]), (&json!(2), &json!(false)));
    let ticket = &queue["tickets"][0];
    assert_eq!((&ticket["id"], &ticket["state"], &ticket["table"]), (&json!(one), &json!("waiting"), &json!(4)));
    assert_eq!(ticket["dishes"], json!([{ "quantity": 1, "name": "House Salad" }]));

    let path = format!("tickets/{two}/first");
    assert_eq!((tell(&waiter, "pause").await, tell(&waiter, &path).await), (403, 403));
    assert_eq!((tell(&chef, &path).await, tell(&chef, "pause").await), (204, 204));
    let queue = waiter.get("/api/v1/kitchen").await.json();
    assert_eq!((&queue["tickets"][0]["id"], &queue["paused"]), (&json!(two), &json!(true)));
    assert_eq!(tell(&chef, &format!("tickets/{two}/last")).await, 204);
    assert_eq!(waiter.get("/api/v1/kitchen").await.json()["tickets"][1]["id"], two);
    for (path, status, kind) in [
        (format!("tickets/{one}/requeue"), 409, "wrong-state"),
        ("tickets/99/first".to_owned(), 404, "not-found"),
        ("tickets/x/first".to_owned(), 404, "not-found"),
        (format!("tickets/{one}/eat"), 404, "not-found"),
    ] {
        let refused = chef.post(&format!("/api/v1/kitchen/{path}"), &json!({})).await;
        refused.is_problem(status, kind, Some("service"));
    }
    assert_eq!(guest.get("/kitchen").await.status, 200, "the page itself is for everybody; it asks to sign in");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_hears_of_each_change_as_it_happens_over_h1_and_h2() {
    let house = House::open().await;
    let chef = house.staff("chef").await;
    for speaks in [Speaks::H1, Speaks::h2(&house).await] {
        assert_eq!(tell(&chef, "pause").await, 204);
        let mut page = Listening::opened(&house, &chef, &speaks).await;
        page.until("the kitchen is paused", |page| page.queue["paused"] == true).await;
        assert_eq!(page.lengths(), [&json!(0), &json!(0), &json!(0), &json!(true)]);
        let ticket = order(&house).await;
        page.until("the ticket has come", |page| page.tickets.contains_key(&ticket)).await;
        assert_eq!((&page.tickets[&ticket]["state"], page.lengths()[0]), (&json!("waiting"), &json!(1)));
        set(&house, "cook_time", 500);
        assert_eq!(tell(&chef, "resume").await, 204);
        page.until("it is being cooked", |page| page.queue["cooking"] == 1).await;
        let cooking = &page.tickets[&ticket];
        assert!(cooking["worker"].as_str().is_some_and(|worker| worker.ends_with("/1")), "{cooking}");
        page.until("it is done", |page| page.tickets.is_empty()).await;
        assert_eq!(page.lengths(), [&json!(0), &json!(0), &json!(0), &json!(false)]);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_session_and_with_the_house_and_is_never_cut() {
    let house = House::open().await;
    let (chef, waiter) = (house.staff("chef").await, house.staff("waiter").await);
    let mut chefs = Listening::over_h1(&house, &chef).await;
    let mut waiters = Listening::opened(&house, &waiter, &Speaks::h2(&house).await).await;
    for page in [&mut chefs, &mut waiters] {
        assert_eq!(page.next().await.expect("a stream"), Some(()));
    }
    assert_eq!(waiter.delete("/api/v1/session").await.status, 204);
    assert_eq!(waiters.next().await.expect("not cut"), None);
    house.stop().await;
    assert_eq!(chefs.next().await.expect("not cut"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_has_room_for_64_pages_and_one_that_leaves_makes_room() {
    let house = House::with_one_instance().await;
    let chef = house.staff("chef").await;
    let speaks = Speaks::h2(&house).await;
    let mut pages = Vec::new();
    for _ in 0..64 {
        let mut page = Listening::opened(&house, &chef, &speaks).await;
        assert_eq!(page.next().await.expect("a stream"), Some(()));
        pages.push(page);
    }
    let refused = speaks.get(&house, &chef, EVENTS).await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"5".parse().expect("a value")));
    let document = refused.into_body().collect().await.expect("a document").to_bytes();
    assert_eq!(serde_json::from_slice::<Value>(&document).expect("JSON")["type"], "/problems/too-many-pages");
    pages.pop();
    let room = async { while speaks.get(&house, &chef, EVENTS).await.status().as_u16() != 200 {} };
    tokio::time::timeout(PATIENCE, room).await.expect("there is room again");
    drop(pages);
    house.stop().await;
}
