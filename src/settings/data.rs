//! What can be changed about the data layer.

use std::time::Duration;

use super::row::{Field, Row};
use crate::observe::hop::Hop;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSettings {
    pub cache_ttl: Duration,
    /// From how long on a step is slow; zero: none is.
    pub slow_query: Duration,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self { cache_ttl: Duration::from_secs(30), slow_query: Duration::from_millis(100) }
    }
}

pub static ROWS: &[Row] = &[
    Row {
        key: "data.cache.ttl",
        hop: Hop::Data,
        help: "How long an instance's cache keeps an entry; 0 keeps none.",
        lessons: &["perf.caching"],
        field: Field::Seconds { field: |values| &mut values.data.cache_ttl, min: 0, max: 3_600 },
    },
    Row {
        key: "data.slow_query",
        hop: Hop::Data,
        help: "A step of the database that takes as long is logged with its statements and their plans; 0 logs none.",
        lessons: &["perf.database"],
        field: Field::Millis { field: |values| &mut values.data.slow_query, min: 0, max: 60_000 },
    },
];
