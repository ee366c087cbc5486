//! What happened to the upstreams, with the reason in plain words; and who is told that something did.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;
use tokio::sync::watch;

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
    list: Mutex<VecDeque<Event>>,
    /// Counts the changes.
    changes: watch::Sender<u64>,
}

impl Events {
    pub fn record(&self, upstream: &str, from: impl Into<String>, to: impl Into<String>, reason: &str) {
        let (at, from, to) = (OffsetDateTime::now_utc(), from.into(), to.into());
        log::info!(target: "balancer", "{upstream}: {from} → {to}: {reason}");
        let event = Event { at, upstream: upstream.to_owned(), from, to, reason: reason.to_owned() };
        {
            let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
            if list.len() >= EVENTS_MAX {
                list.pop_front();
            }
            list.push_back(event);
        }
        self.changed();
    }

    /// Something that is shown changed, though no state did.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub fn list(&self) -> Vec<Event> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
