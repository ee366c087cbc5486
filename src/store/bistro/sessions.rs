//! Sessions of guests and staff. The secret is in the visitor's cookie alone; here is its hash.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::engine::{Touched, unwatched};
use super::super::rows::{hashed, millis, moment, parsed};
use super::super::{Present, StoreError, new_secret};
use super::Bistro;
use crate::domain::permission::Role;
use crate::domain::session::{ABSOLUTE_MAX, IDLE_MAX, MINTED_MAX, PER_PERSON_MAX, PersonId, Session, SessionSecret};
use crate::observe::span::Span;

/// A session's last use is written down at most this often: not every read is worth a commit.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
/// Minted sessions of one person: more than one console sends at once, since each may take its own.
const MINTED_PER_PERSON_MAX: i64 = 64;

const FIND: &str = "SELECT person_id, role, name, session.created_at_ms, expires_at_ms, last_seen_at_ms \
                    FROM session JOIN person ON person.id = person_id WHERE secret_sha256 = ?1";
const TOUCH: &str = "UPDATE session SET last_seen_at_ms = max(last_seen_at_ms, ?2) WHERE secret_sha256 = ?1";
const DELETE: &str = "DELETE FROM session WHERE secret_sha256 = ?1";
/// A few at a time, so that no request pays for a whole night's guests.
const DELETE_EXPIRED: &str = "DELETE FROM session WHERE secret_sha256 IN \
                              (SELECT secret_sha256 FROM session WHERE expires_at_ms <= ?1 LIMIT 32)";
const DELETE_IDLE: &str = "DELETE FROM session WHERE secret_sha256 IN \
                           (SELECT secret_sha256 FROM session WHERE last_seen_at_ms <= ?1 LIMIT 32)";
/// All but the newest of one person.
const DELETE_OLDEST: &str = "DELETE FROM session WHERE secret_sha256 IN (SELECT secret_sha256 FROM session \
                             WHERE person_id = ?1 AND minted = ?2 ORDER BY created_at_ms DESC LIMIT -1 OFFSET ?3)";
const INSERT: &str = "INSERT INTO session (secret_sha256, person_id, minted, created_at_ms, expires_at_ms, \
                      last_seen_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?4)";
const INSERT_GUEST: &str = "INSERT INTO person (role, created_at_ms) VALUES ('guest', ?1)";
/// By the index of names: guests have none.
const OF_ROLE: &str = "SELECT id FROM person WHERE role = ?1 AND name > '' ORDER BY +id LIMIT 1";

/// The statements of [`insert`], for the trace.
pub(super) const INSERT_ALL: [&str; 4] = [DELETE_EXPIRED, DELETE_IDLE, DELETE_OLDEST, INSERT];
/// Those of [`welcome`].
pub(super) const WELCOME_ALL: [&str; 5] = [INSERT_GUEST, DELETE_EXPIRED, DELETE_IDLE, DELETE_OLDEST, INSERT];

/// Begins a session; the person's oldest and some that are over give way.
fn insert(
    connection: &Connection,
    secret: &SessionSecret,
    person: PersonId,
    minted: bool,
    present: Present,
) -> rusqlite::Result<usize> {
    let (lifetime, others_max) =
        if minted { (MINTED_MAX, MINTED_PER_PERSON_MAX - 1) } else { (ABSOLUTE_MAX, PER_PERSON_MAX as i64 - 1) };
    let (now, over) = (present.now, present.over_by_either());
    let mut changed = connection.prepare_cached(DELETE_EXPIRED)?.execute([millis(over)])?;
    changed += connection.prepare_cached(DELETE_IDLE)?.execute([millis(over - IDLE_MAX)])?;
    changed += connection.prepare_cached(DELETE_OLDEST)?.execute(params![person.0, minted, others_max])?;
    let row = params![hashed(secret.expose()), person.0, minted, millis(now), millis(now + lifetime)];
    Ok(changed + connection.prepare_cached(INSERT)?.execute(row)?)
}

