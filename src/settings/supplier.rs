//! How the supplier behaves: it stands for the outside world, which is slow, fails and closes.

use std::time::Duration;

use super::row::{Field, Row};
use crate::observe::hop::Hop;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplierSettings {
    pub open: bool,
    pub latency: Duration,
    /// Percent of the requests.
    pub failure_rate: u64,
    /// Percent of the deliveries.
    pub lost_answer_rate: u64,
}

impl Default for SupplierSettings {
    fn default() -> Self {
        Self { open: true, latency: Duration::from_millis(40), failure_rate: 0, lost_answer_rate: 0 }
    }
}

const LESSONS: &[&str] = &["layer.service", "rel.fault-tolerance"];

const fn row(key: &'static str, help: &'static str, field: Field) -> Row {
    Row { key, hop: Hop::Service, help, lessons: LESSONS, field }
}

pub static ROWS: &[Row] = &[
    row(
        "supplier.open",
        "Whether the supplier delivers; while it is closed it answers every request with 503.",
        Field::Flag(|values| &mut values.supplier.open),
    ),
    row(
        "supplier.latency",
        "How long the supplier takes for each answer.",
        Field::Millis { field: |values| &mut values.supplier.latency, min: 0, max: 60_000 },
    ),
    row(
        "supplier.failure_rate",
        "Share of the requests, drawn at random, that the supplier answers with 500 and does not carry out.",
        Field::Count { field: |values| &mut values.supplier.failure_rate, min: 0, max: 100, unit: Some("%") },
    ),
    row(
        "supplier.lost_answer_rate",
        "Share of the deliveries, drawn at random, that the supplier books and whose answer is then cut off: whoever \
         ordered must ask again without getting it twice.",
        Field::Count { field: |values| &mut values.supplier.lost_answer_rate, min: 0, max: 100, unit: Some("%") },
    ),
];
