//! People and their sessions.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zxcvbn::{Score, zxcvbn};

use super::permission::Role;

/// Somebody the restaurant knows: a guest's anonymous number or a member of staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
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

/// Words that a guesser would try here first.
const OUR_WORDS: [&str; 8] = ["roundtrip", "bistro", "restaurant", "owner", "waiter", "chef", "manager", "localhost"];

/// Why a new password is not taken; None when it is. Length alone does not stop `passwordpassword`, so the
/// number of guesses is estimated too (Wheeler, "zxcvbn", USENIX Security 2016): at least 10^8.
pub fn password_refusal(password: &str) -> Option<String> {
    let chars = password.chars().count();
    if chars < PASSWORD_CHARS_MIN {
        Some(format!("{chars} characters; at least {PASSWORD_CHARS_MIN} are needed. Four unrelated words do well."))
    } else if chars > PASSWORD_CHARS_MAX {
        Some(format!("{chars} characters; at most {PASSWORD_CHARS_MAX} are taken."))
    } else if zxcvbn(password, &OUR_WORDS).score() < Score::Three {
        Some("This is among the first that a guesser tries. Four unrelated words do well.".to_owned())
    } else {
        None
    }
}

/// Longest name of the owner, in characters.
pub const NAME_CHARS_MAX: usize = 64;

/// Why a new owner's name is not taken; None when it is.
pub fn name_refusal(name: &str) -> Option<String> {
    let chars = name.chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&chars) {
        Some(format!("A text of 1 to {NAME_CHARS_MAX} characters is expected."))
    } else if name.trim() != name || name.chars().any(char::is_control) {
        Some("A name has no space at its ends and no control characters.".to_owned())
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

/// A session of the console: the owner's, since there is nobody else yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsoleSession {
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub last_seen_at: OffsetDateTime,
}

impl ConsoleSession {
    /// Whether it still counts at `now`.
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        now < self.expires_at && now - self.last_seen_at < IDLE_MAX
    }
}

/// What a session cookie holds: 256 random bits in hex. Shown in no log: its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(String);

impl SessionSecret {
    /// Hex digits of 256 bits.
    const DIGITS: usize = 64;

    /// None for what can't be a session's secret.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == Self::DIGITS && text.bytes().all(valid)).then(|| Self(text.to_owned()))
    }

    /// For the cookie, and for hashing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionSecret(…)")
    }
}

/// Somebody who works in the restaurant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staff {
    pub person: PersonId,
    pub role: Role,
    pub name: String,
    /// Whether they can sign in.
    pub has_password: bool,
}

/// Who owns this installation.
#[derive(Clone, PartialEq, Eq)]
pub struct Owner {
    pub name: String,
    /// PHC string.
    pub password_phc: String,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owner").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_and_not_the_first_that_is_guessed() {
        for good in ["ball-skull-title-zero", "act-add-age-aim", "Käsefondue ohne Brot 7"] {
            assert_eq!(password_refusal(good), None, "{good}");
        }
        let guessed = [
            "short",
            "aaaaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaab",
            "123456789012345",
            "qwertyuiopasdfgh",
            "passwordpassword",
            "passwordpassword1",
            "roundtriproundtrip",
            "waiterwaiterwaiter",
            "abcabcabcabcabc",
            "iloveyouiloveyou",
        ];
        for bad in guessed {
            assert!(password_refusal(bad).is_some(), "{bad}");
        }
        assert!(password_refusal(&"x9".repeat(80)).is_some(), "too long");
    }
}
