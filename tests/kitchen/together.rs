//! Several workers, any of whom may die, sleep through its lease or report twice: each ticket has one outcome.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use roundtrip::domain::kitchen::{Claim, Direction};
use roundtrip::domain::order::{Expected, Order};
use roundtrip::domain::order_life::{Action, Deed};
use roundtrip::store::bistro::{Change, ChangeError, LeaseError};

use serde_json::json;

use super::harness::{House, audit, order_of};
use super::live::Listening;
use super::queue::{Kitchen, LEASE, span};

/// What may happen next. A worker is one of three; it keeps every claim that it ever had, and may use any of
/// them again.
#[derive(Debug, Clone)]
enum Step {
    Order,
    Claim(usize),
    Extend(usize, prop::sample::Index),
    Finish(usize, prop::sample::Index),
    GiveUp(usize, prop::sample::Index, Option<u64>),
    HandBack(usize, prop::sample::Index),
    Pass(u64),
    Requeue(prop::sample::Index),
    Pause(bool),
    Cancel(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..3_usize;
    let claim = any::<prop::sample::Index>();
    prop_oneof![
        2 => Just(Step::Order),
        5 => worker.clone().prop_map(Step::Claim),
        1 => (worker.clone(), claim.clone()).prop_map(|(worker, claim)| Step::Extend(worker, claim)),
        3 => (worker.clone(), claim.clone()).prop_map(|(worker, claim)| Step::Finish(worker, claim)),
        1 => (worker.clone(), claim.clone(), prop::option::of(0..3_000_u64))
            .prop_map(|(worker, claim, retry)| Step::GiveUp(worker, claim, retry)),
        1 => (worker, claim.clone()).prop_map(|(worker, claim)| Step::HandBack(worker, claim)),
        3 => (0..8_000_u64).prop_map(Step::Pass),
        1 => claim.clone().prop_map(Step::Requeue),
        1 => claim.prop_map(Step::Cancel),
        1 => prop::bool::weighted(0.3).prop_map(Step::Pause),
    ]
}

/// The kitchen beside what was acknowledged of it.
struct Run {
    kitchen: Kitchen,
    claims: [Vec<Claim>; 3],
    orders: Vec<Order>,
    /// Orders that their guests were told are cancelled, by ticket.
    cancelled: HashSet<i64>,
    /// Finishes that were acknowledged, by ticket.
    finished: HashMap<i64, u32>,
    /// The latest lease given out, by ticket.
    latest: HashMap<i64, i64>,
}

impl Run {
    fn new() -> Run {
        let kitchen = Kitchen::open();
        let (claims, orders, cancelled) = Default::default();
        Run { kitchen, claims, orders, cancelled, finished: HashMap::new(), latest: HashMap::new() }
    }

    fn held(&self, worker: usize, index: &prop::sample::Index) -> Option<Claim> {
        let claims = &self.claims[worker];
        (!claims.is_empty()).then(|| index.get(claims).clone())
    }

    /// Only the latest lease of a ticket may ever be believed.
    fn judge(&self, claim: &Claim, outcome: &Result<(), LeaseError>) {
        match outcome {
            Ok(()) => {
                assert_eq!(self.latest[&claim.ticket], claim.lease, "an older lease was believed");
                assert!(!self.finished.contains_key(&claim.ticket), "it was finished before");
                assert!(!self.cancelled.contains(&claim.ticket), "it was cancelled");
            }
            Err(error) => assert_eq!(*error, LeaseError::Lost),
        }
    }

    /// A guest cancels; what is being cooked, or was, can't be.
    async fn cancel(&mut self, order: Order) {
        let (id, by, expected) = (order.id.clone(), order.owner, Expected::Any);
        let change = Change { order: id, deed: Deed::Cancel, by, any: false, expected, idempotency: None };
        let ticket = order.ticket.expect("a placed order has a ticket").id;
        match self.kitchen.bistro.change_order(&span(), change).await {
            Ok(_) => {
                assert!(!self.finished.contains_key(&ticket), "it was eaten");
                assert!(self.cancelled.insert(ticket), "it was cancelled before");
            }
            Err(refused) => {
                assert!(matches!(&refused, ChangeError::Impossible(why) if why.action == Action::Cancel), "{refused:?}")
            }
        }
    }

    async fn take(&mut self, step: &Step) {
        let bistro = self.kitchen.bistro.clone();
        match step {
            Step::Order => self.orders.push(self.kitchen.order().await),
            Step::Cancel(index) => {
                if !self.orders.is_empty() {
                    self.cancel(index.get(&self.orders).clone()).await;
                }
            }
            Step::Claim(worker) => {
                if let Some(claim) = self.kitchen.claim(&format!("i{worker}/1")).await {
                    assert!(!self.finished.contains_key(&claim.ticket), "a finished ticket was given out");
                    let before = self.latest.insert(claim.ticket, claim.lease);
                    assert!(before.is_none_or(|before| before < claim.lease), "lease numbers go up");
                    self.claims[*worker].push(claim);
                }
            }
            Step::Extend(worker, index) => {
                if let Some(claim) = self.held(*worker, index) {
                    self.judge(&claim, &bistro.extend(&span(), &claim, LEASE).await);
                }
            }
            Step::Finish(worker, index) => {
                if let Some(claim) = self.held(*worker, index) {
                    let outcome = bistro.finish(&span(), &claim).await;
                    self.judge(&claim, &outcome);
                    if outcome.is_ok() {
                        *self.finished.entry(claim.ticket).or_default() += 1;
                    }
                }
            }
            Step::GiveUp(worker, index, retry) => {
                if let Some(claim) = self.held(*worker, index) {
                    let retry = retry.map(Duration::from_millis);
                    self.judge(&claim, &bistro.give_up(&span(), &claim, "burnt", retry).await);
                }
            }
            Step::HandBack(worker, index) => {
                if let Some(claim) = self.held(*worker, index) {
                    self.judge(&claim, &bistro.hand_back(&span(), &claim).await);
                }
            }
            Step::Pass(millis) => self.kitchen.pass(Duration::from_millis(*millis)),
            Step::Requeue(index) => {
                let dead = self.kitchen.queue().await.dead;
                if !dead.is_empty() {
                    let requeued = bistro.direct(&span(), index.get(&dead).id, Direction::Requeue).await;
                    requeued.expect("it is dead");
                }
            }
            Step::Pause(paused) => bistro.pause_kitchen(&span(), *paused).await.expect("an answer"),
        }
    }

