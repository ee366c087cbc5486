//! The restaurant's database, one file a stack: menu, pantry, orders, ledger, people and their sessions.

pub mod audit;
mod availability;
mod booking;
pub mod bus;
mod change;
mod day;
mod faults;
mod forget;
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
#[cfg(test)]
mod tests;
mod wakes;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use time::OffsetDateTime;

use super::cache::Invalidation;
use super::engine::{
    self, Droppable, Engine, Figures, Hold, Migration, OpenError, Schema, Slow, Swap, Touched, Use, unwatched,
};
use super::{StoreError, WallClock};
use crate::faults::Home;
use crate::policy::throttle::Throttle;
pub use audit::Audit;
use bus::{Bus, Topic};
pub use change::{Change, ChangeError};
pub use day::CloseError;
pub use faults::POISONED;
pub use keys::Idempotency;
pub use kitchen::{DirectError, LeaseError};
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
    // With which people's own orders are found.
    droppable: Some(Droppable {
        drop: "DROP INDEX IF EXISTS orders_by_person",
        create: "CREATE INDEX IF NOT EXISTS orders_by_person ON orders (person_id, listed_at_ms)",
    }),
    // The menu and what it is cooked from, the accounts, the one row of the kitchen. The seed makes them.
    // Of tickets, those that are being cooked: as many as there are workers. Of the open day, a line per kind and account.
    fixed: &["menu_item", "pantry_item", "recipe_line", "account", "kitchen", "ticket_cooking", "open_day_line"],
};

/// Carried out in a copy: sessions of the staff are not kept. A guest's is what shows them their orders.
pub const FORGET_SIGN_INS: &str =
    "DELETE FROM session WHERE person_id IN (SELECT id FROM person WHERE role <> 'guest')";

/// How a restaurant's database is opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub engine: engine::Options,
    pub clock: WallClock,
}

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Those that were placed.
    pub orders: i64,
    /// Tickets that the kitchen has not taken yet.
    pub waiting: i64,
    pub menu_items: i64,
}

// Each order that was placed has one ticket, and none is ever deleted (the audit and `verify::ORDERS` count them one
// by one).
const COUNTS: &str = "SELECT (SELECT coalesce(max(id), 0) FROM ticket), \
                      (SELECT waiting FROM kitchen), (SELECT count(*) FROM menu_item)";

fn counts(connection: &Connection) -> rusqlite::Result<Counts> {
    connection
        .prepare_cached(COUNTS)?
        .query_row([], |row| Ok(Counts { orders: row.get(0)?, waiting: row.get(1)?, menu_items: row.get(2)? }))
}

/// Whether this program knows how to read the database; else why not.
pub fn known(connection: &Connection) -> rusqlite::Result<Result<(), String>> {
    engine::known(connection, SCHEMA)
}

/// Brings a copy that nobody else has open up to this program's schema.
pub fn migrate(path: &Path) -> Result<(), OpenError> {
    engine::bring_up(path, SCHEMA)
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

    /// The same database, for an instance: faults that are aimed at it strike what it does here.
    pub fn of(&self, home: Home) -> Self {
        Self { engine: self.engine.of(home), ..self.clone() }
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

    /// How much its database has to do.
    pub fn usage(&self) -> Use {
        self.engine.usage()
    }

    /// The latest steps that were slow (`data.slow_query`), the newest last.
    pub fn slow(&self) -> Vec<Slow> {
        self.engine.slow()
    }

    /// How long the slowest commit took since this was asked last.
    pub fn take_longest_commit(&self) -> Duration {
        self.engine.take_longest_commit()
    }

    /// Has the writer leave its log alone while a copy is made.
    pub fn hold_checkpoints(&self) -> Hold {
        self.engine.hold_checkpoints()
    }

    /// Has `swap` put another file in this one's place, and goes on with that.
    pub async fn replace(&self, swap: Swap) -> Result<(), String> {
        let swapped = self.engine.replace(swap).await;
        // Whatever was remembered may have never been.
        self.invalidation.bump();
        Topic::ALL.into_iter().for_each(|topic| self.bus.fire(topic));
        swapped
    }

    /// For the start's greeting.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.engine.read(&unwatched("Count"), |db| {
            db.step("Count", &[COUNTS], |connection| Ok((counts(connection)?, Touched::Returned(1))))
        })
    }

    /// For the overview; None when the database can't say at once.
    pub fn counts_now(&self) -> Option<Counts> {
        self.engine.glance(counts)
    }

    /// Finishes what is queued, empties the write-ahead log and closes the file.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.engine.close().await
    }
}
