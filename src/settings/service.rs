//! What can be changed about the service: how the kitchen works off its queue.

use std::time::Duration;

use super::row::{Field, Row};
use crate::observe::hop::Hop;
use crate::policy::backoff::Attempts;

/// Workers that an instance can have.
pub const WORKERS_MAX: u64 = 16;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceSettings {
    pub kitchen: KitchenSettings,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KitchenSettings {
    /// Of each instance.
    pub workers: u64,
    pub cook_time: Duration,
    pub lease: Duration,
    pub attempts: u64,
    pub backoff: Duration,
    pub backoff_max: Duration,
}

impl Default for KitchenSettings {
    fn default() -> Self {
        Self {
            workers: 1,
            cook_time: Duration::from_millis(200),
            lease: Duration::from_secs(5),
            attempts: 5,
            backoff: Duration::from_millis(200),
            backoff_max: Duration::from_secs(30),
        }
    }
}

impl KitchenSettings {
    pub fn attempts(&self) -> Attempts {
        let max = u32::try_from(self.attempts).unwrap_or(u32::MAX);
        Attempts { max, first: self.backoff, longest: self.backoff_max }
    }

    /// A worker says so often that it is still cooking: two may be lost.
    pub fn heartbeat(&self) -> Duration {
        self.lease / 3
    }
}

const LESSONS: &[&str] = &["layer.service", "rel.fault-tolerance"];

pub static ROWS: &[Row] = &[
    Row {
        key: "service.kitchen.workers",
        hop: Hop::Service,
        help: "How many tickets each instance cooks at the same time; with 0 they only wait.",
        lessons: &["layer.service", "scale.horizontal-vertical"],
        field: Field::Count {
            field: |values| &mut values.service.kitchen.workers,
            min: 0,
            max: WORKERS_MAX,
            unit: Some("workers"),
        },
    },
    Row {
        key: "service.kitchen.cook_time",
        hop: Hop::Service,
        help: "How long a ticket cooks, however many dishes it has. A configured wait, no work of the processor.",
        lessons: &["layer.service", "scal.load-handling"],
        field: Field::Millis { field: |values| &mut values.service.kitchen.cook_time, min: 0, max: 600_000 },
    },
    Row {
        key: "service.kitchen.lease",
        hop: Hop::Service,
        help: "How long a silent worker keeps its ticket; then another may take it. Shorter finds the dead \
               sooner, and takes more from the slow.",
        lessons: LESSONS,
        field: Field::Millis { field: |values| &mut values.service.kitchen.lease, min: 100, max: 600_000 },
    },
    Row {
        key: "service.kitchen.attempts",
        hop: Hop::Service,
        help: "How often a ticket is tried before it is set aside as dead, for the chef to look at.",
        lessons: LESSONS,
        field: Field::Count {
            field: |values| &mut values.service.kitchen.attempts,
            min: 1,
            max: 100,
            unit: Some("attempts"),
        },
    },
    Row {
        key: "service.kitchen.backoff",
        hop: Hop::Service,
        help: "The longest wait after the first failed attempt; it doubles with each. A random part keeps tickets \
               that failed together from coming back together.",
        lessons: LESSONS,
        field: Field::Millis { field: |values| &mut values.service.kitchen.backoff, min: 0, max: 60_000 },
    },
    Row {
        key: "service.kitchen.backoff_max",
        hop: Hop::Service,
        help: "No wait between two attempts is longer.",
        lessons: LESSONS,
        field: Field::Millis { field: |values| &mut values.service.kitchen.backoff_max, min: 0, max: 600_000 },
    },
];
