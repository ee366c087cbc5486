//! The restaurant itself, done to and seen in the model's words.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use roundtrip::domain::kitchen::{Claim, Direction};
use roundtrip::domain::order::{Expected, LineRequest, Order, OrderId, OrderRequest};
use roundtrip::domain::order_life;
use roundtrip::domain::permission::Role;
use roundtrip::domain::session::Visitor;
use roundtrip::observe::span::Span;
use roundtrip::policy::backoff::Attempts;
use roundtrip::service::{Service, ServiceError};
use roundtrip::settings::runtime::Settings;
use roundtrip::store::WallClock;
use roundtrip::store::bistro::{Bistro, DirectError, LeaseError, Options};
use roundtrip::store::cache::MenuCache;
use roundtrip::store::engine::{self, unwatched};
use roundtrip::store::hasher::{Cost, Hasher};
use time::OffsetDateTime;

use super::model::{BACKOFF, DISHES, LEASE, WAIT};

const PATIENCE: Duration = Duration::from_secs(60);
/// Neither number nor wait ends an attempt here: what the model does not draw is not drawn.
const ATTEMPTS: Attempts = Attempts { max: 1_000, first: Duration::ZERO, longest: Duration::ZERO };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Which of the model's dishes.
    pub dish: usize,
    pub quantity: u32,
    pub table: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    Edit(Wanted),
    Place,
    Serve,
    Pay,
    Cancel,
    Refund,
}

/// `nth` counts modulo what there is.
#[derive(Debug, Clone)]
pub enum Op {
    Begin {
        who: usize,
        order: Wanted,
        draft: bool,
        key: Option<u8>,
    },
    /// `off`: If-Match, so far from the version that it has.
    Change {
        who: usize,
        nth: usize,
        deed: Deed,
        off: Option<i64>,
        key: Option<u8>,
    },
    Claim,
    Finish {
        nth: usize,
    },
    GiveUp {
        nth: usize,
        dies: bool,
    },
    HandBack {
        nth: usize,
    },
    Requeue {
        nth: usize,
    },
    Wait,
    CloseDay {
        key: Option<u8>,
    },
    Crash,
}

/// An order as both see it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    pub index: usize,
    pub state: &'static str,
    pub version: i64,
    pub dish: i64,
    pub quantity: u32,
    pub table: u16,
    pub total: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Order(Seen),
    Day { orders: i64, takings: i64, refunds: i64, owed: i64 },
    Claimed(usize),
    Done,
    Idle,
    Nothing(usize),
    Refused(&'static str),
}

pub struct World {
    folder: tempfile::TempDir,
    millis: Arc<AtomicI64>,
    bistro: Bistro,
    service: Service,
    people: Vec<Visitor>,
    ids: Vec<OrderId>,
    claims: Vec<Claim>,
}

static HASHER: LazyLock<Hasher> = LazyLock::new(|| Hasher::start(Cost::LEAST).expect("a hasher"));

/// A new restaurant's file: to copy it takes less than to make it.
static NEW: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bistro.db");
    let bistro = Bistro::open(&path, Options::default()).expect("the database opens");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    std::thread::spawn(move || runtime.block_on(bistro.close())).join().expect("a thread").expect("closed");
    std::fs::read(path).expect("the file")
});

fn open(folder: &Path, millis: &Arc<AtomicI64>) -> (Bistro, Service) {
    let millis = Arc::clone(millis);
    let clock =
        WallClock::new(move || OffsetDateTime::UNIX_EPOCH + Duration::from_millis(millis.load(Relaxed).unsigned_abs()));
    // What is right is asked here, not how soon: a busy machine may let it wait.
    let engine = engine::Options { reader_wait_max: PATIENCE, queue_wait_max: PATIENCE, ..engine::Options::default() };
    let bistro = Bistro::open(&folder.join("bistro.db"), Options { clock, engine }).expect("the database opens");
    let cache = MenuCache::new(&bistro.invalidation(), Settings::default(), 1);
    let service = Service::new(bistro.clone(), HASHER.clone(), cache, Settings::default());
    (bistro, service)
}

