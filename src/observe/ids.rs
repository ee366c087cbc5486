//! Trace and span ids (W3C Trace Context, section 3.2.2).

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::policy::random;

/// The id of a trace: 16 bytes, never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// The id of a span: 8 bytes, never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(u64);

/// An id that is not lower-case hex of the right length, or zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a trace-context id")]
pub struct BadId;

impl TraceId {
    pub fn random() -> Self {
        Self((u128::from(random()) << 64 | u128::from(random())).max(1))
    }
}

impl SpanId {
    pub fn random() -> Self {
        Self(random().max(1))
    }

    /// The id `offset` places on: the spans of one part are numbered from its first, which is random.
    pub fn offset(self, offset: usize) -> Self {
        Self(self.0.wrapping_add(offset as u64).max(1))
    }
}

/// Seeded from the system once a thread: ids need to be unique,
/// not secret, and one is drawn for every request.
fn random() -> u64 {
    thread_local!(static STATE: Cell<u64> = Cell::new(seed()));
    STATE.with(|state| {
        let at = state.get();
        state.set(at.wrapping_add(random::STEP));
        random::split_mix(at)
    })
}

fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // RandomState takes its keys from the system's random source.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// The last `DIGITS` digits. Each request says a trace id at least once, and `fmt` is slow at it.
fn hex<const DIGITS: usize>(mut number: u128) -> [u8; DIGITS] {
    let mut text = [b'0'; DIGITS];
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
    text
}

impl TraceId {
    /// As binary protocols carry it.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl SpanId {
    /// As binary protocols carry it.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

macro_rules! hex_id {
    ($type:ident, $number:ty, $digits:literal) => {
        impl $type {
            pub fn to_hex(self) -> [u8; $digits] {
                hex(self.0.into())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&self.to_hex()).unwrap_or_default())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $type {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let lower_hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                if text.len() != $digits || !lower_hex {
                    return Err(BadId);
                }
                match <$number>::from_str_radix(text, 16) {
                    Ok(0) | Err(_) => Err(BadId),
                    Ok(value) => Ok(Self(value)),
                }
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id!(TraceId, u128, 32);
hex_id!(SpanId, u64, 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_lower_case_hex_and_never_zero() {
        assert_eq!("00f067aa0ba902b7".parse::<SpanId>().map(|id| id.to_string()), Ok("00f067aa0ba902b7".into()));
        for bad in ["", "0000000000000000", "00F067AA0BA902B7", "00f067aa0ba902b", "+0f067aa0ba902b7"] {
            assert_eq!(bad.parse::<SpanId>(), Err(BadId), "{bad}");
        }
        assert_ne!(TraceId::random(), TraceId::random());
    }
}
