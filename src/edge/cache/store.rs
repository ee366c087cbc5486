//! What is stored, what is being fetched, and what is known not to be worth waiting for: one table, one
//! lock, never held while anything is waited for.

mod ticket;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::COOKIE;
use lru::LruCache;
use serde::Serialize;
use tokio::sync::watch;

use super::control::Control;
use super::growing::Growing;
use super::key::Selection;
use super::object::{Head, Stored};
use super::room::Room;
use super::status::Why;
use crate::observe::clock::Tick;
use crate::web::accept_encoding::Coding;
pub use ticket::Ticket;

/// Variants of one address; the oldest goes.
const VARIANTS_MAX: usize = 32;
/// What an address takes in memory besides its responses, roughly.
const ENTRY_BYTES: u64 = 256;

/// Addresses that are known not to be worth waiting for; the least recently used goes.
const ALONE_MAX: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// How a cache is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Stored responses.
    pub entries: usize,
    pub bytes: u64,
    pub hits: u64,
    pub misses: u64,
    /// Answers from a stale response: while a new one was fetched, or because nobody could be asked.
    pub stale_hits: u64,
    /// How often a request waited for another's fetch.
    pub collapsed: u64,
    pub evictions: u64,
}

/// A response of which the head is there.
#[derive(Debug, Clone)]
pub struct Arriving {
    pub head: Arc<Head>,
    pub body: Arc<Growing>,
}

/// What a request wants of the store.
#[derive(Debug)]
pub struct Ask<'a> {
    pub key: &'a Arc<str>,
    pub headers: &'a HeaderMap,
    pub control: &'a Control,
    pub now: Tick,
    /// The store's when the request came.
    pub generation: u64,
    /// Whether another's answer would do for it.
    pub may_join: bool,
    /// Whether its answer would do for others when nothing is stored (a condition of its own would not).
    pub may_lead: bool,
}

/// What the store has for it.
#[derive(Debug)]
pub enum Look {
    /// Good as it is.
    Fresh(Stored),
    /// Good once more, while whoever holds the ticket fetches a new one; None: somebody does.
    WhileRevalidating(Stored, Option<Ticket>),
    /// Somebody is fetching it.
    Join(watch::Receiver<Option<Arriving>>, Why),
    Fetch {
        ticket: Ticket,
        stale: Option<Stored>,
        why: Why,
    },
}

/// Cheap to clone; all clones are the same store.
#[derive(Debug, Clone)]
pub struct Store {
    shelf: Arc<Mutex<Shelf>>,
    /// Goes up when all is taken out. What was asked for before, of upstreams that may be others', is not put in
    /// after.
    generation: Arc<AtomicU64>,
    room: Room,
}

#[derive(Debug)]
struct Shelf {
    entries: LruCache<Arc<str>, Entry>,
    bytes: u64,
    /// Of these, what bodies take.
    body_bytes: u64,
    /// What is taken out on purpose is taken out here, too: an answer that was asked for before is not put
    /// in after.
    fetches: HashMap<Arc<str>, Vec<Fetch>>,
    /// Until when nobody waits for anybody at an address, by its hash: the last answer was of no use to others,
    /// or too long in coming (Varnish's hit-for-miss). Apart from what is stored, so that it pushes nothing out.
    alone: LruCache<u64, Tick>,
    hasher: RandomState,
    next_fetch: u64,
    figures: Figures,
}

#[derive(Debug, Default)]
struct Entry {
    /// The latest first.
    variants: Vec<Stored>,
    bytes: u64,
    body_bytes: u64,
}

#[derive(Debug)]
struct Fetch {
    id: u64,
    /// Which variant, as far as is known.
    selection: Option<Selection>,
    /// None: nobody may wait for it.
    arriving: Option<watch::Receiver<Option<Arriving>>>,
}

impl Default for Store {
    fn default() -> Self {
        let shelf = Shelf {
            entries: LruCache::unbounded(),
            bytes: 0,
            body_bytes: 0,
            fetches: HashMap::new(),
            alone: LruCache::new(ALONE_MAX),
            hasher: RandomState::new(),
            next_fetch: 0,
            figures: Figures::default(),
        };
        Self { shelf: Arc::new(Mutex::new(shelf)), generation: Arc::default(), room: Room::default() }
    }
}

