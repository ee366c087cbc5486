//! Whom a transaction wakes once it is committed.

use super::super::cache::{Availability, Invalidation};
use super::super::engine::Transaction;
use super::Bistro;
use super::bus::{Bus, Topic};

pub struct Wakes {
    invalidation: Invalidation,
    bus: Bus,
}

impl Wakes {
    /// These dishes can or can't be had that could not or could before.
    pub fn menu(&self, transaction: &mut Transaction<'_>, changes: Vec<Availability>) {
        if !changes.is_empty() {
            let (invalidation, bus) = (self.invalidation.clone(), self.bus.clone());
            transaction.after_commit(move || {
                invalidation.changed(&changes);
                bus.fire(Topic::Menu);
            });
        }
    }

    /// What is to be bought has changed.
    pub fn purchases(&self, transaction: &mut Transaction<'_>) {
        let bus = self.bus.clone();
        transaction.after_commit(move || bus.fire(Topic::Purchases));
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