    /// With one honest worker and a chef everything is cooked in the end, each once.
    async fn end(mut self) {
        self.kitchen.is_consistent().await;
        let bistro = self.kitchen.bistro.clone();
        bistro.pause_kitchen(&span(), false).await.expect("an answer");
        loop {
            for dead in self.kitchen.queue().await.dead {
                bistro.direct(&span(), dead.id, Direction::Requeue).await.expect("it is dead");
            }
            match self.kitchen.claim("honest").await {
                Some(claim) => {
                    bistro.finish(&span(), &claim).await.expect("nobody else is there");
                    *self.finished.entry(claim.ticket).or_default() += 1;
                }
                None if self.kitchen.queue().await.lengths == Default::default() => break,
                None => self.kitchen.pass(LEASE),
            }
        }
        self.kitchen.is_consistent().await;
        assert_eq!(self.finished.len() + self.cancelled.len(), self.orders.len(), "none was lost");
        assert!(self.cancelled.iter().all(|ticket| !self.finished.contains_key(ticket)), "none has two outcomes");
        assert!(self.finished.values().all(|times| *times == 1), "none was finished twice: {:?}", self.finished);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn each_ticket_has_one_outcome_whoever_dies_sleeps_or_reports_twice(
        steps in prop::collection::vec(step(), 10..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut run = Run::new();
            for step in &steps {
                run.take(step).await;
            }
            run.end().await;
        });
    }
}

/// Orders a client of the load places; there are four of them.
const EACH: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_killed_amid_the_load_lose_no_ticket_and_double_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = Arc::new(House::on(folder.path(), 3).await);
    for (key, value) in [("cook_time", 50), ("workers", 2), ("lease", 300), ("attempts", 100)] {
        house.stack.settings().change([(format!("service.kitchen.{key}").as_str(), &json!(value))]).expect("fits");
    }
    let chef = house.staff("chef").await;
    let placed = Arc::new(AtomicUsize::new(0));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (person, placed) = (house.visitor(), Arc::clone(&placed));
        clients.spawn(async move {
            let mut acknowledged = Vec::new();
            for _ in 0..EACH {
                // Without a key it is not sent twice: an order whose instance dies is not acknowledged.
                let reply = person.post("/api/v1/orders", &order_of(12, 1)).await;
                placed.fetch_add(1, Ordering::SeqCst);
                match reply.status {
                    201 => acknowledged.push(reply.json()["id"].as_str().expect("an id").to_owned()),
                    status => assert!((502..=504).contains(&status), "{}", reply.text()),
                }
            }
            acknowledged
        });
    }
    for (victim, share) in [("i1", 3), ("i3", 2)] {
        while placed.load(Ordering::SeqCst) < 4 * EACH / share {
            tokio::task::yield_now().await;
        }
        assert!(house.stack.kill_instance(victim).await);
    }
    let acknowledged: Vec<String> = clients.join_all().await.into_iter().flatten().collect();
    assert!(!acknowledged.is_empty());

    let mut page = Listening::over_h1(&house, &chef).await;
    while page.queue["waiting"] != 0 || page.queue["cooking"] != 0 {
        assert!(page.next().await.expect("a stream").is_some(), "it goes on");
    }
    assert_eq!(page.queue["dead"], 0);
    drop(page);
    Arc::into_inner(house).expect("nobody else holds it").stop().await;

    let orders = audit(folder.path()).await;
    let database = rusqlite::Connection::open(folder.path().join("bistro.db")).expect("the database");
    let finished = "SELECT orders.id FROM orders JOIN order_event ON order_seq = seq WHERE action = 'finish' \
                    ORDER BY orders.id";
    let mut finished = database.prepare(finished).expect("a statement");
    let finished: Vec<String> =
        finished.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a row")).collect();
    assert_eq!(finished.len() as i64, orders, "each order was finished");
    assert!(finished.windows(2).all(|pair| pair[0] != pair[1]), "and once");
    let count = "SELECT count(*) FROM order_event WHERE action = 'put-back'";
    let put_back: i64 = database.query_row(count, [], |row| row.get(0)).expect("a count");
    assert!(put_back > 0, "the killed had tickets in their hands");
    assert!(acknowledged.iter().all(|id| finished.binary_search(id).is_ok()), "none that was acknowledged is lost");
}
