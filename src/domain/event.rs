//! What was changed, by whom.

use serde_json::{Value, json};
use time::OffsetDateTime;

/// Characters of a subject, and of a value's JSON: rows are there for good.
const SUBJECT_CHARS_MAX: usize = 200;
const VALUE_CHARS_MAX: usize = 500;

/// A change as it is written down: before it is made, so that none is made unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The owner's name, `a command`, `token NAME`, `SIGHUP` or `its time`.
    pub who: String,
    /// `setting`, `fault`, `token`, `backup`, `configuration`, `instance`, `rollout`, `upstream`, `cache`, `password`,
    /// `owner` or `load`.
    pub kind: &'static str,
    /// The key of the setting, the name of the token.
    pub subject: String,
    /// JSON; None where there was nothing.
    pub before: Option<String>,
    /// JSON; None where there is nothing now.
    pub after: Option<String>,
}

impl Event {
    /// Null is nothing. What is longer than a row may be is cut.
    pub fn new(who: &str, kind: &'static str, subject: &str, before: &Value, after: &Value) -> Event {
        Event {
            who: who.to_owned(),
            kind,
            subject: subject.chars().take(SUBJECT_CHARS_MAX).collect(),
            before: bounded(before),
            after: bounded(after),
        }
    }

    /// The same, which came to nothing after it was written down.
    pub fn failed(self, why: &str) -> Event {
        Event { after: bounded(&json!({ "failed": why })), ..self }
    }
}

/// A text, when it is cut: JSON that ends anywhere is none.
fn bounded(value: &Value) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let text = value.to_string();
    if text.chars().count() <= VALUE_CHARS_MAX {
        return Some(text);
    }
    // A letter of it can take two when it is quoted again.
    let cut: String = text.chars().take(VALUE_CHARS_MAX / 2 - 2).chain(['…']).collect();
    Some(Value::String(cut).to_string())
}

/// A change that was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub id: i64,
    pub at: OffsetDateTime,
    pub who: String,
    pub kind: String,
    pub subject: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_bounded_whatever_is_written_and_stays_json() {
        let long = json!({ "route": "\"".repeat(5_000) });
        let event = Event::new("owner", "fault", &"x".repeat(5_000), &Value::Null, &long);
        assert_eq!((event.subject.len(), &event.before), (SUBJECT_CHARS_MAX, &None));
        for after in [event.after.clone(), event.failed(&"y".repeat(5_000)).after] {
            let after = after.expect("a value");
            assert!(after.chars().count() <= VALUE_CHARS_MAX, "{after}");
            serde_json::from_str::<Value>(&after).expect("JSON");
        }
    }
}