impl Store {
    pub fn look(&self, ask: &Ask<'_>) -> Look {
        let mut shelf = self.shelf();
        let entry = shelf.entries.get(ask.key);
        let stored = entry.and_then(|entry| entry.matching(ask.headers)).cloned();
        if let Some(stored) = stored.as_ref().filter(|stored| stored.head.freshness.suits(ask.control, ask.now)) {
            let stored = stored.clone();
            shelf.figures.hits += 1;
            return Look::Fresh(stored);
        }
        // What comes to somebody with a cookie is often their own; where something was kept it was not.
        let personal = entry.is_none() && ask.headers.contains_key(COOKIE);
        let selection =
            entry.and_then(|entry| entry.variants.first()).map(|first| first.head.selection.of(ask.headers));
        let why = match (&stored, entry) {
            (Some(stored), _) if stored.head.freshness.is_fresh(ask.now) => Why::Request,
            (Some(_), _) => Why::Stale,
            (None, Some(entry)) if !entry.variants.is_empty() => Why::VaryMiss,
            (None, _) => Why::UriMiss,
        };
        let alone = personal || shelf.is_alone(ask.key, ask.now);
        let under_way = shelf.under_way(ask);
        let asks_nothing = !ask.control.no_cache && ask.control.max_age.is_none() && ask.control.min_fresh.is_none();
        if let Some(stored) =
            stored.as_ref().filter(|stored| asks_nothing && stored.head.freshness.serves_while_revalidating(ask.now))
        {
            shelf.figures.stale_hits += 1;
            let ticket = under_way.is_none().then(|| self.ticket(&mut shelf, ask, selection, true));
            return Look::WhileRevalidating(stored.clone(), ticket);
        }
        // What has to be validated each time is validated by each on its own.
        let each = stored.as_ref().is_some_and(|stored| {
            let freshness = &stored.head.freshness;
            freshness.always_validate || freshness.lifetime.is_zero()
        });
        let together = ask.may_join && !alone && !each;
        if let Some(arriving) = under_way.filter(|_| together) {
            shelf.figures.collapsed += 1;
            return Look::Join(arriving, why);
        }
        shelf.figures.misses += 1;
        let leads = together && (ask.may_lead || stored.is_some());
        let ticket = self.ticket(&mut shelf, ask, selection, leads);
        Look::Fetch { ticket, stale: stored, why }
    }

    /// `leads`: others may wait for it, those of the selection if it is known.
    fn ticket(&self, shelf: &mut Shelf, ask: &Ask<'_>, selection: Option<Selection>, leads: bool) -> Ticket {
        shelf.next_fetch += 1;
        let id = shelf.next_fetch;
        let (waiting, arriving) = leads.then(|| watch::channel(None)).unzip();
        let fetch = Fetch { id, selection, arriving };
        if ask.generation == self.generation() {
            shelf.fetches.entry(Arc::clone(ask.key)).or_default().push(fetch);
        }
        Ticket { store: self.clone(), key: Arc::clone(ask.key), id, waiting }
    }

    /// Counts an answer from a stale response because nobody could be asked.
    pub fn count_stale(&self) {
        self.shelf().figures.stale_hits += 1;
    }

    /// Takes an address out; how many responses went.
    pub fn remove(&self, key: &str) -> usize {
        let mut shelf = self.shelf();
        shelf.fetches.remove(key);
        shelf.is_worth_waiting_for(key);
        shelf.take_out(key)
    }

    /// Takes out the addresses that are meant.
    pub fn remove_where(&self, meant: impl Fn(&str) -> bool) -> usize {
        self.shelf().remove_where(meant)
    }

    /// Takes out everything, also what has yet to be asked for by requests that are here already.
    pub fn clear(&self) -> usize {
        let mut shelf = self.shelf();
        self.generation.fetch_add(1, Ordering::Relaxed);
        shelf.remove_where(|_| true)
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Keeps the body of `kept` in `coding` for the next, if it is still there.
    pub fn keep_form(&self, kept: &Kept, coding: Coding, form: Bytes, bytes_max: u64) -> Bytes {
        let form = self.room.count(form);
        let mut shelf = self.shelf();
        if shelf.entries.peek(&kept.key).is_some() {
            shelf.change(&kept.key, bytes_max, |entry| {
                let own = entry.variants.iter_mut().find(|other| Arc::ptr_eq(&other.head, &kept.stored.head));
                if let Some(stored) = own {
                    stored.forms[coding as usize] = Some(form.clone());
                }
            });
        }
        form
    }

    /// Until then nobody waits for anybody at this address.
    pub fn nobody_waits(&self, key: &str, until: Tick) {
        self.shelf().is_not_worth_waiting_for(key, until);
    }

    pub fn figures(&self) -> Figures {
        let shelf = self.shelf();
        let entries = shelf.entries.iter().map(|(_, entry)| entry.variants.len()).sum();
        Figures { entries, bytes: shelf.bytes, ..shelf.figures }
    }

    /// A panic elsewhere never costs the store: what is in it is whole.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn matching(&self, request: &HeaderMap) -> Option<&Stored> {
        self.variants.iter().find(|stored| stored.head.selection.matches(request))
    }

