//! The queue itself, with a clock that only moves when told.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use roundtrip::domain::kitchen::{Claim, Direction, Due, KitchenTicket, LANE_MAX, Queue};
use roundtrip::domain::menu::MenuItemId;
use roundtrip::domain::order::{LineRequest, Order, OrderRequest, OrderState, TicketState};
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::SpanId;
use roundtrip::observe::span::{Context, Record, Span, Trace};
use roundtrip::policy::backoff::Attempts;
use roundtrip::store::WallClock;
use roundtrip::store::bistro::bus::Topic;
use roundtrip::store::bistro::{Bistro, DirectError, LeaseError, NewOrder, Options};
use roundtrip::store::engine::unwatched;
use time::OffsetDateTime;

pub const LEASE: Duration = Duration::from_secs(5);
/// Two attempts; one second between them at most, half of it at least.
pub const ATTEMPTS: Attempts = Attempts { max: 2, first: Duration::from_secs(1), longest: Duration::from_secs(1) };
const HOUSE_SALAD: MenuItemId = 12;

/// A restaurant without workers, whose time stands still.
pub struct Kitchen {
    _folder: tempfile::TempDir,
    millis: Arc<AtomicI64>,
    pub bistro: Bistro,
}

impl Kitchen {
    pub fn open() -> Kitchen {
        let folder = tempfile::tempdir().expect("a folder");
        let millis = Arc::new(AtomicI64::new(1_800_000_000_000));
        let hands = Arc::clone(&millis);
        let since = move || Duration::from_millis(hands.load(Relaxed).unsigned_abs());
        let clock = WallClock::new(move || OffsetDateTime::UNIX_EPOCH + since());
        let options = Options { clock, ..Options::default() };
        let bistro = Bistro::open(&folder.path().join("bistro.db"), options).expect("the database opens");
        Kitchen { _folder: folder, millis, bistro }
    }

    pub fn pass(&self, time: Duration) {
        self.millis.fetch_add(time.as_millis() as i64, Relaxed);
    }

    pub async fn order(&self) -> Order {
        let lines = vec![LineRequest { menu_item_id: HOUSE_SALAD, quantity: 2 }];
        let new = NewOrder { person: None, request: OrderRequest { table: 4, lines }, idempotency: None };
        self.bistro.place_order(&span(), new).await.expect("an order").order
    }

    pub async fn claim(&self, worker: &str) -> Option<Claim> {
        self.bistro.claim(&span(), worker, LEASE, ATTEMPTS).await.expect("the store answers")
    }

    /// The ticket that worker got; there must be one.
    async fn claimed(&self, worker: &str) -> Claim {
        self.claim(worker).await.expect("a ticket is due")
    }

    pub async fn queue(&self) -> Queue {
        self.bistro.kitchen(&span()).await.expect("the store answers")
    }

    /// Waiting, cooking, dead.
    async fn lengths(&self) -> [i64; 3] {
        let lengths = self.queue().await.lengths;
        [lengths.waiting, lengths.cooking, lengths.dead]
    }

    async fn state_of(&self, order: &Order) -> OrderState {
        let found = self.bistro.order(&span(), &order.id).await.expect("the store answers");
        found.expect("the order is there").state
    }

    pub async fn is_consistent(&self) {
        assert_eq!(self.bistro.audit().await.expect("an audit").wrong, Vec::<String>::new());
    }
}

pub fn span() -> Span {
    unwatched("Test")
}

fn ids(lane: &[KitchenTicket]) -> Vec<i64> {
    lane.iter().map(|ticket| ticket.id).collect()
}

