//! Not every request can have a line: how many stand for the rest.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::observe::clock::Tick;

/// Lines in a second at about which one begins to stand for several.
const PER_SECOND: u64 = 256;
const SECOND_NS: u64 = 1_000_000_000;

/// Counts what comes, and takes all of it as long as it is little. Counting is one atomic addition.
#[derive(Debug, Default)]
pub struct Sampler {
    second: AtomicU64,
    count: AtomicU64,
    /// What one stands for, by what came in the second before.
    one_in: AtomicU64,
}

impl Sampler {
    /// Whether this one is taken, and then how many it stands for.
    pub fn takes(&self, now: Tick) -> Option<u64> {
        let second = now.as_nanos() / SECOND_NS;
        let before = self.second.load(Ordering::Relaxed);
        let turned = self.second.compare_exchange(before, second, Ordering::Relaxed, Ordering::Relaxed);
        if before != second && turned.is_ok() {
            let came = self.count.swap(0, Ordering::Relaxed);
            let came = if second == before + 1 { came } else { 0 };
            self.one_in.store(step(came), Ordering::Relaxed);
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        // A burst is not waited for to be over.
        let one_in = self.one_in.load(Ordering::Relaxed).max(step(number));
        number.is_multiple_of(one_in).then_some(one_in)
    }
}

/// What one stands for when so many come in a second.
fn step(count: u64) -> u64 {
    (count / PER_SECOND).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(sampler: &Sampler, second: u64, requests: u64) -> (u64, u64) {
        let ns = |number| Tick::from_nanos(second * SECOND_NS + number * SECOND_NS / requests);
        let taken: Vec<u64> = (0..requests).filter_map(|number| sampler.takes(ns(number))).collect();
        (taken.len() as u64, taken.iter().sum())
    }

    #[test]
    fn little_is_taken_whole_and_much_by_a_few_that_say_what_they_stand_for() {
        let sampler = Sampler::default();
        assert_eq!(second(&sampler, 10, 200), (200, 200));
        let (burst, _) = second(&sampler, 11, 20_000);
        assert!(burst < 3_000, "{burst}");
        let (steady, stand_for) = second(&sampler, 12, 20_000);
        assert!(steady <= 2 * PER_SECOND, "{steady}");
        assert!(stand_for.abs_diff(20_000) < 200, "{stand_for}");
        // What is over is over.
        assert_eq!(second(&sampler, 20, 200), (200, 200));
    }
}
