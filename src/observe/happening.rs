//! What happened to a stack, for the marks on its charts: a fault began, an instance came, a setting was changed.
//!
//! Any part of a stack may record. In memory and bounded: what must be known for good stands in the console's
//! database.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use tokio::sync::broadcast;

use super::hop::Hop;

/// Happenings kept; the oldest goes first.
pub const KEPT_MAX: usize = 1_024;
/// Those that wait for a slow listener; beyond that it misses the oldest.
const WAITING_MAX: usize = 256;
/// What happened can quote what somebody sent.
const WHAT_CHARS_MAX: usize = 300;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    FaultOn,
    FaultOff,
    Setting,
    Instance,
    Scaling,
    Release,
    Upstream,
    Backup,
}

/// Something that happened, as whoever knows of it records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'a> {
    pub kind: Kind,
    /// None: it concerns the whole way.
    pub hop: Option<Hop>,
    /// In plain words: `fault.dns.delay on: 300 ms, for 120 s`.
    pub what: String,
    /// The owner's name, `a command`, `token NAME`, `its time`, `the autoscaler`.
    pub who: &'a str,
    /// The key of the fault that it is about.
    pub fault: Option<&'static str>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Happening {
    /// Counts up from 1.
    pub id: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The same, in milliseconds since 1970, as charts count.
    #[serde(rename = "at_ms", serialize_with = "unix_ms")]
    at_again: OffsetDateTime,
    pub hop: Option<Hop>,
    pub kind: Kind,
    pub what: String,
    pub who: String,
    pub fault: Option<&'static str>,
}

fn unix_ms<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64((at.unix_timestamp_nanos() / 1_000_000) as i64)
}

/// The latest happenings of one stack. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Happenings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kept: Mutex<Kept>,
    told: broadcast::Sender<Arc<Happening>>,
}

#[derive(Debug, Default)]
struct Kept {
    last_id: u64,
    list: VecDeque<Arc<Happening>>,
}

impl Default for Happenings {
    fn default() -> Self {
        Self(Arc::new(Inner { kept: Mutex::default(), told: broadcast::Sender::new(WAITING_MAX) }))
    }
}

impl Happenings {
    pub fn record(&self, note: Note<'_>) {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last_id += 1;
        // Under the lock, so that ids, times and what listeners hear have one order.
        let at = OffsetDateTime::now_utc();
        let happening = Arc::new(Happening {
            id: kept.last_id,
            at,
            at_again: at,
            hop: note.hop,
            kind: note.kind,
            what: note.what.chars().take(WHAT_CHARS_MAX).collect(),
            who: note.who.to_owned(),
            fault: note.fault,
        });
        if kept.list.len() >= KEPT_MAX {
            kept.list.pop_front();
        }
        kept.list.push_back(Arc::clone(&happening));
        // An error says that nobody listens.
        let _ = self.0.told.send(happening);
    }

    /// The latest `limit`, the newest last.
    pub fn latest(&self, limit: usize) -> Vec<Arc<Happening>> {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.list.iter().skip(kept.list.len().saturating_sub(limit)).cloned().collect()
    }

    /// Those from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Happening>> {
        self.0.told.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(what: &str) -> Note<'_> {
        Note { kind: Kind::FaultOn, hop: Some(Hop::Dns), what: what.to_owned(), who: "a test", fault: None }
    }

    #[test]
    fn the_oldest_goes_first() {
        let happenings = Happenings::default();
        for number in 0..=KEPT_MAX {
            happenings.record(note(&number.to_string()));
        }
        let latest = happenings.latest(usize::MAX);
        assert_eq!((latest.len(), latest[0].id, latest[0].what.as_str()), (KEPT_MAX, 2, "1"));
        assert_eq!(happenings.latest(2).iter().map(|each| each.id).collect::<Vec<_>>(), [1_024, 1_025]);
    }

    #[tokio::test]
    async fn a_listener_hears_what_is_recorded_from_now_on() {
        let happenings = Happenings::default();
        happenings.record(note("before"));
        let mut told = happenings.subscribe();
        happenings.record(note("after"));
        assert_eq!(told.recv().await.expect("one").what, "after");
    }

    #[test]
    fn its_json_is_what_charts_read() {
        let happenings = Happenings::default();
        happenings.record(note("fault.dns.delay on"));
        let one = serde_json::to_value(&*happenings.latest(1)[0]).expect("JSON");
        assert_eq!((one["kind"].as_str(), one["hop"].as_str()), (Some("fault-on"), Some("dns")));
        let at =
            OffsetDateTime::parse(one["at"].as_str().expect("a time"), &time::format_description::well_known::Rfc3339)
                .expect("RFC 3339");
        assert_eq!(one["at_ms"].as_i64(), Some((at.unix_timestamp_nanos() / 1_000_000) as i64));
    }
}
