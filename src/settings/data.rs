//! What can be changed about the data layer.

use std::time::Duration;

use super::row::{Field, Row};
use crate::observe::hop::Hop;

/// How an instance's cache of the menu is kept right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheMode {
    /// A miss reads the database and keeps the answer; a change drops it.
    Aside,
    /// The same, but a change writes the new value in its place.
    WriteThrough,
    Off,
}

impl CacheMode {
    const CHOICES: &[&str] = &["aside", "write-through", "off"];

    pub const fn id(self) -> &'static str {
        match self {
            CacheMode::Aside => "aside",
            CacheMode::WriteThrough => "write-through",
            CacheMode::Off => "off",
        }
    }

    fn from_id(id: &str) -> Option<CacheMode> {
        [CacheMode::Aside, CacheMode::WriteThrough, CacheMode::Off].into_iter().find(|mode| mode.id() == id)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    pub mode: CacheMode,
    pub ttl: Duration,
    /// Percent of `ttl` by which an entry may end earlier.
    pub jitter: u64,
    pub negative_ttl: Duration,
    pub entries_max: u64,
    pub bytes_max: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSettings {
    pub cache: CacheSettings,
    /// From how long on a step is slow; zero: none is.
    pub slow_query: Duration,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self {
            cache: CacheSettings {
                mode: CacheMode::Aside,
                ttl: Duration::from_secs(30),
                jitter: 10,
                negative_ttl: Duration::from_secs(5),
                entries_max: 256,
                bytes_max: 1024 * 1024,
            },
            slow_query: Duration::from_millis(100),
        }
    }
}

const fn row(key: &'static str, help: &'static str, field: Field) -> Row {
    Row { key, hop: Hop::Data, help, lessons: &["perf.caching"], field }
}

pub static ROWS: &[Row] = &[
    row(
        "data.cache.mode",
        "How an instance's cache of the menu is kept right: a change drops the entries it touches (aside) or writes \
         the new value in their place (write-through); off reads the database every time.",
        Field::Choice {
            choices: CacheMode::CHOICES,
            get: |values| values.data.cache.mode.id(),
            set: |values, id| {
                if let Some(mode) = CacheMode::from_id(id) {
                    values.data.cache.mode = mode;
                }
            },
        },
    ),
    row(
        "data.cache.ttl",
        "How long an instance's cache keeps an entry; 0 keeps none.",
        Field::Seconds { field: |values| &mut values.data.cache.ttl, min: 0, max: 3_600 },
    ),
    row(
        "data.cache.jitter",
        "By how much of its time an entry may end earlier, drawn at random, so that entries made together do not end \
         together.",
        Field::Count { field: |values| &mut values.data.cache.jitter, min: 0, max: 90, unit: Some("%") },
    ),
    row(
        "data.cache.negative_ttl",
        "How long an instance remembers that there is no such dish; 0 asks the database every time.",
        Field::Seconds { field: |values| &mut values.data.cache.negative_ttl, min: 0, max: 300 },
    ),
    row(
        "data.cache.entries_max",
        "Entries that an instance's cache keeps; what was not used for longest goes first.",
        Field::Count { field: |values| &mut values.data.cache.entries_max, min: 1, max: 100_000, unit: None },
    ),
    row(
        "data.cache.bytes_max",
        "Memory that an instance's cache may take, as its entries are counted.",
        Field::Count {
            field: |values| &mut values.data.cache.bytes_max,
            min: 1_024,
            max: 1024 * 1024 * 1024,
            unit: Some("B"),
        },
    ),
    Row {
        key: "data.slow_query",
        hop: Hop::Data,
        help: "A step of the database that takes as long is logged with its statements and their plans; 0 logs none.",
        lessons: &["perf.database"],
        field: Field::Millis { field: |values| &mut values.data.slow_query, min: 0, max: 60_000 },
    },
];
