//! The supplier's own book: what was delivered under which key, so that what is asked for twice comes once.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use serde::Serialize;

/// Deliveries remembered. Whoever asks again after so many others gets a second one, as at any real shop.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    pub delivery: String,
    pub item: &'static str,
    pub quantity: i64,
    pub price_cents: i64,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Booked {
    New(Delivery),
    /// The same key with the same request: the delivery of before.
    Again(Delivery),
    /// The same key with another request.
    Conflict,
}

#[derive(Debug)]
pub struct Book {
    entries: Mutex<Entries>,
}

#[derive(Debug)]
struct Entries {
    by_key: LruCache<String, Delivery>,
    deliveries: u64,
}

impl Default for Book {
    fn default() -> Self {
        Self { entries: Mutex::new(Entries { by_key: LruCache::new(REMEMBERED_MAX), deliveries: 0 }) }
    }
}

impl Book {
    pub fn book(&self, key: &str, item: &'static str, quantity: i64, price_cents: i64) -> Booked {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = entries.by_key.get(key) {
            let same = (known.item, known.quantity) == (item, quantity);
            return if same { Booked::Again(known.clone()) } else { Booked::Conflict };
        }
        entries.deliveries += 1;
        let delivery = Delivery { delivery: format!("d-{}", entries.deliveries), item, quantity, price_cents };
        entries.by_key.put(key.to_owned(), delivery.clone());
        Booked::New(delivery)
    }

    /// Deliveries made since the start.
    pub fn deliveries(&self) -> u64 {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).deliveries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_gets_the_same_delivery_and_another_request_under_it_none() {
        let book = Book::default();
        let Booked::New(first) = book.book("k", "Flour", 5, 1) else { panic!("it is new") };
        assert_eq!(book.book("k", "Flour", 5, 1), Booked::Again(first));
        assert_eq!(book.book("k", "Flour", 6, 1), Booked::Conflict);
        assert_eq!(book.book("k", "Sugar", 5, 1), Booked::Conflict);
        assert_eq!(book.deliveries(), 1);
    }

    #[test]
    fn it_remembers_no_more_than_its_bound() {
        let book = Book::default();
        for number in 0..REMEMBERED_MAX.get() + 10 {
            book.book(&number.to_string(), "Flour", 1, 1);
        }
        assert_eq!(book.entries.lock().expect("the book").by_key.len(), REMEMBERED_MAX.get());
    }
}
