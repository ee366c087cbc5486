//! What can be changed about the application's API.

use std::time::Duration;

use super::row::{Field, Row};
use crate::observe::hop::Hop;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSettings {
    pub menu_shared_ttl: Duration,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self { menu_shared_ttl: Duration::from_secs(2) }
    }
}

pub static ROWS: &[Row] = &[Row {
    key: "api.menu.shared_ttl",
    hop: Hop::Api,
    help: "How long the edge may answer with a menu it has kept (s-maxage); 0 forbids to keep it.",
    lessons: &["perf.caching"],
    field: Field::Seconds { field: |values| &mut values.api.menu_shared_ttl, min: 0, max: 3_600 },
}];
