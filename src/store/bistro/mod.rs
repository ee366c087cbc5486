//! The restaurant's database, one file a stack: menu, pantry, orders, ledger, people and their sessions.

mod availability;
mod booking;
pub mod bus;
mod change;
mod day;
mod keys;
mod kitchen;
mod ledger;
mod life;
mod menu;
mod orders;
mod people;
mod place;
mod purchase;
mod sessions;
mod stock;
mod wakes;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use time::OffsetDateTime;

use super::cache::Invalidation;
use super::engine::{self, Engine, Figures, Migration, OpenError, Schema, Touched, unwatched};
use super::{StoreError, WallClock};
use crate::policy::throttle::Throttle;
use bus::Bus;
pub use change::{Change, ChangeError};
pub use day::CloseError;
pub use keys::Idempotency;
pub use kitchen::{DirectError, LeaseError};
pub use ledger::Audit;
pub use life::AdvanceError;
pub use people::Credentials;
pub use place::{NewOrder, PlaceError};
pub use purchase::Express;

const SCHEMA: Schema = Schema {
    // "rtBI".
    application_id: 0x7274_4249,
    migrations: &[
        Migration { sql: include_str!("../../../data/migrations/bistro/001_restaurant.sql") },
        Migration { sql: include_str!("../../../data/migrations/bistro/002_order_life.sql") },
    ],
    seed: Some(include_str!("../../../data/seed/bistro.sql")),
};

/// How a restaurant's database is opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub engine: engine::Options,
    pub clock: WallClock,
}

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub orders: i64,
    /// Tickets that the kitchen has not taken yet.
    pub waiting: i64,
    pub menu_items: i64,
}

/// The restaurant's database. Cheap to clone: the instances of a stack share one.
#[derive(Debug, Clone)]
pub struct Bistro {
    engine: Engine,
    clock: WallClock,
    invalidation: Invalidation,
    bus: Bus,
    /// Shared by the instances, since a guesser would go from one to the next.
    attempts: Arc<Mutex<Throttle>>,
}

impl Bistro {
    /// Opens the file, or makes it with the seed's menu, pantry and staff. Blocks: for the start only.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        Ok(Self {
            engine: Engine::open(path, SCHEMA, options.engine)?,
            clock: options.clock,
            invalidation: Invalidation::default(),
            bus: Bus::default(),
            attempts: Arc::default(),
        })
    }

    /// For the caches of this stack's instances.
    pub fn invalidation(&self) -> Invalidation {
        self.invalidation.clone()
    }

    /// For those who wait for a change.
    pub fn bus(&self) -> Bus {
        self.bus.clone()
    }

    /// What time it is for what is stored.
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// Runs `with` on the record of failed sign-ins.
    pub fn attempts<T>(&self, with: impl FnOnce(&mut Throttle, Instant) -> T) -> T {
        with(&mut self.attempts.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }

    /// What the writer has done since the start.
    pub fn figures(&self) -> Figures {
        self.engine.figures()
    }

    /// For the start's greeting and the overview.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        const COUNTS: &str = "SELECT (SELECT coalesce(max(seq), 0) FROM orders), \
                              (SELECT waiting FROM kitchen), (SELECT count(*) FROM menu_item)";
        self.engine.read(&unwatched("Count"), |db| {
            db.step("Count", &[COUNTS], |connection| {
                let counts = connection.prepare_cached(COUNTS)?.query_row([], |row| {
                    Ok(Counts { orders: row.get(0)?, waiting: row.get(1)?, menu_items: row.get(2)? })
                })?;
                Ok((counts, Touched::Returned(1)))
            })
        })
    }

    /// Finishes what is queued, empties the write-ahead log and closes the file.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.engine.close().await
    }
}
