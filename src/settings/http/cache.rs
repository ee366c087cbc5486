//! What can be changed about the edge's own shared cache.

use std::time::Duration;

use crate::observe::hop::Hop;
use crate::settings::row::{Field, Row};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    pub enabled: bool,
    pub bytes: u64,
    pub object_bytes: u64,
    pub grace: Duration,
    pub hit_for_miss: Duration,
    pub wait: Duration,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            bytes: 64 * 1024 * 1024,
            object_bytes: 4 * 1024 * 1024,
            // Varnish's numbers.
            grace: Duration::from_secs(10),
            hit_for_miss: Duration::from_secs(120),
            wait: Duration::from_secs(5),
        }
    }
}

const LESSONS: &[&str] = &["perf.caching"];

pub static ROWS: &[Row] = &[
    Row {
        key: "http.cache.enabled",
        hop: Hop::Http,
        help: "Whether the edge keeps answers that say they may be kept, and answers with them.",
        lessons: LESSONS,
        field: Field::Flag(|values| &mut values.http.cache.enabled),
    },
    Row {
        key: "http.cache.bytes",
        hop: Hop::Http,
        help: "How much the edge keeps; what was not used for longest goes first.",
        lessons: LESSONS,
        field: Field::Count {
            field: |values| &mut values.http.cache.bytes,
            min: 64 * 1024,
            max: 16 * 1024 * 1024 * 1024,
            unit: Some("B"),
        },
    },
    Row {
        key: "http.cache.object_bytes",
        hop: Hop::Http,
        help: "A larger answer is passed on and not kept.",
        lessons: LESSONS,
        field: Field::Count {
            field: |values| &mut values.http.cache.object_bytes,
            min: 1024,
            max: 1024 * 1024 * 1024,
            unit: Some("B"),
        },
    },
    Row {
        key: "http.cache.grace",
        hop: Hop::Http,
        help: "How long after its end a kept answer may stand in when the upstream fails, if the answer \
               doesn't say; 0 is never.",
        lessons: &["perf.caching", "rel.high-availability"],
        field: Field::Seconds { field: |values| &mut values.http.cache.grace, min: 0, max: 86_400 },
    },
    Row {
        key: "http.cache.hit_for_miss",
        hop: Hop::Http,
        help: "How long nobody waits for another's answer at an address whose answers cannot be kept.",
        lessons: LESSONS,
        field: Field::Seconds { field: |values| &mut values.http.cache.hit_for_miss, min: 0, max: 3_600 },
    },
    Row {
        key: "http.cache.wait",
        hop: Hop::Http,
        help: "How long a request waits for another that fetches the same, before it goes itself.",
        lessons: LESSONS,
        field: Field::Millis { field: |values| &mut values.http.cache.wait, min: 0, max: 60_000 },
    },
];
