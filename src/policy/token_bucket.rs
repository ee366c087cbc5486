//! Token buckets: so many at once, and then so many in a time.
//!
//! Kept as the one moment at which the bucket will be full again (the "theoretical arrival time" of the
//! generic cell rate algorithm, ITU-T I.371): nothing has to run while nobody asks, and nothing drifts.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use lru::LruCache;

/// What a bucket gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Tokens that come back in a `window`, evenly.
    pub tokens: u64,
    pub window: Duration,
    /// Tokens of a full bucket: what may be taken at one moment.
    pub burst: u64,
}

impl Quota {
    /// The time of one token, rounded up: never more is given than promised.
    fn interval(&self) -> u64 {
        nanos(self.window).div_ceil(self.tokens.max(1))
    }

    /// The time in which an empty bucket becomes full.
    pub fn refill(&self) -> Duration {
        Duration::from_nanos(self.interval().saturating_mul(self.burst))
    }
}

/// What a request to take one token came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub admitted: bool,
    /// Whole tokens left.
    pub left: u64,
    /// Until there is a token again; zero while there is one.
    pub next_in: Duration,
    pub full_in: Duration,
}

/// One bucket.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    full_at: Instant,
}

impl Bucket {
    pub const fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes a token, if there is one. A refusal takes nothing. `quota` may differ from that of the last
    /// time: what is missing then counts against the new one, and never for more than all of it.
    pub fn take(&mut self, quota: &Quota, now: Instant) -> Outcome {
        let (interval, capacity) = (quota.interval(), nanos(quota.refill()));
        let missing = nanos(self.full_at.saturating_duration_since(now)).min(capacity);
        let admitted = missing.saturating_add(interval) <= capacity;
        let missing = if admitted { missing + interval } else { missing };
        self.full_at = now + Duration::from_nanos(missing);
        let next_in = missing.saturating_add(interval).saturating_sub(capacity);
        Outcome {
            admitted,
            left: (capacity - missing).checked_div(interval).unwrap_or(quota.burst),
            next_in: Duration::from_nanos(next_in),
            full_in: Duration::from_nanos(missing),
        }
    }
}

/// A bucket for each key, no more than a bound: the one asked for least recently makes room, and whoever
/// comes back to none finds a full one.
#[derive(Debug)]
pub struct Buckets<K: Hash + Eq> {
    known: LruCache<K, Bucket>,
    keys_max: usize,
}

impl<K: Hash + Eq> Buckets<K> {
    pub fn new(keys_max: usize) -> Self {
        // Unbounded as to what it reserves at once; the bound is kept below.
        Self { known: LruCache::unbounded(), keys_max: keys_max.max(1) }
    }

    /// Takes a token from the bucket of `key`.
    pub fn take(&mut self, key: K, quota: &Quota, now: Instant) -> Outcome {
        let outcome = self.known.get_or_insert_mut(key, || Bucket::full(now)).take(quota, now);
        if self.known.len() > self.keys_max {
            self.known.pop_lru();
        }
        outcome
    }
}

