//! A query, written.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

#[derive(Default)]
pub struct Query(Vec<String>);

impl Query {
    /// With this parameter, if it has a value.
    pub fn with(mut self, name: &str, value: Option<&str>) -> Query {
        self.0.extend(value.map(|value| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))));
        self
    }

    /// The address `path` with it.
    pub fn of(&self, path: &str) -> String {
        format!("{path}?{}", self.0.join("&"))
    }
}
