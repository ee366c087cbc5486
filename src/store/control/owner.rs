//! Whose installation it is, and the way to become it: once, with a link that works for a quarter of an hour.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;
use time::OffsetDateTime;

use super::super::engine::{JobError, Touched, unwatched};
use super::super::rows::{hashed, millis};
use super::super::{StoreError, new_secret};
use super::Control;
use super::events::insert_event;
use super::sessions::{DELETE_SESSIONS, insert_session};
use super::tokens::delete_tokens;
use crate::domain::event::Event;
use crate::domain::session::{Owner, SessionSecret};
use crate::web::secret::{hex, random_bytes};

/// A set-up link works for so long.
pub const SETUP_TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);

const OWNER: &str = "SELECT name, password_phc FROM owner WHERE only_row = 1";
const INSERT_OWNER: &str =
    "INSERT OR IGNORE INTO owner (only_row, name, password_phc, created_at_ms) VALUES (1, ?1, ?2, ?3)";
const REPLACE_OWNER: &str =
    "INSERT OR REPLACE INTO owner (only_row, name, password_phc, created_at_ms) VALUES (1, ?1, ?2, ?3)";
const FIND_TOKEN: &str = "SELECT 1 FROM setup_token WHERE token_sha256 = ?1 AND expires_at_ms > ?2";
const INSERT_TOKEN: &str = "INSERT INTO setup_token (token_sha256, expires_at_ms) VALUES (?1, ?2)";
const DELETE_TOKENS: &str = "DELETE FROM setup_token";

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

impl Control {
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

    /// Makes the owner, or gives them a new name and password; ends all sessions and tokens. Writes down that `who` did.
    pub async fn reset_owner(&self, owner: Owner, who: &str) -> Result<(), StoreError> {
        let (now, who) = (self.clock.now(), who.to_owned());
        self.write("Reset the owner", move |connection| {
            let before = connection.prepare_cached(OWNER)?.query_row([], |row| row.get::<_, String>(0)).optional()?;
            insert_event(connection, &Event::new(&who, "owner", &owner.name, &json!(before), &json!(owner.name)), now)?;
            connection.prepare_cached(DELETE_SESSIONS)?.execute([])?;
            delete_tokens(connection, &who, now)?;
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
