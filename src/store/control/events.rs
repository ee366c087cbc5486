//! What was changed, by whom: written before it is done, and there for good.

use rusqlite::{Connection, Row, params};
use time::OffsetDateTime;

use super::super::StoreError;
use super::super::rows::{millis, moment};
use super::Control;
use crate::domain::event::{Event, Recorded};

/// Events in a page at most.
pub const PAGE_MAX: usize = 200;

const INSERT_EVENT: &str =
    "INSERT INTO event (at_ms, who, kind, subject, before, after) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const LIST_EVENTS: &str = "SELECT id, at_ms, who, kind, subject, before, after FROM event WHERE id < ?1 \
                           ORDER BY id DESC LIMIT ?2";

impl Control {
    /// Writes all of them down, or none.
    pub async fn record(&self, events: Vec<Event>) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write("Write changes down", move |connection| {
            events.iter().try_for_each(|event| insert_event(connection, event, now))
        })
        .await
    }

    /// The latest `limit` (at most [`PAGE_MAX`]) with an id below `before`, the newest first.
    pub async fn events(&self, before: Option<i64>, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let event = |row: &Row<'_>| {
            Ok(Recorded {
                id: row.get(0)?,
                at: moment(row, 1)?,
                who: row.get(2)?,
                kind: row.get(3)?,
                subject: row.get(4)?,
                before: row.get(5)?,
                after: row.get(6)?,
            })
        };
        let (before, limit) = (before.unwrap_or(i64::MAX), limit.min(PAGE_MAX) as i64);
        self.read("List changes", move |connection| {
            connection.prepare_cached(LIST_EVENTS)?.query_map([before, limit], event)?.collect()
        })
    }
}

pub(super) fn insert_event(connection: &Connection, event: &Event, now: OffsetDateTime) -> rusqlite::Result<()> {
    let row = params![millis(now), event.who, event.kind, event.subject, event.before, event.after];
    connection.prepare_cached(INSERT_EVENT)?.execute(row).map(drop)
}
