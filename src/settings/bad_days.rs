//! Bad days: faults that come together. They are data, and each is what the table takes.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const TEXT: &str = include_str!("../../data/faults/bad-days.toml");

/// A name for several faults at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadDay {
    pub id: String,
    pub title: String,
    /// What it is like, in plain words.
    pub story: String,
    /// As `PATCH /api/settings` takes them.
    pub changes: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    bad_day: Vec<BadDay>,
}

static ALL: LazyLock<Vec<BadDay>> = LazyLock::new(|| match toml::from_str::<File>(TEXT) {
    Ok(file) => file.bad_day,
    Err(error) => unreachable!("the embedded bad days are tested: {error}"),
});

pub fn all() -> &'static [BadDay] {
    &ALL
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::runtime::{Settings, rows};

    #[test]
    fn each_bad_day_is_taken_by_the_table_and_ends_by_itself() {
        assert!(all().len() >= 7);
        for day in all() {
            assert_eq!(all().iter().filter(|other| other.id == day.id).count(), 1, "{}", day.id);
            assert!(!day.title.is_empty() && !day.story.is_empty() && !day.changes.is_empty(), "{}", day.id);
            let settings = Settings::default();
            let changes = day.changes.iter().map(|(key, value)| (key.as_str(), value));
            settings.change(changes).unwrap_or_else(|refused| panic!("{}: {refused:?}", day.id));
            assert_eq!(settings.snapshot().faults.iter().count(), day.changes.len(), "{}: only faults", day.id);
            assert!(day.changes.keys().all(|key| rows().any(|row| row.key == key)), "{}", day.id);
        }
    }
}
