//! How the supplier behaves on a good day: it stands for the outside world, which is slow. How it fails is a fault.

use std::time::Duration;

use super::row::{Field, Row};
use crate::observe::hop::Hop;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplierSettings {
    pub latency: Duration,
}

impl Default for SupplierSettings {
    fn default() -> Self {
        Self { latency: Duration::from_millis(40) }
    }
}

const LESSONS: &[&str] = &["layer.service", "rel.fault-tolerance"];

const fn row(key: &'static str, help: &'static str, field: Field) -> Row {
    Row { key, hop: Hop::Service, help, lessons: LESSONS, field }
}

pub static ROWS: &[Row] = &[row(
    "supplier.latency",
    "How long the supplier takes for each answer.",
    Field::Millis { field: |values| &mut values.supplier.latency, min: 0, max: 60_000 },
)];
