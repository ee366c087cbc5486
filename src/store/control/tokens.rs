//! API tokens: only what is known of them is kept, and the hash of each secret.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::super::StoreError;
use super::super::engine::{JobError, Touched, unwatched};
use super::super::rows::{hashed, millis, moment, parsed};
use super::Control;
use super::events::insert_event;
use crate::domain::event::Event;
use crate::domain::permission::Scope;
use crate::domain::token::{NewToken, TOKENS_MAX, Token, TokenSecret};
use crate::web::secret::random_bytes;

/// A token's last use is written down at most this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
const KIND: &str = "token";

const LIST_TOKENS: &str =
    "SELECT id, name, scopes, created_at_ms, expires_at_ms, last_used_at_ms FROM token ORDER BY id LIMIT ?1";
const FIND_TOKEN: &str = "SELECT id, name, scopes, created_at_ms, expires_at_ms, last_used_at_ms FROM token \
                          WHERE secret_sha256 = ?1";
const TOKEN_EXPIRY: &str = "SELECT expires_at_ms FROM token WHERE id = ?1";
const COUNT_TOKENS: &str = "SELECT count(*) FROM token";
const FIND_NAME: &str = "SELECT 1 FROM token WHERE name = ?1";
const INSERT_TOKEN: &str = "INSERT INTO token (name, secret_sha256, scopes, created_at_ms, expires_at_ms) \
                            VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id";
const TOUCH_TOKEN: &str = "UPDATE token SET last_used_at_ms = max(coalesce(last_used_at_ms, 0), ?2) WHERE id = ?1";
const DELETE_TOKEN: &str = "DELETE FROM token WHERE id = ?1 RETURNING name, scopes";
const DELETE_TOKENS: &str = "DELETE FROM token RETURNING name, scopes";
const DELETE_OVER: &str = "DELETE FROM token WHERE expires_at_ms <= ?1";

/// Why no token was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("there is a token of that name already")]
    NameTaken,
    #[error("there are {TOKENS_MAX} tokens already")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobError for TokenError {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            TokenError::Store(error) => Some(error),
            TokenError::NameTaken | TokenError::TooMany => None,
        }
    }
}

impl Control {
    /// Makes one, and writes down who did; the secret can't be read again. Those whose time is over make room.
    pub async fn create_token(&self, new: NewToken, who: &str) -> Result<(Token, TokenSecret), TokenError> {
        const NAME: &str = "Make a token";
        let secret = TokenSecret::new(&random_bytes().map_err(StoreError::from)?);
        let (hash, now) = (hashed(secret.expose()), self.clock.now());
        let who = who.to_owned();
        let span = unwatched(NAME);
        let made = self.engine.write(&span, NAME, move |transaction| {
            transaction.db.step(NAME, &[], |connection| {
                Ok((insert_token(connection, &new, hash, &who, now)?, Touched::Changed(1)))
            })?
        });
        Ok((made.await?, secret))
    }

    /// All there are, those that have expired, too; the oldest first.
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.read("List tokens", move |connection| {
            connection.prepare_cached(LIST_TOKENS)?.query_map([TOKENS_MAX as i64], token)?.collect()
        })
    }

    /// The token of that secret, if it still counts; notes that it was used.
    pub async fn token(&self, secret: &TokenSecret) -> Result<Option<Token>, StoreError> {
        let (hash, now) = (hashed(secret.expose()), self.clock.now());
        let found = self.read("Find the token", move |connection| {
            connection.prepare_cached(FIND_TOKEN)?.query_row([&hash[..]], token).optional()
        })?;
        let found = found.filter(|token| token.is_live(now));
        if let Some(token) = &found
            && token.last_used_at.is_none_or(|last| now - last >= TOUCH_EVERY)
        {
            const NAME: &str = "Note when the token was used";
            let id = token.id;
            self.engine.write_later(NAME, move |transaction| {
                transaction.db.step(NAME, &[TOUCH_TOKEN], |connection| {
                    let changed = connection.prepare_cached(TOUCH_TOKEN)?.execute([id, millis(now)])?;
                    Ok(((), Touched::Changed(changed)))
                })
            });
        }
        Ok(found)
    }

    /// Whether a token that was let in still counts. Only a look.
    pub async fn is_token_live(&self, id: i64) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let expiry = self.read("Look at the token", move |connection| {
            connection.prepare_cached(TOKEN_EXPIRY)?.query_row([id], |row| moment(row, 0)).optional()
        })?;
        Ok(expiry.is_some_and(|expires_at| now < expires_at))
    }

    /// Ends one at once, and writes down who did. False: there is none of that id.
    pub async fn revoke_token(&self, id: i64, who: &str) -> Result<bool, StoreError> {
        let (now, who) = (self.clock.now(), who.to_owned());
        self.write("Revoke a token", move |connection| {
            let gone = connection.prepare_cached(DELETE_TOKEN)?.query_row([id], name_and_scopes).optional()?;
            gone.iter().try_for_each(|gone| insert_end(connection, gone, &who, now))?;
            Ok(gone.is_some())
        })
        .await
    }
}

/// Ends all of them, and writes each down.
pub(super) fn delete_tokens(connection: &Connection, who: &str, now: OffsetDateTime) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached(DELETE_TOKENS)?;
    let gone: Vec<_> = delete.query_map([], name_and_scopes)?.collect::<rusqlite::Result<_>>()?;
    gone.iter().try_for_each(|gone| insert_end(connection, gone, who, now))
}

fn name_and_scopes(row: &Row<'_>) -> rusqlite::Result<(String, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn insert_end(
    connection: &Connection,
    (name, scopes): &(String, String),
    who: &str,
    now: OffsetDateTime,
) -> rusqlite::Result<()> {
    insert_event(connection, &Event::new(who, KIND, name, &json!({ "scopes": scopes }), &Value::Null), now)
}

/// The outer error is the store's, the inner one says what stands against it.
fn insert_token(
    connection: &Connection,
    new: &NewToken,
    hash: [u8; 32],
    who: &str,
    now: OffsetDateTime,
) -> rusqlite::Result<Result<Token, TokenError>> {
    connection.prepare_cached(DELETE_OVER)?.execute([millis(now)])?;
    if connection.prepare_cached(FIND_NAME)?.exists([&new.name])? {
        return Ok(Err(TokenError::NameTaken));
    }
    let count: i64 = connection.prepare_cached(COUNT_TOKENS)?.query_row([], |row| row.get(0))?;
    if count >= TOKENS_MAX as i64 {
        return Ok(Err(TokenError::TooMany));
    }
    let expires_at = now + time::Duration::days(new.days);
    let scopes = new.scopes.iter().map(|scope| scope.id()).collect::<Vec<_>>().join(" ");
    let row = params![new.name, hash, scopes, millis(now), millis(expires_at)];
    let id = connection.prepare_cached(INSERT_TOKEN)?.query_row(row, |row| row.get(0))?;
    let after = json!({ "scopes": scopes, "days": new.days });
    insert_event(connection, &Event::new(who, KIND, &new.name, &Value::Null, &after), now)?;
    let (name, scopes) = (new.name.clone(), new.scopes.clone());
    Ok(Ok(Token { id, name, scopes, created_at: now, expires_at, last_used_at: None }))
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    let last_used_at = match row.get_ref(5)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(moment(row, 5)?),
    };
    Ok(Token {
        id: row.get(0)?,
        name: row.get(1)?,
        scopes: parsed(row, 2, |text| text.split(' ').map(Scope::from_id).collect())?,
        created_at: moment(row, 3)?,
        expires_at: moment(row, 4)?,
        last_used_at,
    })
}
