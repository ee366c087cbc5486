//! Names remembered until their time is up. Pure: the present moment is passed in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::observe::clock::Tick;

/// Names remembered at most: a client asks for few, and a server can't fill its memory.
const NAMES_MAX: usize = 256;
/// Nothing is believed for longer than this, whatever the answer says.
const TTL_MAX: Duration = Duration::from_secs(3_600);

/// What was learnt of a name: its addresses, or why it has none.
pub(super) type Learnt = Result<Vec<IpAddr>, String>;

#[derive(Debug)]
struct Entry {
    learnt: Learnt,
    since: Tick,
    until: Tick,
}

/// Answers by name, "there is none" included (RFC 2308).
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<String, Entry>,
}

impl Cache {
    /// What was learnt of `name`, and how long ago.
    pub fn find(&self, name: &str, now: Tick) -> Option<(Learnt, Duration)> {
        let entry = self.entries.get(name).filter(|entry| now < entry.until)?;
        Some((entry.learnt.clone(), now.since(entry.since)))
    }

    /// Remembers for `ttl`; zero means not at all (RFC 1035, section 3.2.1).
    pub fn learn(&mut self, name: &str, learnt: Learnt, ttl: Duration, now: Tick) {
        self.entries.retain(|_, entry| now < entry.until);
        if ttl.is_zero() {
            self.entries.remove(name);
            return;
        }
        if self.entries.len() >= NAMES_MAX && !self.entries.contains_key(name) {
            // What would be forgotten next anyway makes room.
            let next = self.entries.iter().min_by_key(|(_, entry)| entry.until).map(|(name, _)| name.clone());
            next.and_then(|name| self.entries.remove(&name));
        }
        let until = now + ttl.min(TTL_MAX);
        self.entries.insert(name.to_owned(), Entry { learnt, since: now, until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn learnt() -> Learnt {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }

    #[test]
    fn a_name_is_remembered_until_its_time_is_up() {
        let (mut cache, start) = (Cache::default(), Tick::from_nanos(1));
        cache.learn("a", learnt(), 30 * S, start);
        assert_eq!(cache.find("a", start + 29 * S), Some((learnt(), 29 * S)));
        assert_eq!(cache.find("a", start + 30 * S), None);
        assert_eq!(cache.find("b", start), None);
    }

    #[test]
    fn a_no_is_remembered_too_and_a_ttl_of_zero_is_not() {
        let (mut cache, start) = (Cache::default(), Tick::from_nanos(1));
        cache.learn("none", Err("no such name".into()), S, start);
        assert!(matches!(cache.find("none", start), Some((Err(_), _))));
        cache.learn("none", learnt(), Duration::ZERO, start);
        assert_eq!(cache.find("none", start), None);
    }

    #[test]
    fn the_cache_is_bounded_and_drops_what_expires_first() {
        let (mut cache, start) = (Cache::default(), Tick::from_nanos(1));
        for index in 0..=NAMES_MAX as u32 {
            cache.learn(&index.to_string(), learnt(), S * (index + 1), start);
        }
        assert_eq!(cache.entries.len(), NAMES_MAX);
        assert_eq!(cache.find("0", start), None);
    }
}