#[tokio::test]
async fn a_ticket_goes_from_waiting_through_a_worker_s_hands_and_its_order_with_it() {
    let kitchen = Kitchen::open();
    let order = kitchen.order().await;
    let ticket = order.ticket.expect("a placed order has a ticket").id;
    assert_eq!(kitchen.lengths().await, [1, 0, 0]);

    let claim = kitchen.claimed("i1/1").await;
    assert_eq!((claim.ticket, &claim.order, claim.attempt), (ticket, &order.id, 1));
    assert_eq!((kitchen.state_of(&order).await, kitchen.lengths().await), (OrderState::Cooking, [0, 1, 0]));
    assert_eq!(kitchen.claim("i2/1").await, None, "it is one worker's");
    let cooking = &kitchen.queue().await.cooking[0];
    assert_eq!((cooking.worker.as_deref(), cooking.attempts, cooking.table), (Some("i1/1"), 1, 4));
    assert_eq!(cooking.dishes, [(2, "House Salad".to_owned())]);
    kitchen.is_consistent().await;

    kitchen.bistro.finish(&span(), &claim).await.expect("it is its own");
    assert_eq!((kitchen.state_of(&order).await, kitchen.lengths().await), (OrderState::Ready, [0, 0, 0]));
    let found = kitchen.bistro.order(&span(), &order.id).await.expect("an answer").expect("the order");
    assert_eq!((found.ticket.map(|ticket| ticket.state), found.version), (Some(TicketState::Done), 3));
    kitchen.is_consistent().await;
}

#[tokio::test]
async fn a_worker_that_is_silent_loses_its_ticket_when_its_lease_runs_out_and_what_it_says_later_changes_nothing() {
    let kitchen = Kitchen::open();
    kitchen.order().await;
    let silent = kitchen.claimed("i1/1").await;
    kitchen.pass(LEASE - Duration::from_millis(1));
    assert_eq!(kitchen.claim("i2/1").await, None, "not a moment before");
    kitchen.pass(Duration::from_millis(1));
    assert_eq!(kitchen.claim("i2/1").await, None, "put back, and backing off");
    let waiting = kitchen.queue().await.waiting.remove(0);
    assert_eq!(waiting.last_error.as_deref(), Some("i1/1 did not report before its lease ran out"));
    kitchen.is_consistent().await;

    kitchen.pass(ATTEMPTS.longest);
    let second = kitchen.claimed("i2/1").await;
    assert_eq!((second.ticket, second.attempt), (silent.ticket, 2));
    let before = kitchen.queue().await;
    let lost = Err(LeaseError::Lost);
    assert_eq!(kitchen.bistro.finish(&span(), &silent).await, lost);
    assert_eq!(kitchen.bistro.extend(&span(), &silent, LEASE).await, lost);
    assert_eq!(kitchen.bistro.give_up(&span(), &silent, "burnt", None).await, lost);
    assert_eq!(kitchen.bistro.hand_back(&span(), &silent).await, lost);
    assert_eq!(kitchen.queue().await, before);
    kitchen.bistro.finish(&span(), &second).await.expect("the lease is its own");
    assert_eq!(kitchen.bistro.finish(&span(), &second).await, lost, "finished once");
    kitchen.is_consistent().await;
}

/// After a restore ids and lease numbers begin again where the backup was; the order's id does not.
#[tokio::test]
async fn a_claim_of_another_order_changes_nothing_though_ticket_and_lease_are_the_same() {
    let kitchen = Kitchen::open();
    let (order, other) = (kitchen.order().await, kitchen.order().await);
    let claim = kitchen.claimed("i1/1").await;
    assert_eq!(claim.order, order.id);
    let (stale, lost) = (Claim { order: other.id, ..claim.clone() }, Err(LeaseError::Lost));
    assert_eq!(kitchen.bistro.extend(&span(), &stale, LEASE).await, lost);
    assert_eq!(kitchen.bistro.give_up(&span(), &stale, "burnt", None).await, lost);
    assert_eq!(kitchen.bistro.give_up(&span(), &stale, "burnt", Some(LEASE)).await, lost);
    assert_eq!(kitchen.bistro.hand_back(&span(), &stale).await, lost);
    assert_eq!(kitchen.bistro.finish(&span(), &stale).await, lost);
    assert_eq!((kitchen.state_of(&order).await, kitchen.lengths().await), (OrderState::Cooking, [1, 1, 0]));
    kitchen.bistro.finish(&span(), &claim).await.expect("it is its own");
}