/// Makes an anonymous guest and their session.
pub(super) fn welcome(
    connection: &Connection,
    secret: &SessionSecret,
    minted: bool,
    present: Present,
) -> rusqlite::Result<(PersonId, usize)> {
    let person = PersonId(connection.prepare_cached(INSERT_GUEST)?.insert([millis(present.now)])?);
    let changed = insert(connection, secret, person, minted, present)?;
    Ok((person, changed + 1))
}

impl Bistro {
    /// Begins a session of somebody who has just proved who they are.
    pub async fn create_session(&self, span: &Span, person: PersonId) -> Result<SessionSecret, StoreError> {
        let (secret, present) = (new_secret()?, self.clock.present());
        self.engine
            .write(span, "Begin a session", move |transaction| {
                transaction.db.step("Write the session", &INSERT_ALL, |connection| {
                    let changed = insert(connection, &secret, person, false, present)?;
                    Ok((secret, Touched::Changed(changed)))
                })
            })
            .await
    }

    /// Makes a real session of the role's seeded member of staff, or of a new guest, for five minutes:
    /// how the control plane sends a request "as a waiter". The owner has no place in the restaurant.
    pub async fn mint_session(&self, role: Role) -> Result<SessionSecret, StoreError> {
        let (secret, present) = (new_secret()?, self.clock.present());
        let span = unwatched("Mint a session");
        let minted = self
            .engine
            .write(&span, "Mint a session", move |transaction| {
                transaction.db.step("Write the session", &[OF_ROLE, INSERT], |connection| {
                    let changed = if role == Role::Guest {
                        welcome(connection, &secret, true, present)?.1
                    } else {
                        let person = connection.prepare_cached(OF_ROLE)?.query_row([role.id()], |row| row.get(0));
                        let Some(person) = person.optional()? else { return Ok((None, Touched::Changed(0))) };
                        insert(connection, &secret, PersonId(person), true, present)?
                    };
                    Ok((Some(secret), Touched::Changed(changed)))
                })
            })
            .await?;
        minted.ok_or_else(|| StoreError::Internal(format!("nobody works here as {}", role.id())))
    }

    /// The session of that secret, if it is still live; notes that it was seen.
    pub async fn session(&self, span: &Span, secret: &SessionSecret) -> Result<Option<Session>, StoreError> {
        let Some(session) = self.session_unseen(span, secret).await? else { return Ok(None) };
        let (hash, now) = (hashed(secret.expose()), self.clock.now());
        if now - session.last_seen_at >= TOUCH_EVERY {
            self.engine.write_later("Note when the session was seen", move |transaction| {
                transaction.db.step("Note when the session was seen", &[TOUCH], |connection| {
                    let changed = connection.prepare_cached(TOUCH)?.execute(params![hash, millis(now)])?;
                    Ok(((), Touched::Changed(changed)))
                })
            });
        }
        Ok(Some(session))
    }

    /// As [`Self::session`], but nothing is noted: looking does not keep it alive.
    pub async fn session_unseen(&self, span: &Span, secret: &SessionSecret) -> Result<Option<Session>, StoreError> {
        let hash = hashed(secret.expose());
        let found = self.engine.read(span, |db| {
            db.step("Find the session", &[FIND], |connection| {
                let found = connection.prepare_cached(FIND)?.query_row([&hash[..]], session).optional()?;
                let rows = usize::from(found.is_some());
                Ok((found, Touched::Returned(rows)))
            })
        })?;
        let now = self.clock.now();
        Ok(found.filter(|session| session.is_live(now)))
    }

    /// Ends a session. That it is none is no error: the wish is granted.
    pub async fn delete_session(&self, span: &Span, secret: &SessionSecret) -> Result<(), StoreError> {
        let hash = hashed(secret.expose());
        self.engine
            .write(span, "End the session", move |transaction| {
                transaction.db.step("Delete the session", &[DELETE], |connection| {
                    let changed = connection.prepare_cached(DELETE)?.execute([&hash[..]])?;
                    Ok(((), Touched::Changed(changed)))
                })
            })
            .await
    }
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        person: PersonId(row.get(0)?),
        role: parsed(row, 1, Role::from_id)?,
        name: row.get(2)?,
        created_at: moment(row, 3)?,
        expires_at: moment(row, 4)?,
        last_seen_at: moment(row, 5)?,
    })
}
