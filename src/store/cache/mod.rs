//! What one instance remembers of the menu, so that the hottest reads need no statement at all.
//!
//! An entry ends by age, by space, or because an order or a delivery changed what is available. Of such
//! changes all instances of a stack hear over [`Invalidation`], key by key. Misses of one key that come
//! together read the database once.

mod entries;
mod faults;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use serde::Serialize;
use tokio::sync::watch;

use super::StoreError;
use crate::domain::menu::{MenuItem, MenuItemId};
use crate::faults::Home;
use crate::observe::clock::{Tick, micros};
use crate::observe::hop::Hop;
use crate::observe::part::{CACHE_BYPASSED, CACHE_HIT, CACHE_KEY};
use crate::observe::span::{Span, Status};
use crate::settings::data::{CacheMode, CacheSettings};
use crate::settings::runtime::Settings;
use entries::{Entries, Found};

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

/// What the database said: None when there is no such dish.
type Said = Result<Option<Items>, StoreError>;

/// A dish that can be had from now on, or can't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Availability {
    pub dish: MenuItemId,
    pub available: bool,
}

/// Tells the caches of a stack's instances what changed. Called after the COMMIT, before anybody hears of it.
#[derive(Debug, Clone, Default)]
pub struct Invalidation {
    members: Arc<Mutex<Vec<Weak<Inner>>>>,
    /// What stands before all instances, and keeps their answers.
    front: Arc<OnceLock<Front>>,
}

struct Front(Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Front")
    }
}

impl Invalidation {
    /// These dishes changed; nothing else did.
    pub fn changed(&self, changes: &[Availability]) {
        if !changes.is_empty() {
            self.members().iter().for_each(|member| member.change(changes));
            self.clear_front();
        }
    }

    /// `clear` takes out what is kept of the menu before the instances. It is called once these have heard, so that
    /// what is asked for again is new; it must not block. A stack has one; a second is not heard.
    pub fn clears(&self, clear: impl Fn() + Send + Sync + 'static) {
        self.front.get_or_init(|| Front(Box::new(clear)));
    }

    fn clear_front(&self) {
        if let Some(Front(clear)) = self.front.get() {
            clear();
        }
    }

    /// Anything may have changed.
    pub fn bump(&self) {
        for member in self.members() {
            let mut state = member.state();
            if member.is_deaf(&mut state) {
                continue;
            }
            state.under_way_is_out_of_date();
            state.entries.clear();
        }
        self.clear_front();
    }

    fn members(&self) -> Vec<Arc<Inner>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }

    fn join(&self, member: &Arc<Inner>) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| member.strong_count() > 0);
        members.push(Arc::downgrade(member));
    }
}

/// What a cache has done since the start, and what it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    pub entries: usize,
    /// "There is no such dish", remembered.
    pub negative_entries: usize,
    pub bytes: u64,
    pub hits: u64,
    /// "There is no such dish", without asking the database.
    pub negative_hits: u64,
    pub misses: u64,
    /// Misses that waited for another's read of the same.
    pub joined: u64,
    pub evictions: u64,
    pub expirations: u64,
    /// Entries that a change dropped.
    pub invalidations: u64,
    /// Entries that a change wrote anew.
    pub written: u64,
}

/// One instance's cache. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MenuCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Whose it is.
    home: Option<Home>,
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    entries: Entries,
    flights: HashMap<Key, Flight>,
    /// Counts the changes: what was read before one is not kept after it.
    changes: u64,
    /// A fault kept changes from it.
    stale: bool,
    figures: Figures,
}

/// A read that is under way, for those who want the same.
#[derive(Debug)]
struct Flight {
    number: u64,
    said: watch::Receiver<Option<Said>>,
}

/// What a look leads to.
enum Looked<'a> {
    Said(Option<Items>),
    Wait(watch::Receiver<Option<Said>>),
    Read(Lead<'a>),
}

impl State {
    fn under_way_is_out_of_date(&mut self) {
        self.changes += 1;
        self.flights.clear();
    }
}

impl Inner {
    /// Entries are whole values: a panic elsewhere leaves none half-written.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rules(&self) -> CacheSettings {
        self.settings.snapshot().data.cache
    }

    fn change(&self, changes: &[Availability]) {
        let write = self.rules().mode == CacheMode::WriteThrough;
        let mut state = self.state();
        if self.is_deaf(&mut state) {
            return;
        }
        state.under_way_is_out_of_date();
        let State { entries, figures, .. } = &mut *state;
        for Availability { dish, available } in changes.iter().copied() {
            for key in [Key::Item(dish), Key::Menu] {
                match write {
                    true => figures.written += u64::from(entries.write(key, dish, available)),
                    false => figures.invalidations += u64::from(entries.drop(key)),
                }
            }
        }
    }
}

impl MenuCache {
    /// The seed repeats the jitter of its entries.
    pub fn new(invalidation: &Invalidation, settings: Settings, seed: u64) -> Self {
        Self::make(None, invalidation, settings, seed)
    }