#[tokio::test]
async fn a_heartbeat_keeps_the_lease() {
    let kitchen = Kitchen::open();
    kitchen.order().await;
    let claim = kitchen.claimed("i1/1").await;
    for _ in 0..5 {
        kitchen.pass(LEASE / 2);
        kitchen.bistro.extend(&span(), &claim, LEASE).await.expect("it is its own");
        assert_eq!(kitchen.claim("i2/1").await, None);
    }
    kitchen.bistro.finish(&span(), &claim).await.expect("it is its own");
}

#[tokio::test]
async fn the_last_attempt_that_fails_leaves_a_dead_ticket_that_a_chef_can_queue_again() {
    let kitchen = Kitchen::open();
    let order = kitchen.order().await;
    let ticket = kitchen.claimed("i1/1").await.ticket;
    kitchen.pass(LEASE);
    assert_eq!(kitchen.claim("i1/1").await, None);
    kitchen.pass(ATTEMPTS.longest);
    let last = kitchen.claimed("i1/1").await;
    kitchen.bistro.give_up(&span(), &last, "the oven is cold", None).await.expect("it is its own");

    let dead = kitchen.queue().await.dead.remove(0);
    assert_eq!((dead.id, dead.attempts, dead.last_error.as_deref()), (ticket, 2, Some("the oven is cold")));
    assert_eq!((kitchen.state_of(&order).await, kitchen.lengths().await), (OrderState::Placed, [0, 0, 1]));
    kitchen.pass(Duration::from_secs(3_600));
    assert_eq!(kitchen.claim("i1/1").await, None, "nobody takes up the dead");
    kitchen.is_consistent().await;

    let shown = async || kitchen.bistro.order(&span(), &order.id).await.expect("an answer").expect("the order");
    let before = shown().await;
    kitchen.bistro.direct(&span(), ticket, Direction::Requeue).await.expect("it is dead");
    let (after, state) = (shown().await, |order: &Order| order.ticket.as_ref().map(|ticket| ticket.state));
    assert_eq!((state(&before), state(&after)), (Some(TicketState::Dead), Some(TicketState::Waiting)));
    assert_eq!(after.version, before.version + 1, "it is shown otherwise, so its tag is another");
    let again = kitchen.claimed("i1/1").await;
    assert_eq!((again.ticket, again.attempt), (ticket, 1));
    kitchen.bistro.finish(&span(), &again).await.expect("it is its own");
    assert_eq!((kitchen.state_of(&order).await, kitchen.lengths().await), (OrderState::Ready, [0, 0, 0]));
    kitchen.is_consistent().await;
}

#[tokio::test]
async fn a_lease_that_runs_out_on_the_last_attempt_is_the_end_too() {
    let kitchen = Kitchen::open();
    kitchen.order().await;
    for _ in 0..ATTEMPTS.max {
        kitchen.claimed("i1/1").await;
        kitchen.pass(LEASE);
        assert_eq!(kitchen.claim("i1/1").await, None);
        kitchen.pass(ATTEMPTS.longest);
    }
    assert_eq!((kitchen.claim("i1/1").await, kitchen.lengths().await), (None, [0, 0, 1]));
    kitchen.is_consistent().await;
}

#[tokio::test]
async fn a_worker_that_stops_hands_its_ticket_back_and_no_attempt_is_counted() {
    let kitchen = Kitchen::open();
    let order = kitchen.order().await;
    for _ in 0..=ATTEMPTS.max {
        let claim = kitchen.claimed("i1/1").await;
        assert_eq!(claim.attempt, 1);
        kitchen.bistro.hand_back(&span(), &claim).await.expect("it is its own");
        assert_eq!((kitchen.state_of(&order).await, kitchen.lengths().await), (OrderState::Placed, [1, 0, 0]));
    }
    kitchen.is_consistent().await;
}

