//! How often somebody may try a password for one name.
//!
//! Guessing must be slow, yet whoever mistyped must get in soon: the wait grows with the failures
//! (the ladder of Kanidm). An attempt counts as failed
//! from its start and is forgiven when it succeeds, so fifty at once are one try and not fifty.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Failures below the first number wait that long, and so on.
const LADDER: [(u32, Duration); 3] =
    [(3, Duration::from_secs(1)), (9, Duration::from_secs(3)), (25, Duration::from_secs(5))];
/// Beyond the ladder.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Failures are forgotten this long after the last.
const MEMORY: Duration = Duration::from_secs(60 * 60);
/// Names remembered; the one untouched for longest goes first.
const NAMES_MAX: usize = 1_024;

/// The wait after so many failures.
pub fn wait_after(failures: u32) -> Duration {
    LADDER.iter().find(|(below, _)| failures < *below).map_or(WAIT_MAX, |(_, wait)| *wait)
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// The failures of each name.
#[derive(Debug, Default)]
pub struct Throttle {
    names: HashMap<String, Failures>,
}

impl Throttle {
    /// Begins an attempt at `now`, or says how long to wait. A refused attempt does not lengthen the wait.
    pub fn attempt(&mut self, name: &str, now: Instant) -> Result<(), Duration> {
        if let Some(failures) = self.names.get_mut(name) {
            let since = now.saturating_duration_since(failures.last);
            let wait = wait_after(failures.count);
            if since < wait {
                return Err(wait - since);
            }
            let count = if since >= MEMORY { 0 } else { failures.count };
            *failures = Failures { count: count.saturating_add(1), last: now };
            return Ok(());
        }
        if self.names.len() >= NAMES_MAX {
            let oldest = self.names.iter().min_by_key(|(_, failures)| failures.last).map(|(name, _)| name.clone());
            oldest.and_then(|oldest| self.names.remove(&oldest));
        }
        self.names.insert(name.to_owned(), Failures { count: 1, last: now });
        Ok(())
    }

    /// The attempt was right: all is forgiven.
    pub fn succeeded(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// The attempt was not judged (the hasher was busy): it does not count.
    pub fn withdrawn(&mut self, name: &str) {
        if let Some(failures) = self.names.get_mut(name) {
            failures.count -= u32::from(failures.count > 0);
            if failures.count == 0 {
                self.names.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> impl Fn(u64) -> Instant {
        let start = Instant::now();
        move |seconds| start + Duration::from_secs(seconds)
    }

    #[test]
    fn the_wait_grows_with_the_failures() {
        let seconds: Vec<_> = [1, 2, 3, 8, 9, 24, 25, 99].map(|n| wait_after(n).as_secs()).into();
        assert_eq!(seconds, [1, 1, 3, 3, 5, 5, 10, 10]);
    }

    #[test]
    fn attempts_at_one_moment_are_one_attempt() {
        let (mut throttle, at) = (Throttle::default(), clock());
        assert_eq!(throttle.attempt("waiter", at(0)), Ok(()));
        assert_eq!(throttle.attempt("waiter", at(0)), Err(Duration::from_secs(1)));
        assert_eq!(throttle.attempt("chef", at(0)), Ok(()));
        assert_eq!(throttle.attempt("waiter", at(1)), Ok(()));
    }

    #[test]
    fn success_and_time_both_forgive() {
        let (mut throttle, at) = (Throttle::default(), clock());
        for second in 0..2 {
            assert_eq!(throttle.attempt("waiter", at(second)), Ok(()));
        }
        throttle.succeeded("waiter");
        assert_eq!(throttle.attempt("waiter", at(2)), Ok(()));
        assert_eq!(throttle.attempt("waiter", at(2 + MEMORY.as_secs())), Ok(()));
        assert_eq!(throttle.attempt("waiter", at(3 + MEMORY.as_secs())), Ok(()));
    }

    #[test]
    fn no_more_names_are_kept_than_the_bound() {
        let (mut throttle, at) = (Throttle::default(), clock());
        for number in 0..NAMES_MAX as u64 + 10 {
            assert_eq!(throttle.attempt(&number.to_string(), at(number)), Ok(()));
        }
        assert_eq!(throttle.names.len(), NAMES_MAX);
        assert!(!throttle.names.contains_key("0"));
    }
}