/// What counts as one client: an IPv4 address, or the /64 that an IPv6 host is given whole (RFC 6177).
pub fn client_network(address: IpAddr) -> IpAddr {
    const NETWORK: u128 = !0 << 64;
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & NETWORK)),
        v4 => v4,
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quota(tokens: u64, window_ms: u64, burst: u64) -> Quota {
        Quota { tokens, window: Duration::from_millis(window_ms), burst }
    }

    proptest! {
        /// Over any stretch of time: burst + rate * t, however the requests come.
        #[test]
        fn never_more_than_the_burst_and_what_came_back(
            tokens in 1_u64..5_000, window_ms in 1_u64..100_000, burst in 1_u64..500,
            pauses_us in prop::collection::vec(0_u64..200_000, 1..400),
        ) {
            let quota = quota(tokens, window_ms, burst);
            let start = Instant::now();
            let mut bucket = Bucket::full(start);
            let (mut now, mut admitted) = (start, Vec::new());
            for pause in pauses_us {
                now += Duration::from_micros(pause);
                if bucket.take(&quota, now).admitted {
                    admitted.push(now);
                }
            }
            for (first, from) in admitted.iter().enumerate() {
                for (last, to) in admitted.iter().enumerate().skip(first) {
                    let given = (last - first + 1) as u128;
                    let came_back = to.duration_since(*from).as_nanos() * u128::from(tokens) / quota.window.as_nanos();
                    prop_assert!(given <= u128::from(burst) + came_back);
                }
            }
        }

        /// Whoever waits as long as was said is let in, and not before.
        #[test]
        fn the_wait_is_exact(tokens in 1_u64..5_000, window_ms in 1_u64..100_000, burst in 1_u64..100) {
            let quota = quota(tokens, window_ms, burst);
            let mut now = Instant::now();
            let mut bucket = Bucket::full(now);
            for left in (0..burst).rev() {
                let outcome = bucket.take(&quota, now);
                prop_assert_eq!((outcome.admitted, outcome.left), (true, left));
                prop_assert_eq!(outcome.next_in.is_zero(), left > 0);
            }
            for _ in 0..20 {
                let refused = bucket.take(&quota, now);
                prop_assert!(!refused.admitted && refused.left == 0 && !refused.next_in.is_zero());
                let early = now + refused.next_in - Duration::from_nanos(1);
                prop_assert!(!bucket.clone().take(&quota, early).admitted);
                now += refused.next_in;
                prop_assert!(bucket.take(&quota, now).admitted);
            }
        }

        /// However long a client keeps to the rate, it is never refused: nothing drifts.
        #[test]
        fn who_keeps_to_the_rate_is_never_refused(tokens in 1_u64..5_000, window_ms in 1_u64..10_000) {
            let quota = quota(tokens, window_ms, 1);
            let mut now = Instant::now();
            let mut bucket = Bucket::full(now);
            for _ in 0..500 {
                prop_assert!(bucket.take(&quota, now).admitted);
                now += Duration::from_nanos(quota.interval());
            }
        }

        #[test]
        fn time_fills_it_and_no_further(burst in 1_u64..100, idle_s in 0_u64..100_000) {
            let quota = quota(burst, 1_000, burst);
            let start = Instant::now();
            let mut bucket = Bucket::full(start);
            let later = start + Duration::from_secs(idle_s);
            let taken = (0..burst * 2).filter(|_| bucket.take(&quota, later).admitted).count();
            prop_assert_eq!(taken as u64, burst);
            prop_assert_eq!(bucket.take(&quota, later + quota.refill()).left, burst - 1);
        }

        /// A setting that changes never locks anybody out for longer than a refill of the new one.
        #[test]
        fn a_new_quota_counts_at_once(before in 1_u64..1_000, after in 1_u64..1_000) {
            let (before, after) = (quota(1, 60_000, before), quota(100, 1_000, after));
            let now = Instant::now();
            let mut bucket = Bucket::full(now);
            while bucket.take(&before, now).admitted {}
            let outcome = bucket.take(&after, now);
            prop_assert!(outcome.full_in <= after.refill());
        }
    }

    #[test]
    fn no_more_buckets_are_kept_than_the_bound_and_the_one_least_asked_for_goes() {
        let (now, one) = (Instant::now(), quota(1, 1_000, 1));
        let mut buckets = Buckets::new(3);
        for key in [1, 2, 3, 1, 4] {
            buckets.take(key, &one, now);
        }
        assert_eq!(buckets.known.len(), 3);
        assert!(!buckets.take(1, &one, now).admitted && !buckets.take(4, &one, now).admitted);
        assert!(buckets.take(2, &one, now).admitted, "it was forgotten");
    }

    #[test]
    fn an_ipv6_host_is_its_network_and_a_mapped_address_is_ipv4() {
        let network = |text: &str| client_network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:2:ffff::1"), "2001:db8:1:2::");
        assert_eq!((network("192.0.2.1"), network("::ffff:192.0.2.1")), ("192.0.2.1".into(), "192.0.2.1".into()));
    }
}