#[tokio::test]
async fn the_oldest_goes_first_unless_the_chef_says_otherwise() {
    let kitchen = Kitchen::open();
    let mut placed = Vec::new();
    for _ in 0..4 {
        placed.push(kitchen.order().await.ticket.expect("a ticket").id);
        kitchen.pass(Duration::from_millis(1));
    }
    let [one, two, three, four] = placed[..] else { panic!("four") };
    kitchen.bistro.direct(&span(), one, Direction::Last).await.expect("it waits");
    kitchen.bistro.direct(&span(), four, Direction::First).await.expect("it waits");
    assert_eq!(ids(&kitchen.queue().await.waiting), [four, two, three, one]);
    for expected in [four, two, three, one] {
        assert_eq!(kitchen.claimed("i1/1").await.ticket, expected);
    }
    let refused = kitchen.bistro.direct(&span(), one, Direction::First).await;
    assert_eq!(refused, Err(DirectError::State(TicketState::Cooking)));
    let refused = kitchen.bistro.direct(&span(), one, Direction::Requeue).await;
    assert_eq!(refused, Err(DirectError::State(TicketState::Cooking)));
    assert_eq!(kitchen.bistro.direct(&span(), 99, Direction::First).await, Err(DirectError::NoTicket));
    kitchen.is_consistent().await;
}

#[tokio::test]
async fn a_ticket_that_backs_off_lets_others_pass_whatever_its_priority() {
    let kitchen = Kitchen::open();
    let urgent = kitchen.order().await.ticket.expect("a ticket").id;
    kitchen.bistro.direct(&span(), urgent, Direction::First).await.expect("it waits");
    let claim = kitchen.claimed("i1/1").await;
    let wait = Duration::from_secs(30);
    kitchen.bistro.give_up(&span(), &claim, "burnt", Some(wait)).await.expect("it is its own");
    let other = kitchen.order().await.ticket.expect("a ticket").id;
    assert_eq!(kitchen.claimed("i1/1").await.ticket, other);
    kitchen.pass(wait);
    assert_eq!(kitchen.claimed("i2/1").await.ticket, urgent);
}

#[tokio::test]
async fn a_clock_that_is_set_back_stalls_neither_what_waits_nor_what_is_cooked() {
    let kitchen = Kitchen::open();
    let hour = Duration::from_secs(3_600);
    let (waiting, cooking) = (kitchen.order().await, kitchen.order().await);
    let claim = kitchen.claimed("i1/1").await;
    kitchen.bistro.give_up(&span(), &claim, "burnt", Some(ATTEMPTS.longest)).await.expect("it is its own");
    assert_eq!(kitchen.claimed("i1/1").await.order, cooking.id);
    kitchen.millis.fetch_sub(hour.as_millis() as i64, Relaxed);
    assert_eq!(kitchen.bistro.kitchen_due(&span(), LEASE, ATTEMPTS).await, Ok(Due::Now));
    assert_eq!(kitchen.claimed("i1/1").await.order, waiting.id);
    kitchen.pass(ATTEMPTS.longest);
    assert_eq!(kitchen.claimed("i1/2").await.order, cooking.id, "its lease was over");
    kitchen.is_consistent().await;
}

#[tokio::test]
async fn a_paused_kitchen_takes_up_nothing_but_finishes_what_it_has() {
    let kitchen = Kitchen::open();
    kitchen.order().await;
    let claim = kitchen.claimed("i1/1").await;
    kitchen.order().await;
    kitchen.bistro.pause_kitchen(&span(), true).await.expect("an answer");
    assert!(kitchen.queue().await.lengths.paused);
    assert_eq!(kitchen.claim("i2/1").await, None);
    kitchen.bistro.extend(&span(), &claim, LEASE).await.expect("it is its own");
    kitchen.bistro.finish(&span(), &claim).await.expect("it is its own");
    kitchen.bistro.pause_kitchen(&span(), false).await.expect("an answer");
    assert!(kitchen.claim("i2/1").await.is_some());
}

