//! The edge's own shared cache: RFC 9111, 5861 (stale while a new one is fetched, or on errors), 9211
//! (`Cache-Status`) and 9213 (`CDN-Cache-Control`).
//!
//! The way of a request: [`answer`] looks in the [`store`] by [`key`]; what is there and fresh
//! ([`freshness`], [`control`]) is sent, whole, in part or as "not modified" ([`validate`]). Else one
//! request fetches and the others wait for it; what may be kept ([`object`]) is kept on its way ([`growing`]).

mod answer;
mod control;
mod fetch;
mod freshness;
mod growing;
mod key;
mod object;
mod refresh;
mod room;
pub mod rule;
mod status;
mod store;
mod validate;

use crate::settings::runtime::Settings;
pub use answer::{Body, Found, Refused};
pub use fetch::Source;
pub use growing::Reader;
pub use store::Figures;
use store::Store;

/// Cheap to clone; all clones are the same cache.
#[derive(Debug, Clone)]
pub struct SharedCache {
    store: Store,
    settings: Settings,
}

impl SharedCache {
    pub fn new(settings: Settings) -> Self {
        Self { store: Store::default(), settings }
    }

    /// Takes out the answers of one address (`https://host:port/path?query`); how many there were.
    pub fn purge_url(&self, url: &str) -> usize {
        key::of_url(url).map_or(0, |key| self.store.remove(&key))
    }

    /// Takes out the answers of all addresses that begin so.
    pub fn purge_prefix(&self, url: &str) -> usize {
        key::of_url(url).map_or(0, |prefix| self.store.remove_all(&prefix))
    }

    pub fn clear(&self) -> usize {
        self.store.clear()
    }

    /// Which clearing it has been since. Read before the configuration is, by which something is fetched.
    pub fn generation(&self) -> u64 {
        self.store.generation()
    }

    pub fn figures(&self) -> Figures {
        self.store.figures()
    }
}
