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

use bytes::Bytes;

use crate::settings::runtime::Settings;
use crate::web::accept_encoding::Coding;
pub use answer::{Body, Found, Refused};
pub use fetch::Source;
pub use growing::Reader;
pub use status::CacheStatus;
use store::Store;
pub use store::{Figures, Kept};

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
        key::of_url(url).map_or(0, |prefix| self.store.remove_where(|key| key.starts_with(&*prefix)))
    }

    /// Takes out what begins with this path, under whatever name the edge was asked for it.
    pub fn purge_path(&self, path: &str) -> usize {
        self.store.remove_where(|key| key::target(key).is_some_and(|target| target.starts_with(path)))
    }

    /// The body of what is kept in `coding`, if somebody had that before.
    pub fn form(&self, kept: &Kept, coding: Coding) -> Option<Bytes> {
        kept.stored.forms[coding as usize].clone()
    }

    /// Keeps it in that form beside the rest.
    pub fn keep_form(&self, kept: &Kept, coding: Coding, form: Bytes) -> Bytes {
        self.store.keep_form(kept, coding, form, self.settings.snapshot().http.cache.bytes)
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
