//! The built binary, killed at chance moments while guests order: what was acknowledged is there once, whatever
//! was under way. `ROUNDS=1000 cargo test --test crash -- --nocapture` kills it so often.
#![cfg(unix)]

mod harness;

#[path = "cli/rig.rs"]
mod rig;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use harness::people::Person;
use harness::{audit, order_of};
use rig::{Place, Server};
use rustix::process::Signal;
use tokio::sync::Notify;

/// Who order at once.
const GUESTS: usize = 6;
/// An audit goes through all orders: a new house now and then keeps it short.
const ROUNDS_A_HOUSE: u64 = 25;

/// Somebody who orders and, when no answer came, asks again with the same key once the house is back.
struct Guest {
    number: usize,
    /// With the cookies of the life before; nobody yet before the first.
    before: Option<Person>,
    keys: u64,
    unanswered: bool,
    acknowledged: Vec<String>,
}

impl Guest {
    fn key(&self) -> String {
        format!("guest-{}-order-{}", self.number, self.keys)
    }

    /// Orders until the house is gone.
    async fn order(mut self, person: Person, heard: Arc<Heard>) -> Guest {
        if let Some(before) = self.before.take() {
            person.take_cookies_of(&before);
        }
        loop {
            if !self.unanswered {
                self.keys += 1;
            }
            let dish = 1 + (self.keys as i64 + self.number as i64) % 14;
            let ask = person.fair("POST", "/api/v1/orders").json(&order_of(dish, 1));
            self.unanswered = true;
            match person.try_send(ask.header("idempotency-key", &self.key())).await {
                Ok(reply) if reply.status == 201 => {
                    let id = reply.json()["id"].as_str().expect("an id").to_owned();
                    self.acknowledged.push(id);
                    self.unanswered = false;
                    heard.one_more();
                }
                // On its way down the edge may still say that nobody is behind it.
                Ok(reply) => assert!([502, 503].contains(&reply.status), "{}", reply.text()),
                Err(_) => return Guest { before: Some(person), ..self },
            }
        }
    }
}

/// Counts acknowledgements, and says when there are enough.
struct Heard {
    count: AtomicU64,
    enough: u64,
    reached: Notify,
}

impl Heard {
    fn one_more(&self) {
        if self.count.fetch_add(1, Relaxed) + 1 == self.enough {
            self.reached.notify_one();
        }
    }
}

/// One life of the server: it starts on what the last one left, and is killed after some orders.
async fn one_life(place: &Place, guests: Vec<Guest>, enough: u64) -> Vec<Guest> {
    let server: Server = place.serve(&["--instances", "2"]);
    let heard = Arc::new(Heard { count: AtomicU64::new(0), enough, reached: Notify::new() });
    let ordering: Vec<_> =
        guests.into_iter().map(|guest| tokio::spawn(guest.order(server.visitor(), Arc::clone(&heard)))).collect();
    heard.reached.notified().await;
    server.signal(Signal::KILL);
    let mut guests = Vec::new();
    for guest in ordering {
        guests.push(guest.await.expect("a guest"));
    }
    server.ended();
    guests
}

/// Checks a copy, so that the next life finds what the kill left and recovers it by itself.
async fn check_copy(data: &Path, guests: &[Guest]) {
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["bistro.db", "bistro.db-wal"] {
        let from = data.join(name);
        if from.exists() {
            std::fs::copy(from, copy.path().join(name)).expect("a copy");
        }
    }
    check(copy.path(), guests).await;
}

/// Ledger, stock, tickets and lines agree; what was acknowledged is there, and at most what was asked for.
async fn check(folder: &Path, guests: &[Guest]) {
    let orders = audit(folder).await;
    let database = rusqlite::Connection::open(folder.join("bistro.db")).expect("the database");
    let mut ids = database.prepare("SELECT id FROM orders").expect("the orders");
    let ids = ids.query_map([], |row| row.get::<_, String>(0)).expect("rows").map(|row| row.expect("a row"));
    let there: BTreeSet<String> = ids.collect();
    let acknowledged: Vec<&String> = guests.iter().flat_map(|guest| &guest.acknowledged).collect();
    let once: BTreeSet<&String> = acknowledged.iter().copied().collect();
    assert_eq!(once.len(), acknowledged.len(), "one order for each key");
    let lost: Vec<_> = once.iter().filter(|id| !there.contains(**id)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let unanswered = guests.iter().filter(|guest| guest.unanswered).count();
    let possible = acknowledged.len()..=acknowledged.len() + unanswered;
    assert!(possible.contains(&(orders as usize)), "{orders} orders, {possible:?} were asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_while_guests_order_comes_back_with_every_acknowledged_order_once() {
    let (rounds, seed) = (count("ROUNDS", 4), count("SEED", 7));
    let (mut state, mut orders) = (seed | 1, 0);
    // xorshift64 (Marsaglia 2003): chance that can be had again.
    let mut chance = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    let mut left = rounds;
    while left > 0 {
        let place = Place::new();
        let guest = |number| Guest { number, before: None, keys: 0, unanswered: false, acknowledged: Vec::new() };
        let mut guests: Vec<Guest> = (0..GUESTS).map(guest).collect();
        for _ in 0..left.min(ROUNDS_A_HOUSE) {
            guests = one_life(&place, guests, 1 + chance(120)).await;
            check_copy(&place.data(), &guests).await;
            left -= 1;
        }
        // The last life ends in order, and leaves what all the others have left.
        place.serve(&["--instances", "2"]).stop();
        check(&place.data(), &guests).await;
        orders += guests.iter().map(|guest| guest.acknowledged.len()).sum::<usize>();
    }
    println!("{rounds} kills, {orders} orders acknowledged, each there once");
}

/// A count from the environment.
#[allow(clippy::disallowed_methods, reason = "how long to test is no setting of the program")]
fn count(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}