    /// An instance's, so that faults can be aimed at it.
    pub fn of(home: Home, invalidation: &Invalidation, settings: Settings, seed: u64) -> Self {
        Self::make(Some(home), invalidation, settings, seed)
    }

    fn make(home: Option<Home>, invalidation: &Invalidation, settings: Settings, seed: u64) -> Self {
        let state = State {
            entries: Entries::new(seed),
            flights: HashMap::new(),
            changes: 0,
            stale: false,
            figures: Figures::default(),
        };
        let inner = Arc::new(Inner { home, settings, state: Mutex::new(state) });
        invalidation.join(&inner);
        Self(inner)
    }

    pub fn figures(&self) -> Figures {
        let state = self.0.state();
        let entries = &state.entries;
        Figures {
            entries: entries.len(),
            negative_entries: entries.negatives(),
            bytes: entries.bytes(),
            evictions: entries.evictions,
            ..state.figures
        }
    }

    /// The answer to `key`: what is kept, or else what `read` says, which is then kept. A request that asked for
    /// the source reads it, and what it read is kept, too.
    pub async fn get(&self, span: &Span, key: Key, read: impl AsyncFnOnce() -> Said) -> Said {
        let rules = self.0.rules();
        let bypassed = span.bypass_caches();
        if bypassed || rules.mode == CacheMode::Off {
            let look = span.child(Hop::Data, "Look in the cache");
            look.status(Status::Skipped);
            describe(&look, key, &rules, false, bypassed);
            look.end();
            let changes = self.0.state().changes;
            let said = read().await;
            if let (true, Ok(items)) = (rules.mode != CacheMode::Off, &said) {
                self.keep(key, items.clone(), changes);
            }
            return said;
        }
        loop {
            match self.look(span, key, &rules) {
                Looked::Said(items) => return Ok(items),
                Looked::Read(lead) => {
                    let said = read().await;
                    lead.land(&said);
                    return said;
                }
                Looked::Wait(mut said) => {
                    let _wait = span.child(Hop::Data, "Wait for the same read");
                    // An error: whoever read it gave up half-way. Then somebody else has to.
                    if let Ok(said) = said.wait_for(Option::is_some).await
                        && let Some(said) = &*said
                    {
                        return said.clone();
                    }
                }
            }
        }
    }

    fn look(&self, span: &Span, key: Key, rules: &CacheSettings) -> Looked<'_> {
        let look = span.child(Hop::Data, "Look in the cache");
        let mut state = self.0.state();
        let rules = &self.disturb(&mut state, &look, rules);
        let State { entries, flights, figures, changes, .. } = &mut *state;
        let found = entries.find(key, rules, Tick::now());
        figures.expirations += u64::from(found == Found::Expired);
        let mut age = None;
        let looked = match found {
            Found::Items(items, old) => {
                age = Some(old);
                figures.hits += 1;
                Looked::Said(Some(items))
            }
            Found::Nothing(old) => {
                age = Some(old);
                figures.negative_hits += 1;
                Looked::Said(None)
            }
            Found::Expired | Found::Missing => {
                figures.misses += 1;
                match flights.get(&key) {
                    Some(flight) => {
                        figures.joined += 1;
                        Looked::Wait(flight.said.clone())
                    }
                    None => {
                        let (tell, said) = watch::channel(None);
                        let number = figures.misses;
                        flights.insert(key, Flight { number, said });
                        Looked::Read(Lead { cache: self, key, number, changes: *changes, tell })
                    }
                }
            }
        };
        drop(state);
        describe(&look, key, rules, matches!(looked, Looked::Said(_)), false);
        look.attribute("roundtrip.cache.age_ms", || age.map(|age| micros(age) / 1_000.0));
        looked
    }

    /// Keeps what was read when so many changes had been heard of, unless one came meanwhile.
    fn keep(&self, key: Key, items: Option<Items>, changes: u64) {
        let mut state = self.0.state();
        if state.changes == changes && self.0.keeps() {
            state.entries.keep(key, items, &self.0.rules(), Tick::now());
        }
    }
}

fn describe(look: &Span, key: Key, rules: &CacheSettings, hit: bool, bypassed: bool) {
    look.attribute(CACHE_KEY, || key.to_string())
        .attribute(CACHE_HIT, || hit)
        .attribute(CACHE_BYPASSED, || bypassed)
        .attribute("roundtrip.cache.mode", || rules.mode.id());
}

/// Whoever reads for all. Dropped before it landed (its request was given up), the others look again.
struct Lead<'a> {
    cache: &'a MenuCache,
    key: Key,
    number: u64,
    changes: u64,
    tell: watch::Sender<Option<Said>>,
}

impl Lead<'_> {
    fn land(self, said: &Said) {
        if let Ok(items) = said {
            self.cache.keep(self.key, items.clone(), self.changes);
        }
        self.tell.send_replace(Some(said.clone()));
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.0.state();
        if state.flights.get(&self.key).is_some_and(|flight| flight.number == self.number) {
            state.flights.remove(&self.key);
        }
    }
}
