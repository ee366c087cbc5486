//! Who was counted, by hash, in bounded memory.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::standing::Count;
use crate::policy::token_bucket::{Buckets, Quota};
use crate::web::secret;

/// Keys that a table remembers.
const KEYS_MAX: usize = 16 * 1024;
/// A power of two that is well above the number of cores: two requests seldom want the same lock.
const SHARDS: usize = 16;

/// A hash of whoever is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 16]);

impl Key {
    /// Of all the parts; no part can run into the next.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut text = Vec::with_capacity(128);
        for part in parts {
            text.extend((part.len() as u64).to_le_bytes());
            text.extend_from_slice(part);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&secret::sha256(&text)[..16]);
        Self(key)
    }
}

#[derive(Debug)]
pub struct Table([Mutex<Buckets<Key>>; SHARDS]);

impl Default for Table {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(Buckets::new(KEYS_MAX / SHARDS))))
    }
}

impl Table {
    /// Counts one request of `key` against a limit that is called `name`.
    pub fn count(&self, name: &'static str, key: Key, quota: Quota, now: Instant) -> Count {
        let shard = &self.0[usize::from(key.0[0]) % SHARDS];
        let outcome = shard.lock().unwrap_or_else(PoisonError::into_inner).take(key, &quota, now);
        Count { name, quota, outcome }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_key_runs_into_the_next() {
        assert_ne!(Key::of(&[b"ab", b"c"]), Key::of(&[b"a", b"bc"]));
        assert_eq!(Key::of(&[b"ab", b"c"]), Key::of(&[b"ab", b"c"]));
    }
}
