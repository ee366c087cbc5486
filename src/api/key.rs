//! What a request says of the one before it: its idempotency key, and the version that it was shown.

use actix_web::http::header::IF_MATCH;

use super::call::Call;
use crate::domain::order::Expected;
use crate::observe::hop::Hop;
use crate::web::conditional;
use crate::web::problem::Problem;
use crate::web::respond::header;

/// Length of an `Idempotency-Key`.
const KEY_CHARS_MAX: usize = 128;

pub fn idempotency_key(call: &Call) -> Result<Option<&str>, Problem> {
    let name = "idempotency-key";
    if !call.request().headers().contains_key(name) {
        return Ok(None);
    }
    let key = header(call.request().headers(), name);
    match key.filter(|key| (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())) {
        Some(key) => Ok(Some(key)),
        None => Err(call.refused(Problem::new(
            Hop::Api,
            400,
            "bad-idempotency-key",
            "Bad Idempotency-Key",
            format!("The key takes 1 to {KEY_CHARS_MAX} visible ASCII characters, without spaces."),
        ))),
    }
}

/// The entity tag of an order: its version. Strong, since each change of the order counts it up.
pub fn tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// What `If-Match` allows (RFC 9110, section 13.1.1): any without one. What is no tag of ours matches nothing.
pub fn expected(call: &Call) -> Expected {
    if !call.request().headers().contains_key(IF_MATCH) {
        return Expected::Any;
    }
    let mut versions = Vec::new();
    for line in call.request().headers().get_all(IF_MATCH) {
        let line = line.to_str().unwrap_or_default();
        if line.trim() == "*" {
            return Expected::Any;
        }
        let digits = conditional::tags(line).filter_map(|tag| tag.strip_prefix('"')?.strip_suffix('"'));
        let version = |digits: &str| digits.parse().ok().filter(|version: &i64| version.to_string() == digits);
        versions.extend(digits.filter_map(version));
    }
    Expected::OneOf(versions)
}

/// The same, for a change that must say which version it is of (RFC 6585, section 3).
pub fn required(call: &Call) -> Result<Expected, Problem> {
    if call.request().headers().contains_key(IF_MATCH) {
        return Ok(expected(call));
    }
    Err(call.refused(Problem::new(
        Hop::Api,
        428,
        "precondition-required",
        "Say which version you mean",
        "Send the order's ETag as If-Match, so that nobody's change is overwritten unseen.",
    )))
}