    fn weigh(&mut self, key: &str) {
        let heads = self.variants.iter().map(|stored| stored.head.bytes() as u64).sum::<u64>();
        self.body_bytes = self.variants.iter().map(Stored::body_bytes).sum();
        self.bytes = ENTRY_BYTES + key.len() as u64 + heads + self.body_bytes;
    }
}

impl Shelf {
    fn under_way(&self, ask: &Ask<'_>) -> Option<watch::Receiver<Option<Arriving>>> {
        let suits = |fetch: &&Fetch| fetch.selection.as_ref().is_none_or(|selection| selection.matches(ask.headers));
        self.fetches.get(ask.key)?.iter().filter(suits).find_map(|fetch| fetch.arriving.clone())
    }

    fn is_alone(&mut self, key: &str, now: Tick) -> bool {
        let hash = self.hasher.hash_one(key);
        self.alone.get(&hash).is_some_and(|until| now < *until)
    }

    fn is_not_worth_waiting_for(&mut self, key: &str, until: Tick) {
        self.alone.put(self.hasher.hash_one(key), until);
    }

    fn is_worth_waiting_for(&mut self, key: &str) {
        self.alone.pop(&self.hasher.hash_one(key));
    }

    fn remove_where(&mut self, meant: impl Fn(&str) -> bool) -> usize {
        self.fetches.retain(|key, _| !meant(key));
        self.alone.clear();
        let keys: Vec<Arc<str>> =
            self.entries.iter().map(|(key, _)| Arc::clone(key)).filter(|key| meant(key)).collect();
        keys.iter().map(|key| self.take_out(key)).sum()
    }

    /// Takes out one variant.
    fn take_out_one(&mut self, key: &str, gone: &Stored) {
        let Some(mut entry) = self.entries.pop(key) else { return };
        self.less(&entry);
        entry.variants.retain(|other| !Arc::ptr_eq(&gone.head, &other.head));
        if !entry.variants.is_empty() {
            entry.weigh(key);
            self.more(&entry);
            self.entries.put(key.into(), entry);
        }
    }

    fn take_out(&mut self, key: &str) -> usize {
        let Some(entry) = self.entries.pop(key) else { return 0 };
        self.less(&entry);
        entry.variants.len()
    }

    fn more(&mut self, entry: &Entry) {
        self.bytes += entry.bytes;
        self.body_bytes += entry.body_bytes;
    }

    fn less(&mut self, entry: &Entry) {
        self.bytes -= entry.bytes;
        self.body_bytes -= entry.body_bytes;
    }

    /// Changes an entry, and drops the least recently used ones until all fits.
    fn change(&mut self, key: &Arc<str>, bytes_max: u64, with: impl FnOnce(&mut Entry)) {
        let mut entry = self.entries.pop(key).unwrap_or_default();
        self.less(&entry);
        with(&mut entry);
        entry.weigh(key);
        self.more(&entry);
        self.entries.put(Arc::clone(key), entry);
        while self.bytes > bytes_max {
            let Some((_, evicted)) = self.entries.pop_lru() else { return };
            self.less(&evicted);
            self.figures.evictions += evicted.variants.len() as u64;
        }
    }

    /// Ends a fetch; whether it was still wanted.
    fn end(&mut self, key: &str, id: u64) -> bool {
        let Some(fetches) = self.fetches.get_mut(key) else { return false };
        let before = fetches.len();
        fetches.retain(|fetch| fetch.id != id);
        let wanted = fetches.len() < before;
        if fetches.is_empty() {
            self.fetches.remove(key);
        }
        wanted
    }
}

/// A stored response on its way to a client.
#[derive(Debug)]
pub struct Kept {
    pub key: Arc<str>,
    pub stored: Stored,
}
