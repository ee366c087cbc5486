//! What a cache holds: the least recently used goes when there is no room, the too old when it is looked at.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;

use super::{Items, Key};
use crate::domain::menu::{MenuItem, MenuItemId};
use crate::observe::clock::Tick;
use crate::policy::random;
use crate::settings::data::CacheSettings;

/// Made-up numbers remembered. A place of their own: they must not push out what is real.
const NEGATIVE_MAX: NonZeroUsize = NonZeroUsize::new(64).unwrap();

#[derive(Debug)]
struct Entry {
    items: Items,
    at: Tick,
    bytes: u64,
    /// Between 0 and 1: how much of the jitter this one got.
    share: f64,
}

/// The result of a look.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// With its age.
    Items(Items, Duration),
    /// There is no such dish.
    Nothing(Duration),
    /// It was here, and is too old.
    Expired,
    Missing,
}

#[derive(Debug)]
pub struct Entries {
    kept: LruCache<Key, Entry>,
    negative: LruCache<Key, Tick>,
    bytes: u64,
    random: u64,
    pub evictions: u64,
}

impl Entries {
    /// The seed repeats the jitter.
    pub fn new(seed: u64) -> Self {
        Self {
            kept: LruCache::unbounded(),
            negative: LruCache::new(NEGATIVE_MAX),
            bytes: 0,
            random: seed,
            evictions: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.kept.len()
    }

    pub fn negatives(&self) -> usize {
        self.negative.len()
    }

    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn find(&mut self, key: Key, rules: &CacheSettings, now: Tick) -> Found {
        self.make_room(rules);
        if let Some(at) = self.negative.get(&key) {
            let age = now.since(*at);
            if age < rules.negative_ttl {
                return Found::Nothing(age);
            }
            self.negative.pop(&key);
            return Found::Expired;
        }
        let Some(entry) = self.kept.get(&key) else { return Found::Missing };
        let age = now.since(entry.at);
        if age < rules.ttl.mul_f64(1.0 - entry.share * rules.jitter.min(100) as f64 / 100.0) {
            return Found::Items(Arc::clone(&entry.items), age);
        }
        self.drop(key);
        Found::Expired
    }

    /// Keeps what the database says; None: there is no such dish.
    pub fn keep(&mut self, key: Key, items: Option<Items>, rules: &CacheSettings, now: Tick) {
        self.drop(key);
        let Some(items) = items else {
            if !rules.negative_ttl.is_zero() {
                self.negative.put(key, now);
            }
            return;
        };
        let bytes = bytes_of(&items);
        if rules.ttl.is_zero() || bytes > rules.bytes_max {
            return;
        }
        let share = random::unit(random::split_mix(self.random));
        self.random = self.random.wrapping_add(random::STEP);
        self.bytes += bytes;
        self.kept.put(key, Entry { items, at: now, bytes, share });
        self.make_room(rules);
    }

    /// Forgets what is known of `key`; whether there was anything.
    pub fn drop(&mut self, key: Key) -> bool {
        let entry = self.kept.pop(&key);
        self.bytes -= entry.as_ref().map_or(0, |entry| entry.bytes);
        entry.is_some() | self.negative.pop(&key).is_some()
    }

    pub fn clear(&mut self) {
        self.kept.clear();
        self.negative.clear();
        self.bytes = 0;
    }

    /// Writes the availability of a dish into what is kept beneath `key`; whether there was anything.
    /// Its time goes on: the rest of it is as old as it was.
    pub fn write(&mut self, key: Key, dish: MenuItemId, available: bool) -> bool {
        let Some(entry) = self.kept.peek_mut(&key) else { return false };
        let items = Arc::make_mut(&mut entry.items);
        items.iter_mut().filter(|item| item.id == dish).for_each(|item| item.available = available);
        true
    }

    fn make_room(&mut self, rules: &CacheSettings) {
        while self.kept.len() as u64 > rules.entries_max.max(1) || self.bytes > rules.bytes_max {
            let Some((_, entry)) = self.kept.pop_lru() else { return };
            self.bytes -= entry.bytes;
            self.evictions += 1;
        }
    }
}

/// What an entry costs, near enough to bound the memory: the structs and the texts they own.
fn bytes_of(items: &[MenuItem]) -> u64 {
    let of_item = |item: &MenuItem| {
        let tags: usize = item.tags.iter().map(|tag| size_of::<String>() + tag.len()).sum();
        size_of::<MenuItem>() + item.name.len() + item.description.len() + tags
    };
    (size_of::<Entry>() + items.iter().map(of_item).sum::<usize>()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::menu::Course;
    use crate::domain::money::Money;
    use crate::settings::data::DataSettings;

    fn rules() -> CacheSettings {
        DataSettings::default().cache
    }

    fn dish(id: MenuItemId) -> Items {
        Arc::new(vec![MenuItem {
            id,
            name: format!("Dish {id}"),
            description: String::new(),
            course: Course::Main,
            price: Money::from_cents(100),
            available: true,
            tags: Vec::new(),
        }])
    }

    #[test]
    fn entries_made_together_end_at_different_times_and_none_outlives_its_ttl() {
        let mut entries = Entries::new(7);
        for id in 0..100 {
            entries.keep(Key::Item(id), Some(dish(id)), &rules(), Tick::default());
        }
        let mut left = |at: Duration| {
            let mut found = |id| entries.find(Key::Item(id), &rules(), Tick::default() + at);
            (0..100).filter(|id| matches!(found(*id), Found::Items(..))).count()
        };
        assert_eq!(left(Duration::from_millis(26_999)), 100, "at most a tenth earlier");
        let between = left(Duration::from_millis(28_500));
        assert!((20..80).contains(&between), "{between} of 100");
        assert_eq!(left(Duration::from_secs(30)), 0);
    }

    #[test]
    fn one_seed_repeats_the_jitter() {
        let shares = |seed| {
            let mut entries = Entries::new(seed);
            (0..10).for_each(|id| entries.keep(Key::Item(id), Some(dish(id)), &rules(), Tick::default()));
            entries.kept.iter().map(|(_, entry)| entry.share).collect::<Vec<_>>()
        };
        assert!(shares(1) == shares(1) && shares(1) != shares(2));
    }

    #[test]
    fn it_never_holds_more_entries_or_bytes_than_it_may_and_the_least_used_goes_first() {
        let one = bytes_of(&dish(1));
        for rules in [CacheSettings { entries_max: 10, ..rules() }, CacheSettings { bytes_max: one * 10, ..rules() }] {
            let mut entries = Entries::new(1);
            for id in 1..10 {
                entries.keep(Key::Item(id), Some(dish(id)), &rules, Tick::default());
                assert!(matches!(entries.find(Key::Item(1), &rules, Tick::default()), Found::Items(..)));
            }
            for id in 10..100 {
                entries.keep(Key::Item(id % 90 + 10), Some(dish(2)), &rules, Tick::default());
                assert!(entries.len() <= 10 && entries.bytes() <= one * 10);
                entries.find(Key::Item(1), &rules, Tick::default());
            }
            assert!(entries.kept.contains(&Key::Item(1)) && !entries.kept.contains(&Key::Item(2)));
            assert_eq!(entries.evictions, 99 - 10);
        }
    }

    #[test]
    fn what_is_larger_than_the_whole_cache_is_not_kept() {
        let rules = CacheSettings { bytes_max: 10, ..rules() };
        let mut entries = Entries::new(1);
        entries.keep(Key::Menu, Some(dish(1)), &rules, Tick::default());
        assert_eq!((entries.len(), entries.bytes(), entries.evictions), (0, 0, 0));
    }

    #[test]
    fn made_up_numbers_are_remembered_for_a_short_time_in_a_place_of_their_own() {
        let mut entries = Entries::new(1);
        entries.keep(Key::Item(1), Some(dish(1)), &rules(), Tick::default());
        for id in 1_000..2_000 {
            entries.keep(Key::Item(id), None, &rules(), Tick::default());
        }
        assert_eq!((entries.len(), entries.negatives()), (1, NEGATIVE_MAX.get()));
        let later = Tick::default() + Duration::from_secs(4);
        assert_eq!(entries.find(Key::Item(1_999), &rules(), later), Found::Nothing(Duration::from_secs(4)));
        assert_eq!(entries.find(Key::Item(1_999), &rules(), later + Duration::from_secs(1)), Found::Expired);
    }

    #[test]
    fn a_ttl_of_zero_keeps_nothing() {
        let rules = CacheSettings { ttl: Duration::ZERO, negative_ttl: Duration::ZERO, ..rules() };
        let mut entries = Entries::new(1);
        entries.keep(Key::Menu, Some(dish(1)), &rules, Tick::default());
        entries.keep(Key::Item(99), None, &rules, Tick::default());
        assert_eq!((entries.len(), entries.negatives()), (0, 0));
    }
}
