//! Whom a transaction wakes once it is committed.

use super::super::cache::Invalidation;
use super::super::engine::Transaction;
use super::Bistro;
use super::bus::{Bus, Topic};

pub struct Wakes {
    invalidation: Invalidation,
    bus: Bus,
}

impl Wakes {
    /// Something of the menu can or can't be had that could not or could before.
    pub fn menu(&self, transaction: &mut Transaction<'_>) {
        let invalidation = self.invalidation.clone();
        transaction.after_commit(move || invalidation.bump());
    }

    /// The kitchen's queue has changed.
    pub fn tickets(&self, transaction: &mut Transaction<'_>) {
        let bus = self.bus.clone();
        transaction.after_commit(move || bus.fire(Topic::Tickets));
    }
}

impl Bistro {
    pub(super) fn wakes(&self) -> Wakes {
        Wakes { invalidation: self.invalidation(), bus: self.bus() }
    }
}
