//! What can be changed about the data layer.

use std::time::Duration;

use super::row::{Field, Row};
use crate::observe::hop::Hop;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSettings {
    pub cache_ttl: Duration,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self { cache_ttl: Duration::from_secs(30) }
    }
}

pub static ROWS: &[Row] = &[Row {
    key: "data.cache.ttl",
    hop: Hop::Data,
    help: "How long an instance's cache keeps an entry; 0 keeps none.",
    lessons: &["perf.caching"],
    field: Field::Seconds { field: |values| &mut values.data.cache_ttl, min: 0, max: 3_600 },
}];
