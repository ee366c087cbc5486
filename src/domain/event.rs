//! What was changed, by whom.

use time::OffsetDateTime;

/// A change as it is written down: before it is made, so that none is made unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The owner's name, `a command` or `token NAME`.
    pub who: String,
    /// `setting`, `fault`, `token`, `backup` or `configuration`.
    pub kind: &'static str,
    /// The key of the setting, the name of the token.
    pub subject: String,
    /// JSON; None where there was nothing.
    pub before: Option<String>,
    /// JSON; None where there is nothing now.
    pub after: Option<String>,
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
