//! The owner's sessions.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use time::OffsetDateTime;

use super::super::engine::Touched;
use super::super::rows::{hashed, millis, moment};
use super::super::{StoreError, new_secret};
use super::Control;
use crate::domain::session::{ABSOLUTE_MAX, ConsoleSession, IDLE_MAX, PER_PERSON_MAX, SessionSecret};

/// A session's last use is written down at most this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

const FIND_SESSION: &str = "SELECT created_at_ms, expires_at_ms, last_seen_at_ms FROM session WHERE secret_sha256 = ?1";
const INSERT_SESSION: &str = "INSERT INTO session (secret_sha256, created_at_ms, expires_at_ms, last_seen_at_ms) \
                              VALUES (?1, ?2, ?3, ?2)";
const TOUCH_SESSION: &str = "UPDATE session SET last_seen_at_ms = max(last_seen_at_ms, ?2) WHERE secret_sha256 = ?1";
const DELETE_SESSION: &str = "DELETE FROM session WHERE secret_sha256 = ?1";
pub(super) const DELETE_SESSIONS: &str = "DELETE FROM session";
const DELETE_OVER: &str = "DELETE FROM session WHERE expires_at_ms <= ?1 OR last_seen_at_ms <= ?2";
const DELETE_OLDEST: &str = "DELETE FROM session WHERE secret_sha256 IN \
                             (SELECT secret_sha256 FROM session ORDER BY created_at_ms DESC LIMIT -1 OFFSET ?1)";

impl Control {
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
}

pub(super) fn insert_session(
    connection: &Connection,
    secret: &SessionSecret,
    now: OffsetDateTime,
) -> rusqlite::Result<()> {
    connection.prepare_cached(DELETE_OVER)?.execute([millis(now), millis(now - IDLE_MAX)])?;
    connection.prepare_cached(DELETE_OLDEST)?.execute([PER_PERSON_MAX as i64 - 1])?;
    let row = params![hashed(secret.expose()), millis(now), millis(now + ABSOLUTE_MAX)];
    connection.prepare_cached(INSERT_SESSION)?.execute(row).map(drop)
}
