//! One fetch of the store's.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::{Arriving, Shelf, Store, VARIANTS_MAX};
use crate::edge::cache::object::Stored;
use crate::edge::cache::room::Promise;
use crate::observe::clock::Tick;

/// The right to put in what one fetch brings. Dropped without that, those who wait look again, and one of them
/// goes in its place.
#[derive(Debug)]
pub struct Ticket {
    pub(super) store: Store,
    pub(super) key: Arc<str>,
    /// Its number among the fetches.
    pub(super) id: u64,
    /// None: nobody waits for it.
    pub(super) waiting: Option<watch::Sender<Option<Arriving>>>,
}

impl Ticket {
    /// Asks for room for a body on its way.
    pub fn promise(&self, bytes: u64, bytes_max: u64) -> Option<Promise> {
        let stored = self.store.shelf().body_bytes;
        self.store.room.promise(bytes, stored, bytes_max)
    }

    /// A body that is to be kept: it counts until nobody has it any more.
    pub fn count(&self, body: Bytes) -> Bytes {
        self.store.room.count(body)
    }

    /// Lets those who wait read along.
    pub fn announce(&self, arriving: Arriving) {
        if let Some(waiting) = &self.waiting {
            waiting.send_replace(Some(arriving));
        }
    }

    /// Puts a response in, in the place of the one that was chosen by the same fields. Not if its address
    /// was taken out in the meantime: it may be what was meant to go.
    pub fn keep(self, stored: Stored, bytes_max: u64) {
        self.settle(|shelf, key| {
            shelf.is_worth_waiting_for(key);
            shelf.change(key, bytes_max, |entry| {
                entry.variants.retain(|other| other.head.selection != stored.head.selection);
                entry.variants.insert(0, stored);
                entry.variants.truncate(VARIANTS_MAX);
            });
        });
    }

    /// The answer is of no use to others: for a while nobody waits here, and what it takes the place of goes.
    pub fn give_up(self, instead_of: Option<&Stored>, until: Tick) {
        self.settle(|shelf, key| {
            shelf.is_not_worth_waiting_for(key, until);
            if let Some(gone) = instead_of {
                shelf.take_out_one(key, gone);
            }
        });
    }

    /// Changes the store, if it is still wanted. Those who wait find it so when the ticket goes.
    fn settle(&self, with: impl FnOnce(&mut Shelf, &Arc<str>)) {
        let mut shelf = self.store.shelf();
        if shelf.end(&self.key, self.id) {
            with(&mut shelf, &self.key);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut shelf = self.store.shelf();
        shelf.end(&self.key, self.id);
    }
}
