//! The console's database: its owner, the way to become it, who is signed in, with what scripts come, and what was
//! changed. No spans: the console's requests are no traffic.

mod events;
mod owner;
mod sessions;
mod tokens;

use std::path::Path;

use rusqlite::Connection;

use super::engine::{self, Engine, Migration, OpenError, Schema, Touched, unwatched};
use super::{StoreError, WallClock};
pub use events::PAGE_MAX;
pub use owner::{ClaimError, SETUP_TOKEN_LIFETIME};
pub use tokens::TokenError;

const SCHEMA: Schema = Schema {
    // "rtCO".
    application_id: 0x7274_434f,
    migrations: &[
        Migration { sql: include_str!("../../../data/migrations/control/001_console.sql") },
        Migration { sql: include_str!("../../../data/migrations/control/002_events_and_tokens.sql") },
    ],
    seed: None,
    // One owner, one set-up token, five sessions, 64 tokens.
    fixed: &["owner", "setup_token", "session", "token"],
};

/// Carried out in a copy: nobody is let in by what was let in when it was made. An older copy has no tokens.
pub fn forget_sign_ins(copy: &Connection) -> rusqlite::Result<()> {
    copy.execute_batch("DELETE FROM session; DELETE FROM setup_token")?;
    if copy.table_exists(None, "token")? { copy.execute_batch("DELETE FROM token") } else { Ok(()) }
}

/// How the console's database is opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub engine: engine::Options,
    pub clock: WallClock,
}

/// The console's database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    engine: Engine,
    clock: WallClock,
}

impl Control {
    /// Opens the file, or makes it. Blocks: for the start only.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        Ok(Self { engine: Engine::open(path, SCHEMA, options.engine)?, clock: options.clock })
    }

    /// Finishes what is queued, empties the write-ahead log and closes the file.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.engine.close().await
    }

    fn read<T>(
        &self,
        name: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.engine
            .read(&unwatched(name), |db| db.step(name, &[], |connection| Ok((work(connection)?, Touched::Returned(1)))))
    }

    async fn write<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.engine
            .write(&unwatched(name), name, move |transaction| {
                transaction.db.step(name, &[], |connection| Ok((work(connection)?, Touched::Changed(1))))
            })
            .await
    }
}
