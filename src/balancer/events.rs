//! What happened to the upstreams, with the reason in plain words; and who is told that something did.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;
use tokio::sync::watch;

use crate::observe::happening::{Happenings, Kind, Note};
use crate::observe::hop::Hop;

/// Events kept; the oldest goes first.
const EVENTS_MAX: usize = 256;

/// A change of one upstream's state.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Event {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub upstream: String,
    /// A state (`healthy`), or one of the circuit breaker's (`breaker closed`).
    pub from: String,
    pub to: String,
    pub reason: String,
}

#[derive(Debug, Default)]
pub struct Events {
    log: Mutex<Log>,
    /// Counts the changes.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Log {
    list: VecDeque<Event>,
    /// Where they are told of, too.
    happenings: Option<Happenings>,
}

impl Event {
    fn tell(&self, happenings: &Happenings) {
        let what = format!("{}: {} → {}: {}", self.upstream, self.from, self.to, self.reason);
        let hop = Some(Hop::Balancer);
        happenings.record(Note { kind: Kind::Upstream, hop, what, who: "the balancer", fault: None });
    }
}

impl Events {
    pub fn record(&self, upstream: &str, from: impl Into<String>, to: impl Into<String>, reason: &str) {
        let (at, from, to) = (OffsetDateTime::now_utc(), from.into(), to.into());
        log::info!(target: "balancer", "{upstream}: {from} → {to}: {reason}");
        let event = Event { at, upstream: upstream.to_owned(), from, to, reason: reason.to_owned() };
        {
            let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            log.happenings.iter().for_each(|happenings| event.tell(happenings));
            if log.list.len() >= EVENTS_MAX {
                log.list.pop_front();
            }
            log.list.push_back(event);
        }
        self.changed();
    }

    /// Records all of them there, too: those that there are already, and those to come.
    pub fn report_to(&self, happenings: &Happenings) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.list.iter().for_each(|event| event.tell(happenings));
        log.happenings = Some(happenings.clone());
    }

    /// Something that is shown changed, though no state did.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub fn list(&self) -> Vec<Event> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).list.iter().cloned().collect()
    }

    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_before_anybody_asked_is_told_as_well() {
        let (events, happenings) = (Events::default(), Happenings::default());
        events.record("i1", "starting", "healthy", "its first check passed");
        events.report_to(&happenings);
        events.record("i1", "healthy", "unhealthy", "a test");
        let told: Vec<String> = happenings.latest(9).iter().map(|happening| happening.what.clone()).collect();
        assert_eq!(told, ["i1: starting → healthy: its first check passed", "i1: healthy → unhealthy: a test"]);
    }

    #[test]
    fn the_oldest_goes_first() {
        let events = Events::default();
        for number in 0..=EVENTS_MAX {
            events.record(&format!("i{number}"), "healthy", "unhealthy", "a test");
        }
        let list = events.list();
        assert_eq!((list.len(), list[0].upstream.as_str()), (EVENTS_MAX, "i1"));
    }
}
