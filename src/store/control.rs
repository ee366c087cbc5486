//! The console's database: its owner, the way to become it, and the owner's sessions.
//! No spans: the console's requests are no traffic.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use time::OffsetDateTime;

use super::engine::{self, Engine, JobError, Migration, OpenError, Schema, Touched, unwatched};
use super::rows::{hashed, millis, moment};
use super::{StoreError, WallClock, new_secret};
use crate::domain::session::{ABSOLUTE_MAX, ConsoleSession, IDLE_MAX, Owner, PER_PERSON_MAX, SessionSecret};
use crate::web::secret::{hex, random_bytes};

const SCHEMA: Schema = Schema {
    // "rtCO".
    application_id: 0x7274_434f,
    migrations: &[Migration { sql: include_str!("../../data/migrations/control/001_console.sql") }],
    seed: None,
    droppable: None,
    // One owner, one token, five sessions.
    fixed: &["owner", "setup_token", "session"],
};

/// Carried out in a copy: neither sessions nor set-up links are kept.
pub const FORGET_SIGN_INS: &str = "DELETE FROM session; DELETE FROM setup_token";

/// A set-up link works for so long.
pub const SETUP_TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// A session's last use is written down at most this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

const OWNER: &str = "SELECT name, password_phc FROM owner WHERE only_row = 1";
const INSERT_OWNER: &str =
    "INSERT OR IGNORE INTO owner (only_row, name, password_phc, created_at_ms) VALUES (1, ?1, ?2, ?3)";
const REPLACE_OWNER: &str =
    "INSERT OR REPLACE INTO owner (only_row, name, password_phc, created_at_ms) VALUES (1, ?1, ?2, ?3)";
const FIND_TOKEN: &str = "SELECT 1 FROM setup_token WHERE token_sha256 = ?1 AND expires_at_ms > ?2";
const INSERT_TOKEN: &str = "INSERT INTO setup_token (token_sha256, expires_at_ms) VALUES (?1, ?2)";
const DELETE_TOKENS: &str = "DELETE FROM setup_token";
const FIND_SESSION: &str = "SELECT created_at_ms, expires_at_ms, last_seen_at_ms FROM session WHERE secret_sha256 = ?1";
const INSERT_SESSION: &str = "INSERT INTO session (secret_sha256, created_at_ms, expires_at_ms, last_seen_at_ms) \
                              VALUES (?1, ?2, ?3, ?2)";
const TOUCH_SESSION: &str = "UPDATE session SET last_seen_at_ms = max(last_seen_at_ms, ?2) WHERE secret_sha256 = ?1";
const DELETE_SESSION: &str = "DELETE FROM session WHERE secret_sha256 = ?1";
const DELETE_SESSIONS: &str = "DELETE FROM session";
const DELETE_OVER: &str = "DELETE FROM session WHERE expires_at_ms <= ?1 OR last_seen_at_ms <= ?2";
const DELETE_OLDEST: &str = "DELETE FROM session WHERE secret_sha256 IN \
                             (SELECT secret_sha256 FROM session ORDER BY created_at_ms DESC LIMIT -1 OFFSET ?1)";

/// Why nobody became the owner. Nothing was changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Unknown, used or expired: which of them is nobody's business.
    #[error("the set-up link does not work any more")]
    BadToken,
    #[error("there is an owner already")]
    OwnerExists,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for ClaimError {
    fn from(error: rusqlite::Error) -> Self {
        ClaimError::Store(error.into())
    }
}

