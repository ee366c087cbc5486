//! What one instance remembers of the menu, so that the hottest reads need no statement at all.
//!
//! An entry ends in three ways: by age (`data.cache.ttl`), by space (the least recently used goes), or
//! because an order changed what is available. For the last all instances of a stack watch one number.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;

use crate::domain::menu::{MenuItem, MenuItemId};
use crate::observe::clock::{Tick, micros};
use crate::observe::hop::Hop;
use crate::observe::span::{Span, Status};

/// Entries an instance keeps.
const ENTRIES_MAX: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// The version of what is cached, shared by the instances of a stack.
#[derive(Debug, Clone, Default)]
pub struct Invalidation(Arc<AtomicU64>);

impl Invalidation {
    /// Makes every entry of every instance out of date. Called after the COMMIT that changed the menu:
    /// before it, somebody could read the old state and keep it as new.
    pub fn bump(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn version(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    Menu,
    Item(MenuItemId),
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Key::Menu => f.write_str("menu"),
            Key::Item(id) => write!(f, "menu/{id}"),
        }
    }
}

/// The answers to a key: the whole menu, or a list of one.
pub type Items = Arc<Vec<MenuItem>>;

#[derive(Debug)]
struct Entry {
    items: Items,
    version: u64,
    at: Tick,
}

/// The result of a look.
#[derive(Debug)]
pub enum Looked {
    Hit(Items),
    /// To be handed to [`MenuCache::keep`] with what the database says.
    Miss(Ticket),
}

/// When a miss happened. What is read after it is at least as new as this version.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    key: Key,
    version: u64,
}

/// One instance's cache. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MenuCache {
    entries: Arc<Mutex<LruCache<Key, Entry>>>,
    invalidation: Invalidation,
}

impl MenuCache {
    pub fn new(invalidation: Invalidation) -> Self {
        Self { entries: Arc::new(Mutex::new(LruCache::new(ENTRIES_MAX))), invalidation }
    }

    /// Looks for `key`, in a span of its own. Skipped when the request asked for the source.
    pub fn look(&self, span: &Span, key: Key, ttl: Duration) -> Looked {
        let look = span.child(Hop::Data, "Look in the cache");
        let version = self.invalidation.version();
        let bypassed = span.bypass_caches();
        let found = if bypassed { None } else { self.find(key, ttl, version, Tick::now()) };
        if bypassed {
            look.status(Status::Skipped);
        }
        look.attribute("roundtrip.cache.key", || key.to_string())
            .attribute("roundtrip.cache.hit", || found.is_some())
            .attribute("roundtrip.cache.bypassed", || bypassed);
        if let Some((_, age)) = &found {
            look.attribute("roundtrip.cache.age_ms", || micros(*age) / 1_000.0);
        }
        match found {
            Some((items, _)) => Looked::Hit(items),
            None => Looked::Miss(Ticket { key, version }),
        }
    }

    /// Keeps what the database said after the miss of `ticket`. A TTL of zero keeps nothing.
    pub fn keep(&self, ticket: Ticket, items: Items, ttl: Duration) {
        if !ttl.is_zero() {
            self.entries().put(ticket.key, Entry { items, version: ticket.version, at: Tick::now() });
        }
    }

    fn find(&self, key: Key, ttl: Duration, version: u64, now: Tick) -> Option<(Items, Duration)> {
        let mut entries = self.entries();
        let entry = entries.get(&key)?;
        let age = now.since(entry.at);
        if entry.version == version && age < ttl {
            return Some((Arc::clone(&entry.items), age));
        }
        entries.pop(&key);
        None
    }

    /// Entries are whole values: a panic elsewhere leaves none half-written.
    fn entries(&self) -> MutexGuard<'_, LruCache<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::unwatched;

    const TTL: Duration = Duration::from_secs(30);

    fn miss(cache: &MenuCache, key: Key, ttl: Duration) -> Option<Ticket> {
        match cache.look(&unwatched("test"), key, ttl) {
            Looked::Hit(_) => None,
            Looked::Miss(ticket) => Some(ticket),
        }
    }

    #[test]
    fn what_is_kept_is_found_until_its_age_or_a_change_ends_it() {
        let invalidation = Invalidation::default();
        let (one, other) = (MenuCache::new(invalidation.clone()), MenuCache::new(invalidation.clone()));
        for cache in [&one, &other] {
            let ticket = miss(cache, Key::Menu, TTL);
            ticket.into_iter().for_each(|ticket| cache.keep(ticket, Items::default(), TTL));
            assert!(miss(cache, Key::Menu, TTL).is_none());
        }
        let entry_age = |cache: &MenuCache| cache.find(Key::Menu, TTL, 0, Tick::now() + TTL).is_some();
        assert!(!entry_age(&one), "too old");
        invalidation.bump();
        assert!(miss(&other, Key::Menu, TTL).is_some(), "an order changed it");
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_as_if_read_after() {
        let invalidation = Invalidation::default();
        let cache = MenuCache::new(invalidation.clone());
        let ticket = miss(&cache, Key::Item(3), TTL);
        invalidation.bump();
        ticket.into_iter().for_each(|ticket| cache.keep(ticket, Items::default(), TTL));
        assert!(miss(&cache, Key::Item(3), TTL).is_some());
    }

    #[test]
    fn a_ttl_of_zero_keeps_nothing_and_space_is_bounded() {
        let cache = MenuCache::new(Invalidation::default());
        for id in 0..1_000 {
            let ticket = Ticket { key: Key::Item(id), version: 0 };
            cache.keep(ticket, Items::default(), Duration::ZERO);
            assert_eq!(cache.entries().len(), 0);
        }
        for id in 0..1_000 {
            cache.keep(Ticket { key: Key::Item(id), version: 0 }, Items::default(), TTL);
        }
        assert_eq!(cache.entries().len(), ENTRIES_MAX.get());
    }
}