#[tokio::test]
async fn whoever_waits_is_told_when_to_come_back_and_woken_by_each_change() {
    let kitchen = Kitchen::open();
    let due = async || kitchen.bistro.kitchen_due(&span(), LEASE, ATTEMPTS).await.expect("an answer");
    let mut changes = kitchen.bistro.bus().listen(Topic::Tickets);
    let mut woken = || {
        let changed = changes.has_changed().expect("a bus");
        changes.mark_unchanged();
        changed
    };
    assert_eq!(due().await, Due::Never);
    kitchen.order().await;
    assert_eq!((due().await, woken()), (Due::Now, true));
    kitchen.bistro.pause_kitchen(&span(), true).await.expect("an answer");
    assert_eq!((due().await, woken()), (Due::Never, true));
    kitchen.bistro.pause_kitchen(&span(), false).await.expect("an answer");
    assert!(woken());
    let claim = kitchen.claimed("i1/1").await;
    let lease_ends = kitchen.queue().await.cooking[0].lease_until.expect("a lease");
    assert_eq!((due().await, woken()), (Due::At(lease_ends), true));
    assert_eq!((kitchen.claim("i2/1").await, woken()), (None, false), "nothing was changed");
    kitchen.bistro.give_up(&span(), &claim, "burnt", Some(LEASE * 2)).await.expect("it is its own");
    let again_at = kitchen.queue().await.waiting[0].due_at;
    assert_eq!((due().await, woken()), (Due::At(again_at), true));
}

#[tokio::test]
async fn the_view_lists_fifty_of_a_lane_and_counts_them_all() {
    let kitchen = Kitchen::open();
    for _ in 0..=LANE_MAX {
        kitchen.order().await;
    }
    let queue = kitchen.queue().await;
    assert_eq!((queue.lengths.waiting, queue.waiting.len()), (LANE_MAX as i64 + 1, LANE_MAX));
}

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let kitchen = Kitchen::open();
    let context = Context { detail: true, ..Context::new_root() };
    let span = Trace::start(context, SpanId::random(), Hop::Service, "Test", Tick::now());
    let bistro = &kitchen.bistro;
    for _ in 0..3 {
        kitchen.order().await;
    }
    let claim = async || bistro.claim(&span, "i1/1", LEASE, ATTEMPTS).await.expect("an answer");
    let (one, two) = (claim().await.expect("one"), claim().await.expect("two"));
    bistro.extend(&span, &one, LEASE).await.expect("it is its own");
    bistro.finish(&span, &one).await.expect("it is its own");
    bistro.give_up(&span, &two, "burnt", None).await.expect("it is its own");
    bistro.direct(&span, two.ticket, Direction::Requeue).await.expect("it is dead");
    bistro.direct(&span, two.ticket, Direction::Last).await.expect("it waits");
    let three = claim().await.expect("three");
    bistro.hand_back(&span, &three).await.expect("it is its own");
    bistro.give_up(&span, &claim().await.expect("three"), "burnt", Some(LEASE)).await.expect("it is its own");
    claim().await.expect("two");
    kitchen.pass(LEASE);
    claim().await;
    bistro.kitchen_due(&span, LEASE, ATTEMPTS).await.expect("an answer");
    bistro.kitchen(&span).await.expect("an answer");
    bistro.pause_kitchen(&span, true).await.expect("an answer");
    let plans: Vec<String> = span.trace().finish().into_iter().flat_map(plan).collect();
    assert!(plans.len() > 40, "{plans:#?}");
    let walks: Vec<_> = plans.iter().filter(|plan| walks(plan)).collect();
    assert!(walks.is_empty(), "{walks:#?}");
}

/// An index that holds just the tickets of one state may be walked along, in its order and up to the LIMIT.
fn walks(plan: &str) -> bool {
    let tables = ["ticket", "orders", "order_line", "kitchen", "order_event"];
    tables.iter().any(|table| plan == format!("SCAN {table}") || plan.starts_with(&format!("SCAN {table} ")))
        && !plan.contains("USING INDEX ticket_")
        && !plan.contains("USING COVERING INDEX ticket_")
}

fn plan(record: Record) -> Vec<String> {
    let plans = record.attributes.into_iter().filter(|(key, _)| key == "db.query.plan");
    plans.flat_map(|(_, value)| serde_json::from_value::<Vec<String>>(value).expect("lines")).collect()
}
