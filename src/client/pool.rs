//! Connections left open for the next request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;

use super::faults::Scissors;
use crate::faults::wire::Length;
use crate::observe::tap::TapHandle;

/// Connections kept to one origin.
const KEPT_MAX: usize = 8;
/// Origins with kept connections.
const ORIGINS_MAX: usize = 64;
/// Below the 15 s after which our edge closes an idle one: whoever closes first is never surprised.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// A connection that speaks HTTP/1.1.
#[derive(Debug)]
pub(super) struct Link {
    pub sender: SendRequest<Full<Bytes>>,
    /// The bytes of requests and answers, decrypted.
    pub tap: TapHandle,
    /// How long its wire is, and when it is closed early.
    pub length: Length,
    pub scissors: Scissors,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// Requests it has carried.
    pub requests: u64,
    /// When it last came to rest.
    pub rested: Instant,
}

/// Kept connections by origin, the latest on top: it is the likeliest to be alive.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<HashMap<String, Vec<Link>>>);

impl Pool {
    /// The connection to `origin` that rested last, if one is alive.
    pub fn take(&self, origin: &str, now: Instant) -> Option<Link> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let links = kept.get_mut(origin)?;
        links.retain(|link| alive(link, now));
        links.pop()
    }

    /// Keeps a connection whose answer was read to its end.
    pub fn keep(&self, origin: &str, link: Link) {
        let now = link.rested;
        if link.sender.is_closed() {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= ORIGINS_MAX && !kept.contains_key(origin) {
            kept.retain(|_, links| links.iter().any(|link| alive(link, now)));
            if kept.len() >= ORIGINS_MAX {
                return;
            }
        }
        let links = kept.entry(origin.to_owned()).or_default();
        links.retain(|link| alive(link, now));
        if links.len() >= KEPT_MAX {
            links.remove(0);
        }
        links.push(link);
    }
}

fn alive(link: &Link, now: Instant) -> bool {
    !link.sender.is_closed() && now.saturating_duration_since(link.rested) < IDLE_MAX
}
