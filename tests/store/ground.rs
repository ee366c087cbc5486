//! Where a store stands: what opens it, and the clock it goes by. All else that the suite knows is the public
//! interface.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use roundtrip::domain::menu::MenuItemId;
use roundtrip::domain::order::{LineRequest, OrderRequest};
use roundtrip::domain::page::{Cut, OrderFilter, OrderListing, OrderSort, PAGE_MAX};
use roundtrip::domain::session::PersonId;
use roundtrip::observe::span::Span;
use roundtrip::store::WallClock;
use roundtrip::store::bistro::{Bistro, Idempotency, NewOrder, Options};
use roundtrip::store::control::{self, Control};
use roundtrip::store::engine::unwatched;
use time::OffsetDateTime;

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Twenty portions of it are all there is.
pub const TRUFFLE_RISOTTO: MenuItemId = 15;
pub const HOUSE_SALAD: MenuItemId = 12;

/// An engine, with a place of its own for one test and a clock that only moves when told.
pub trait Ground: Sized {
    fn new() -> Outcome<Self>;
    /// The same restaurant each time: a second opening finds what the first left.
    fn bistro(&self) -> Outcome<Bistro>;
    fn control(&self) -> Outcome<Control>;
    fn pass(&self, time: Duration);
}

/// Files in a folder.
pub struct Sqlite {
    folder: tempfile::TempDir,
    seconds: Arc<AtomicI64>,
}

impl Sqlite {
    fn clock(&self) -> WallClock {
        let seconds = Arc::clone(&self.seconds);
        WallClock::new(move || OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds.load(Relaxed).unsigned_abs()))
    }
}

impl Ground for Sqlite {
    fn new() -> Outcome<Self> {
        Ok(Self { folder: tempfile::tempdir()?, seconds: Arc::new(AtomicI64::new(1_800_000_000)) })
    }

    fn bistro(&self) -> Outcome<Bistro> {
        let options = Options { clock: self.clock(), ..Options::default() };
        Ok(Bistro::open(&self.folder.path().join("bistro.db"), options)?)
    }

    fn control(&self) -> Outcome<Control> {
        let options = control::Options { clock: self.clock(), ..control::Options::default() };
        Ok(Control::open(&self.folder.path().join("control.db"), options)?)
    }

    fn pass(&self, time: Duration) {
        self.seconds.fetch_add(time.as_secs() as i64, Relaxed);
    }
}

/// Everything there is, as much as a page holds.
pub const ALL: OrderListing = OrderListing {
    filter: OrderFilter { state: None, table: None, placed_from: None, placed_to: None },
    sort: OrderSort::NewestFirst,
    cut: Cut { limit: PAGE_MAX, after: None },
};

pub fn span() -> Span {
    unwatched("test")
}

pub fn order(lines: &[(MenuItemId, u32)]) -> NewOrder {
    let lines = lines.iter().map(|&(menu_item_id, quantity)| LineRequest { menu_item_id, quantity }).collect();
    NewOrder { person: None, request: OrderRequest { table: 4, lines }, idempotency: None }
}

pub fn with_key(person: PersonId, lines: &[(MenuItemId, u32)], fingerprint: u8) -> NewOrder {
    let idempotency = Idempotency { route: "orders", key: "a key".into(), fingerprint: [fingerprint; 32] };
    NewOrder { person: Some(person), idempotency: Some(idempotency), ..order(lines) }
}
