//! What can be changed about the DNS server.

use std::time::Duration;

use super::row::{Field, Row};
use crate::observe::hop::Hop;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsSettings {
    /// How long an answer may be remembered.
    pub ttl: Duration,
}

impl Default for DnsSettings {
    /// Short, so that a class sees it expire.
    fn default() -> Self {
        Self { ttl: Duration::from_secs(30) }
    }
}

pub static ROWS: &[Row] = &[Row {
    key: "dns.ttl",
    hop: Hop::Dns,
    help: "How long whoever asks may remember an answer (its TTL); 0 is not at all. Who remembers one already keeps it \
           for as long as it said.",
    lessons: &["layer.dns", "perf.caching"],
    field: Field::Seconds { field: |values| &mut values.dns.ttl, min: 0, max: 86_400 },
}];
