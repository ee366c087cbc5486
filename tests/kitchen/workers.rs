//! The workers of instances, over a real database and with real time; nothing is waited for but changes.

use std::path::PathBuf;

use roundtrip::domain::kitchen::Queue;
use roundtrip::domain::order::{LineRequest, Order, OrderRequest, OrderState};
use roundtrip::faults::Home;
use roundtrip::observe::recorder::Recorder;
use roundtrip::observe::span::{Record, Status};
use roundtrip::service::Service;
use roundtrip::service::kitchen::Workers;
use roundtrip::settings::runtime::Settings;
use roundtrip::store::backup::{Backups, Reason};
use roundtrip::store::bistro::bus::Topic;
use roundtrip::store::bistro::{Bistro, NewOrder, Options};
use roundtrip::store::cache::MenuCache;
use roundtrip::store::hasher::{Cost, Hasher};
use serde_json::json;

use super::harness::PATIENCE;
use super::queue::span;

/// A restaurant whose instances are no more than their workers.
struct Kitchen {
    folder: tempfile::TempDir,
    bistro: Bistro,
    settings: Settings,
    recorder: Recorder,
    hasher: Hasher,
}

impl Kitchen {
    fn open() -> Kitchen {
        let folder = tempfile::tempdir().expect("a folder");
        let bistro = Bistro::open(&folder.path().join("bistro.db"), Options::default()).expect("the database opens");
        let hasher = Hasher::start(Cost::LEAST).expect("a hasher");
        Kitchen { folder, bistro, settings: Settings::default(), recorder: Recorder::default(), hasher }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("bistro.db")
    }

    fn set(&self, key: &str, value: u64) {
        self.settings.change([(format!("service.kitchen.{key}").as_str(), &json!(value))]).expect("fits");
    }

    fn instance(&self, id: &str) -> Workers {
        let cache = MenuCache::new(&self.bistro.invalidation(), self.settings.clone(), 1);
        let service = Service::new(self.bistro.clone(), self.hasher.clone(), cache, self.settings.clone());
        service.start_kitchen(&Home::new(id, "v1"), self.recorder.clone())
    }

    async fn order(&self) -> Order {
        let lines = vec![LineRequest { menu_item_id: 12, quantity: 1 }];
        let new = NewOrder { person: None, request: OrderRequest { table: 4, lines }, idempotency: None };
        self.bistro.place_order(&span(), new).await.expect("an order").order
    }

    async fn state_of(&self, order: &Order) -> OrderState {
        let found = self.bistro.order(&span(), &order.id).await.expect("an answer");
        found.expect("the order is there").state
    }

    /// Waits until the queue is so, looking at each of its changes.
    async fn until(&self, what: &str, holds: impl Fn(&Queue) -> bool) -> Queue {
        let mut changes = self.bistro.bus().listen(Topic::Tickets);
        let come = async {
            loop {
                let queue = self.bistro.kitchen(&span()).await.expect("an answer");
                if holds(&queue) {
                    return queue;
                }
                changes.changed().await.expect("a bus");
            }
        };
        tokio::time::timeout(PATIENCE, come).await.unwrap_or_else(|_| panic!("not so: {what}"))
    }

    async fn until_all_is_done(&self) {
        self.until("all is done", |queue| queue.lengths == Default::default()).await;
        assert_eq!(self.bistro.audit().await.expect("an audit").wrong, Vec::<String>::new());
    }
}

