//! People and their sessions.

use std::time::Duration;

use time::OffsetDateTime;

use super::permission::Role;

/// Somebody the restaurant knows: a guest's anonymous number or a member of staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PersonId(pub i64);

/// A session ends after this long without a request.
pub const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// And after this long whatever happens.
pub const ABSOLUTE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// A session that the console mints to send a request "as a waiter".
pub const MINTED_MAX: Duration = Duration::from_secs(5 * 60);
/// A person's sessions; the oldest goes when another begins.
pub const PER_PERSON_MAX: usize = 5;

/// Shortest password where it is the only factor (NIST SP 800-63B-4, section 3.1.1.2), in characters.
pub const PASSWORD_CHARS_MIN: usize = 15;
/// Longest, in characters: a bound on what is hashed.
pub const PASSWORD_CHARS_MAX: usize = 128;

/// Why a new password is not taken; None when it is.
pub fn password_refusal(password: &str) -> Option<String> {
    let chars = password.chars().count();
    if chars < PASSWORD_CHARS_MIN {
        Some(format!("{chars} characters; at least {PASSWORD_CHARS_MIN} are needed. Four unrelated words do well."))
    } else if chars > PASSWORD_CHARS_MAX {
        Some(format!("{chars} characters; at most {PASSWORD_CHARS_MAX} are taken."))
    } else if password.chars().all(|c| password.starts_with(c)) {
        Some("One character repeated is guessed at once.".to_owned())
    } else {
        None
    }
}

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    pub role: Role,
    /// None: a guest who has not ordered yet, so has no session.
    pub person: Option<PersonId>,
    /// The name of a member of staff.
    pub name: Option<String>,
}

impl Visitor {
    pub const fn stranger() -> Self {
        Self { role: Role::Guest, person: None, name: None }
    }
}

/// A session as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub person: PersonId,
    pub role: Role,
    pub name: Option<String>,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub last_seen_at: OffsetDateTime,
}

impl Session {
    /// Whether it still counts at `now`.
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        now < self.expires_at && now - self.last_seen_at < IDLE_MAX
    }
}
