//! API tokens: what a script shows instead of signing in.

use std::ops::RangeInclusive;

use time::OffsetDateTime;

use super::permission::Scope;

/// What each begins with, so that people and scanners of leaked secrets know one when they see it.
pub const PREFIX: &str = "rtk_";
/// How many days one may live.
pub const DAYS: RangeInclusive<i64> = 1..=90;
/// How many it lives when nobody says.
pub const DAYS_DEFAULT: i64 = 30;
/// Tokens that there can be at once.
pub const TOKENS_MAX: usize = 64;

/// What is known of a token; its secret is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub id: i64,
    pub name: String,
    pub scopes: Vec<Scope>,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub last_used_at: Option<OffsetDateTime>,
}

impl Token {
    /// Whether it still counts at `now`.
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        now < self.expires_at
    }
}

/// A token that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    pub name: String,
    pub scopes: Vec<Scope>,
    /// Within [`DAYS`].
    pub days: i64,
}

/// What the holder of a token sends. Shown in no log: its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(String);

impl TokenSecret {
    /// Characters after the prefix: 256 bits, six a character.
    const CHARS: usize = 43;

    pub fn new(random: &[u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", base64url(random)))
    }

    /// None for what can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (rest.len() == Self::CHARS && rest.bytes().all(fits)).then(|| Self(text.to_owned()))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenSecret(hidden)")
    }
}

/// Without padding (RFC 4648, section 5). Nothing decodes it: a token is known by the hash of its text.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let group = |chunk: &[u8]| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(chunk.get(at).copied().unwrap_or_default()));
        let letter = move |at: usize| char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]);
        (0..=chunk.len()).map(letter).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_written_as_rfc_4648_says() {
        // Section 10, and the two letters in which this alphabet differs.
        let vectors =
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in vectors {
            assert_eq!(base64url(plain.as_bytes()), coded);
        }
        assert_eq!(base64url(&[0xfb, 0xff, 0xfe]), "-__-");
    }

    #[test]
    fn a_secret_is_read_back_and_nothing_else_is_one() {
        let secret = TokenSecret::new(&[0xa5; 32]);
        assert_eq!(TokenSecret::parse(secret.expose()), Some(secret.clone()));
        assert!(!format!("{secret:?}").contains("paW"), "a log shows none");
        let short = &secret.expose()[..secret.expose().len() - 1];
        for wrong in ["", PREFIX, short, &format!("{}A", secret.expose()), &secret.expose().replace("rtk_", "tok_")] {
            assert_eq!(TokenSecret::parse(wrong), None, "{wrong}");
        }
        assert_eq!(TokenSecret::parse(&format!("{short} ")), None);
    }
}
