//! Drafts are not for ever: what was never placed goes a day after its last change, and with it the guest
//! of whom nothing else is left. What was placed stays; a trigger sees to it.

use rusqlite::{Connection, params};
use time::OffsetDateTime;

use super::super::StoreError;
use super::super::engine::{Db, Touched};
use super::super::rows::millis;
use super::keys;

/// A few with each new draft, so that there are never many and no request pays for all. The newest person
/// stays, and the caller has just written the newest order: no number is given twice.
const FIND: &str = "SELECT seq, person_id FROM orders WHERE placed_at_ms IS NULL AND changed_at_ms <= ?1 \
                    AND person_id < (SELECT max(id) FROM person) ORDER BY changed_at_ms LIMIT 8";
const DELETE_EVENTS: &str = "DELETE FROM order_event WHERE order_seq = ?1";
const DELETE_LINES: &str = "DELETE FROM order_line WHERE order_seq = ?1";
const DELETE_ORDER: &str = "DELETE FROM orders WHERE seq = ?1";
const DELETE_KEYS: &str = "DELETE FROM idempotency_key WHERE person_id = ?1 AND created_at_ms <= ?2";
const DELETE_SESSIONS: &str = "DELETE FROM session WHERE person_id = ?1 AND expires_at_ms <= ?2";
const DELETE_GUEST: &str = "DELETE FROM person WHERE id = ?1 AND role = 'guest' \
                            AND NOT EXISTS (SELECT 1 FROM orders WHERE person_id = ?1) \
                            AND NOT EXISTS (SELECT 1 FROM session WHERE person_id = ?1) \
                            AND NOT EXISTS (SELECT 1 FROM idempotency_key WHERE person_id = ?1)";

/// Deletes some drafts that were left alone for as long as a key is remembered: no repeat finds them.
pub fn idle_drafts(db: &mut Db<'_>, now: OffsetDateTime) -> Result<(), StoreError> {
    let idle_since = millis(now - keys::LIFETIME);
    let statements = [FIND, DELETE_EVENTS, DELETE_LINES, DELETE_ORDER, DELETE_KEYS, DELETE_SESSIONS, DELETE_GUEST];
    db.step("Delete drafts left alone", &statements, |connection| {
        let mut find = connection.prepare_cached(FIND)?;
        let found = find.query_map([idle_since], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let found: Vec<(i64, i64)> = found.collect::<rusqlite::Result<_>>()?;
        let mut changed = 0;
        for (seq, person) in found {
            changed += delete(connection, seq, person, idle_since, millis(now))?;
        }
        Ok(((), Touched::Changed(changed)))
    })
}

fn delete(connection: &Connection, seq: i64, person: i64, idle_since: i64, now: i64) -> rusqlite::Result<usize> {
    let mut changed = 0;
    for sql in [DELETE_EVENTS, DELETE_LINES, DELETE_ORDER] {
        changed += connection.prepare_cached(sql)?.execute([seq])?;
    }
    changed += connection.prepare_cached(DELETE_KEYS)?.execute(params![person, idle_since])?;
    changed += connection.prepare_cached(DELETE_SESSIONS)?.execute(params![person, now])?;
    Ok(changed + connection.prepare_cached(DELETE_GUEST)?.execute([person])?)
}