impl JobError for ClaimError {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            ClaimError::Store(error) => Some(error),
            ClaimError::BadToken | ClaimError::OwnerExists => None,
        }
    }
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

    /// Whose installation it is; None before the set-up.
    pub async fn owner(&self) -> Result<Option<Owner>, StoreError> {
        self.read("Read the owner", move |connection| {
            let owner = |row: &Row<'_>| Ok(Owner { name: row.get(0)?, password_phc: row.get(1)? });
            connection.prepare_cached(OWNER)?.query_row([], owner).optional()
        })
    }

    /// Makes the owner if there is none. False: there is one, and nothing was changed.
    pub async fn create_owner(&self, owner: Owner) -> Result<bool, StoreError> {
        let now = self.clock.now();
        self.write("Create the owner", move |connection| insert_owner(connection, &owner, now)).await
    }

    /// Makes the owner, or gives them a new name and password; ends all sessions.
    pub async fn reset_owner(&self, owner: Owner) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write("Reset the owner", move |connection| {
            connection.prepare_cached(DELETE_SESSIONS)?.execute([])?;
            let row = params![owner.name, owner.password_phc, millis(now)];
            connection.prepare_cached(REPLACE_OWNER)?.execute(row).map(drop)
        })
        .await
    }

    /// A new set-up token (128 bits in hex); the one before it stops working.
    pub async fn create_setup_token(&self) -> Result<String, StoreError> {
        let token = hex(&random_bytes::<16>()?);
        let (hash, expires_at) = (hashed(&token), self.clock.now() + SETUP_TOKEN_LIFETIME);
        self.write("Make a set-up token", move |connection| {
            connection.prepare_cached(DELETE_TOKENS)?.execute([])?;
            connection.prepare_cached(INSERT_TOKEN)?.execute(params![hash, millis(expires_at)]).map(drop)
        })
        .await?;
        Ok(token)
    }

    /// Whether a token would work: asked before a password is hashed for whoever sends one.
    pub async fn is_setup_token_live(&self, token: &str) -> Result<bool, StoreError> {
        let (hash, now) = (hashed(token), self.clock.now());
        self.read("Find the set-up token", move |connection| is_live(connection, hash, now))
    }

    /// Uses up the token, makes the owner and signs them in: all of it, or nothing.
    pub async fn claim(&self, token: &str, owner: Owner) -> Result<SessionSecret, ClaimError> {
        let (hash, secret, now) = (hashed(token), new_secret()?, self.clock.now());
        self.engine
            .write(&unwatched("Claim the installation"), "Claim the installation", move |transaction| {
                let claimed = transaction.db.step("Claim", &[], |connection| {
                    let claimed = claim(connection, hash, &owner, &secret, now)?;
                    Ok((claimed, Touched::Changed(1)))
                })?;
                claimed.map(|()| secret)
            })
            .await
    }

    /// Begins a session of the owner, who has just signed in. The session that came with the request,
    /// if any, ends: what was known before the sign-in must not be worth more after it.
    pub async fn create_session(&self, before: Option<&SessionSecret>) -> Result<SessionSecret, StoreError> {
        let (secret, now) = (new_secret()?, self.clock.now());
        let before = before.map(|before| hashed(before.expose()));
        self.write("Begin a session", move |connection| {
            if let Some(before) = before {
                connection.prepare_cached(DELETE_SESSION)?.execute([&before[..]])?;
            }
            insert_session(connection, &secret, now)?;
            Ok(secret)
        })
        .await
    }

    /// The session of that secret, if it is still live; notes that it was seen.
    pub async fn session(&self, secret: &SessionSecret) -> Result<Option<ConsoleSession>, StoreError> {
        let (hash, now) = (hashed(secret.expose()), self.clock.now());
        let found = self.live_session(hash, now)?;
        if found.is_some_and(|session| now - session.last_seen_at >= TOUCH_EVERY) {
            self.engine.write_later("Note when the session was seen", move |transaction| {
                transaction.db.step("Note when the session was seen", &[TOUCH_SESSION], |connection| {
                    let changed = connection.prepare_cached(TOUCH_SESSION)?.execute(params![hash, millis(now)])?;
                    Ok(((), Touched::Changed(changed)))
                })
            });
        }
        Ok(found)
    }

    /// Whether the session of that secret is still live. Only a look: who is watched is not at work.
    pub async fn is_session_live(&self, secret: &SessionSecret) -> Result<bool, StoreError> {
        Ok(self.live_session(hashed(secret.expose()), self.clock.now())?.is_some())
    }

    fn live_session(&self, hash: [u8; 32], now: OffsetDateTime) -> Result<Option<ConsoleSession>, StoreError> {
        let session = |row: &Row<'_>| {
            Ok(ConsoleSession {
                created_at: moment(row, 0)?,
                expires_at: moment(row, 1)?,
                last_seen_at: moment(row, 2)?,
            })
        };
        let found = self.read("Find the session", move |connection| {
            connection.prepare_cached(FIND_SESSION)?.query_row([&hash[..]], session).optional()
        })?;
        Ok(found.filter(|session| session.is_live(now)))
    }

    /// Ends a session. That it is none is no error.
    pub async fn delete_session(&self, secret: &SessionSecret) -> Result<(), StoreError> {
        let hash = hashed(secret.expose());
        self.write("End the session", move |connection| {
            connection.prepare_cached(DELETE_SESSION)?.execute([&hash[..]]).map(drop)
        })
        .await
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

/// The outer error is the store's, the inner one the claim's.
fn claim(
    connection: &Connection,
    token: [u8; 32],
    owner: &Owner,
    secret: &SessionSecret,
    now: OffsetDateTime,
) -> rusqlite::Result<Result<(), ClaimError>> {
    if !is_live(connection, token, now)? {
        return Ok(Err(ClaimError::BadToken));
    }
    if !insert_owner(connection, owner, now)? {
        return Ok(Err(ClaimError::OwnerExists));
    }
    connection.prepare_cached(DELETE_TOKENS)?.execute([])?;
    insert_session(connection, secret, now)?;
    Ok(Ok(()))
}

fn is_live(connection: &Connection, token: [u8; 32], now: OffsetDateTime) -> rusqlite::Result<bool> {
    connection.prepare_cached(FIND_TOKEN)?.exists(params![token, millis(now)])
}

fn insert_owner(connection: &Connection, owner: &Owner, now: OffsetDateTime) -> rusqlite::Result<bool> {
    let row = params![owner.name, owner.password_phc, millis(now)];
    Ok(connection.prepare_cached(INSERT_OWNER)?.execute(row)? == 1)
}

fn insert_session(connection: &Connection, secret: &SessionSecret, now: OffsetDateTime) -> rusqlite::Result<()> {
    connection.prepare_cached(DELETE_OVER)?.execute([millis(now), millis(now - IDLE_MAX)])?;
    connection.prepare_cached(DELETE_OLDEST)?.execute([PER_PERSON_MAX as i64 - 1])?;
    let row = params![hashed(secret.expose()), millis(now), millis(now + ABSOLUTE_MAX)];
    connection.prepare_cached(INSERT_SESSION)?.execute(row).map(drop)
}
