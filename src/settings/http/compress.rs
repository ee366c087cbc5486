//! What can be changed about the compression of answers at the edge.

use crate::observe::hop::Hop;
use crate::settings::row::{Field, Row};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressSettings {
    pub enabled: bool,
    pub min_bytes: u64,
}

impl Default for CompressSettings {
    /// Below about a packet's payload, compression saves no packet and costs its time.
    fn default() -> Self {
        Self { enabled: true, min_bytes: 1_024 }
    }
}

pub static ROWS: &[Row] = &[
    Row {
        key: "http.compress.enabled",
        hop: Hop::Http,
        help: "Whether the edge compresses the restaurant's public answers for clients that take it. Answers to \
               somebody signed in never are: their length would tell about their contents (BREACH).",
        lessons: &["layer.http", "perf.latency-throughput"],
        field: Field::Flag(|values| &mut values.http.compress.enabled),
    },
    Row {
        key: "http.compress.min_bytes",
        hop: Hop::Http,
        help: "Answers shorter than this are sent as they are.",
        lessons: &["layer.http", "perf.latency-throughput"],
        field: Field::Count {
            field: |values| &mut values.http.compress.min_bytes,
            min: 0,
            max: 1024 * 1024,
            unit: Some("bytes"),
        },
    },
];