fn span() -> Span {
    unwatched("Test")
}

impl World {
    pub async fn open() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("bistro.db"), &*NEW).expect("a copy");
        let millis = Arc::new(AtomicI64::new(1_800_000_000_000));
        let (bistro, service) = open(folder.path(), &millis);
        let mut people = Vec::new();
        for role in [Role::Guest, Role::Guest, Role::Waiter, Role::Manager] {
            let secret = bistro.mint_session(role).await.expect("a session");
            people.push(service.visitor(&span(), Some(secret.expose())).await.expect("a visitor"));
        }
        World { folder, millis, bistro, service, people, ids: Vec::new(), claims: Vec::new() }
    }

    pub async fn prices(&self) -> Vec<i64> {
        let menu = self.bistro.menu(&span()).await.expect("the menu");
        let price = |id: &i64| menu.iter().find(|item| item.id == *id).expect("a dish").price.cents();
        DISHES.iter().map(price).collect()
    }

    /// What is on the disk is opened elsewhere, as after a kill: nothing was closed, no log emptied.
    pub fn crash(&mut self) {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["bistro.db", "bistro.db-wal"] {
            std::fs::copy(self.folder.path().join(name), folder.path().join(name)).expect("a copy");
        }
        (self.bistro, self.service) = open(folder.path(), &self.millis);
        self.folder = folder;
    }

    /// What is not as it must be.
    pub async fn wrong(&self) -> Vec<String> {
        self.bistro.audit().await.expect("an audit").wrong
    }

    pub async fn orders(&mut self) -> Vec<Seen> {
        let mut orders = Vec::new();
        for id in self.ids.clone() {
            let order = self.bistro.order(&span(), &id).await.expect("an answer").expect("an order");
            orders.push(self.seen(&order));
        }
        orders
    }

    fn seen(&mut self, order: &Order) -> Seen {
        let index = self.ids.iter().position(|id| *id == order.id).unwrap_or_else(|| {
            self.ids.push(order.id.clone());
            self.ids.len() - 1
        });
        let line = &order.lines[0];
        assert_eq!((order.lines.len(), line.line_total), (1, order.total));
        assert_eq!(order.placed_at.is_some(), order.ticket.is_some(), "{order:?}");
        Seen {
            index,
            state: order.state.id(),
            version: order.version,
            dish: line.menu_item_id,
            quantity: line.quantity,
            table: order.table,
            total: order.total.cents(),
        }
    }

    pub async fn apply(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Begin { who, order, draft, key } => self.begin(*who, order, *draft, *key).await,
            Op::Change { nth, .. } if self.ids.is_empty() => Outcome::Nothing(*nth),
            Op::Change { who, nth, deed, off, key } => self.change(*who, nth % self.ids.len(), deed, *off, *key).await,
            Op::CloseDay { key } => {
                let by = self.people[3].person.expect("a number");
                match self.service.close_day(&span(), by, text(*key).as_deref()).await {
                    Ok(day) => Outcome::Day {
                        orders: day.orders(),
                        takings: day.takings().cents(),
                        refunds: day.refunds().cents(),
                        owed: day.receivable.cents(),
                    },
                    Err(error) => refused(&error),
                }
            }
            Op::Claim => {
                let lease = Duration::from_secs(LEASE.unsigned_abs());
                let claim = self.bistro.claim(&span(), "worker", lease, ATTEMPTS).await.expect("an answer");
                let Some(claim) = claim else { return Outcome::Idle };
                let index = self.ids.iter().position(|id| *id == claim.order).expect("one of ours");
                self.claims.push(claim);
                Outcome::Claimed(index)
            }
            Op::Finish { nth } | Op::GiveUp { nth, .. } | Op::HandBack { nth } => self.report(*nth, op).await,
            Op::Requeue { nth } => {
                let Some(at) = nth.checked_rem(self.ids.len()) else { return Outcome::Idle };
                let order = self.bistro.order(&span(), &self.ids[at]).await.expect("an answer").expect("an order");
                let Some(ticket) = order.ticket else { return Outcome::Refused("whose") };
                match self.bistro.direct(&span(), ticket.id, Direction::Requeue).await {
                    Ok(()) => Outcome::Done,
                    Err(DirectError::State(_)) => Outcome::Refused("state"),
                    Err(error) => panic!("{error}"),
                }
            }
            Op::Wait => {
                self.millis.fetch_add(WAIT * 1_000, Relaxed);
                Outcome::Done
            }
            Op::Crash => {
                self.crash();
                Outcome::Done
            }
        }
    }

    async fn begin(&mut self, who: usize, order: &Wanted, draft: bool, key: Option<u8>) -> Outcome {
        let (visitor, key) = (&self.people[who], text(key));
        let begun = match draft {
            true => self.service.draft_order(&span(), visitor, request(order), key.as_deref()).await,
            false => self.service.place_order(&span(), visitor, request(order), key.as_deref()).await,
        };
        match begun {
            Ok(placed) => Outcome::Order(self.seen(&placed.order)),
            Err(error) => refused(&error),
        }
    }

    async fn change(&mut self, who: usize, at: usize, deed: &Deed, off: Option<i64>, key: Option<u8>) -> Outcome {
        let id = self.ids[at].clone();
        let expected = match off {
            None => Expected::Any,
            Some(off) => {
                let order = self.bistro.order(&span(), &id).await.expect("an answer").expect("an order");
                Expected::OneOf(vec![order.version + off])
            }
        };
        let deed = match deed {
            Deed::Edit(wanted) => order_life::Deed::Edit(request(wanted)),
            Deed::Place => order_life::Deed::Place,
            Deed::Serve => order_life::Deed::Serve,
            Deed::Pay => order_life::Deed::Pay,
            Deed::Cancel => order_life::Deed::Cancel,
            Deed::Refund => order_life::Deed::Refund,
        };
        let (visitor, key) = (&self.people[who], text(key));
        match self.service.change_order(&span(), visitor, id, deed, expected, key.as_deref()).await {
            Ok(changed) => Outcome::Order(self.seen(&changed.order)),
            Err(error) => refused(&error),
        }
    }

    async fn report(&mut self, nth: usize, op: &Op) -> Outcome {
        let Some(nth) = nth.checked_rem(self.claims.len()) else { return Outcome::Idle };
        let claim = &self.claims[nth];
        let retry = |dies: bool| (!dies).then(|| Duration::from_secs(BACKOFF.unsigned_abs()));
        let reported = match op {
            Op::GiveUp { dies, .. } => self.bistro.give_up(&span(), claim, "burnt", retry(*dies)).await,
            Op::HandBack { .. } => self.bistro.hand_back(&span(), claim).await,
            _ => self.bistro.finish(&span(), claim).await,
        };
        match reported {
            Ok(()) => Outcome::Done,
            Err(LeaseError::Lost) => Outcome::Refused("lease"),
            Err(error) => panic!("{error}"),
        }
    }
}

fn request(order: &Wanted) -> OrderRequest {
    let line = LineRequest { menu_item_id: DISHES[order.dish], quantity: order.quantity };
    OrderRequest { table: order.table, lines: vec![line] }
}

fn text(key: Option<u8>) -> Option<String> {
    key.map(|key| format!("key-{key}"))
}

fn refused(error: &ServiceError) -> Outcome {
    Outcome::Refused(match error {
        ServiceError::IdempotencyConflict => "key",
        ServiceError::TooManyDrafts => "drafts",
        ServiceError::OutOfStock { .. } => "stock",
        ServiceError::NotFound { .. } => "whose",
        ServiceError::Stale { .. } => "stale",
        ServiceError::WrongState(_) => "state",
        ServiceError::NothingToClose => "nothing",
        other => panic!("{other}"),
    })
}