fn is_named(spans: &[Record], name: &str) -> bool {
    spans.iter().any(|span| span.name == name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_cooked_and_each_cooking_is_a_trace_of_its_own_and_no_request() {
    let kitchen = Kitchen::open();
    kitchen.set("cook_time", 1);
    let workers = kitchen.instance("i1");
    let order = kitchen.order().await;
    kitchen.until_all_is_done().await;
    assert_eq!(kitchen.state_of(&order).await, OrderState::Ready);
    workers.stop().await;

    let work = kitchen.recorder.recent_work();
    assert_eq!(work.len(), 1, "{work:?}");
    let (root, spans) = (&work[0].spans[0], &work[0].spans);
    assert_eq!((root.name.as_ref(), root.parent, root.status), ("Cook a ticket", None, Status::Ok));
    assert_eq!(work[0].subject, "ticket 1");
    for name in ["Claim a ticket", "Cook", "Finish the ticket"] {
        assert!(is_named(spans, name), "{name} in {spans:?}");
    }
    assert!(kitchen.recorder.recent(10).is_empty(), "it is no journey");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_workers_is_changed_while_they_work() {
    let kitchen = Kitchen::open();
    kitchen.set("cook_time", 600_000);
    kitchen.set("workers", 0);
    let workers = kitchen.instance("i1");
    for _ in 0..4 {
        kitchen.order().await;
    }
    let queue = kitchen.until("they wait", |queue| queue.lengths.waiting == 4).await;
    assert_eq!(queue.lengths.cooking, 0);
    kitchen.set("workers", 2);
    kitchen.until("two cook", |queue| queue.lengths.cooking == 2).await;
    kitchen.set("workers", 3);
    let queue = kitchen.until("three cook", |queue| queue.lengths.cooking == 3).await;
    let mut names: Vec<_> = queue.cooking.iter().filter_map(|ticket| ticket.worker.as_deref()).collect();
    names.sort_unstable();
    assert_eq!(names, ["i1/1", "i1/2", "i1/3"]);
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cooks_longer_than_a_lease_is_kept_by_heartbeats() {
    let kitchen = Kitchen::open();
    kitchen.set("lease", 300);
    kitchen.set("cook_time", 1_500);
    let (one, other) = (kitchen.instance("i1"), kitchen.instance("i2"));
    kitchen.order().await;
    kitchen.until_all_is_done().await;
    // The work is recorded once its report was heard.
    one.stop().await;
    other.stop().await;
    let work = kitchen.recorder.recent_work();
    assert_eq!(work.len(), 1, "nobody else got it: {work:?}");
    assert!(is_named(&work[0].spans, "Extend the lease"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_stops_hands_its_ticket_back_for_another_to_take_at_once() {
    let kitchen = Kitchen::open();
    kitchen.set("cook_time", 600_000);
    kitchen.set("lease", 600_000);
    let workers = kitchen.instance("i1");
    kitchen.order().await;
    kitchen.until("it cooks", |queue| queue.lengths.cooking == 1).await;
    workers.stop().await;
    let queue = kitchen.until("it waits again", |queue| queue.lengths.waiting == 1).await;
    assert_eq!((queue.waiting[0].attempts, &queue.waiting[0].last_error), (0, &None));
    kitchen.set("cook_time", 1);
    let workers = kitchen.instance("i2");
    kitchen.until_all_is_done().await;
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_instance_s_ticket_is_taken_by_another_when_its_lease_has_run_out() {
    let kitchen = Kitchen::open();
    kitchen.set("cook_time", 600_000);
    kitchen.set("lease", 300);
    let killed = kitchen.instance("i1");
    let order = kitchen.order().await;
    kitchen.until("it cooks", |queue| queue.lengths.cooking == 1).await;
    drop(killed);
    let other = kitchen.instance("i2");
    let takes = |queue: &Queue| queue.cooking.iter().any(|ticket| ticket.worker.as_deref() == Some("i2/1"));
    let queue = kitchen.until("the other has it", takes).await;
    assert_eq!(queue.cooking[0].attempts, 2);
    let why = "i1/1 did not report before its lease ran out";
    assert_eq!(queue.cooking[0].last_error.as_deref(), Some(why));
    other.stop().await;
    kitchen.set("cook_time", 1);
    let last = kitchen.instance("i3");
    kitchen.until_all_is_done().await;
    assert_eq!(kitchen.state_of(&order).await, OrderState::Ready);
    last.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_answer_for_a_while_costs_no_attempt() {
    let kitchen = Kitchen::open();
    kitchen.set("cook_time", 200);
    kitchen.set("lease", 60_000);
    let workers = kitchen.instance("i1");
    let order = kitchen.order().await;
    kitchen.until("it cooks", |queue| queue.lengths.cooking == 1).await;
    // Another process holds the database longer than the writer waits.
    let intruder = rusqlite::Connection::open(kitchen.path()).expect("the database");
    intruder.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    for _ in 0..2 {
        kitchen.bistro.pause_kitchen(&span(), false).await.expect_err("the store is busy");
    }
    intruder.execute_batch("ROLLBACK").expect("the lock is given back");
    kitchen.until_all_is_done().await;
    workers.stop().await;
    assert_eq!(kitchen.state_of(&order).await, OrderState::Ready);
    let work = kitchen.recorder.recent_work();
    assert_eq!(work.len(), 1, "one attempt: {work:?}");
    let finishes: Vec<Status> =
        work[0].spans.iter().filter(|span| span.name == "Finish the ticket").map(|span| span.status).collect();
    assert!(finishes.len() > 1 && finishes.last() == Some(&Status::Ok), "{finishes:?}");
    assert_eq!(finishes[0], Status::Error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_orders_are_shared_by_three_instances_and_each_is_cooked_once() {
    let kitchen = Kitchen::open();
    kitchen.set("cook_time", 0);
    kitchen.set("workers", 4);
    let instances = ["i1", "i2", "i3"].map(|id| kitchen.instance(id));
    for _ in 0..100 {
        kitchen.order().await;
    }
    kitchen.until_all_is_done().await;
    for workers in instances {
        workers.stop().await;
    }
    kitchen.bistro.close().await.expect("an orderly close");
    let database = rusqlite::Connection::open(kitchen.path()).expect("the database");
    let sql = "SELECT count(*), count(DISTINCT order_seq) FROM order_event WHERE action = 'finish'";
    let finished: (i64, i64) = database.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("counts");
    assert_eq!(finished, (100, 100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_that_a_restore_brings_back_are_cooked_by_workers_that_had_nothing_to_do() {
    let kitchen = Kitchen::open();
    kitchen.set("cook_time", 1);
    let order = kitchen.order().await;
    let backups = Backups::of(kitchen.folder.path());
    let name = backups.create(Reason::Manual, Some(&kitchen.bistro)).expect("a backup").name;
    let workers = kitchen.instance("i1");
    kitchen.until_all_is_done().await;

    let staged = backups.sound(&name).expect("a sound backup");
    let swap = Box::new(move || backups.swap(&staged).map(drop).map_err(|error| error.to_string()));
    kitchen.bistro.replace(swap).await.expect("restored");
    kitchen.until_all_is_done().await;
    assert_eq!(kitchen.state_of(&order).await, OrderState::Ready);
    workers.stop().await;
}
