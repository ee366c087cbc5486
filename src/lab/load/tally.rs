//! What one thread of callers counts. Only its own callers write; once a second the clock takes it away, to add it
//! up, and leaves an empty one, so the lock is held for moments only.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::client::lean::{Broken, Kind};

/// From 1 µs to 60 s, three digits; what takes longer counts as 60 s.
const LONGEST_US: u64 = 60_000_000;
const DIGITS: u8 = 3;

/// A histogram of times, in microseconds.
#[derive(Debug, Clone)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        // The crate refuses bounds that make no sense; these are constants that do.
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, DIGITS);
        Self(histogram.unwrap_or_else(|error| unreachable!("constant bounds: {error}")))
    }
}

impl Times {
    pub fn record(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(LONGEST_US);
        self.0.saturating_record(us.clamp(1, LONGEST_US));
    }

    pub fn add(&mut self, other: &Times) {
        // Both have the same bounds: there is nothing that does not fit.
        if let Err(error) = self.0.add(&other.0) {
            unreachable!("the same bounds: {error}");
        }
    }

    pub fn clear(&mut self) {
        self.0.reset();
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// How many took `time` or longer, within the histogram's precision.
    pub fn at_least(&self, time: Duration) -> u64 {
        let us = u64::try_from(time.as_micros()).unwrap_or(LONGEST_US).clamp(1, LONGEST_US);
        self.0.count_between(us, LONGEST_US)
    }

    /// Milliseconds; None when nothing was recorded.
    pub fn at(&self, quantile: f64) -> Option<f64> {
        (self.count() > 0).then(|| self.0.value_at_quantile(quantile) as f64 / 1e3)
    }

    pub fn max(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.0.max() as f64 / 1e3)
    }

    pub fn mean(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.0.mean() / 1e3)
    }
}

/// Requests of one kind of the mix.
#[derive(Debug, Clone, Default)]
pub struct OfKind {
    pub sent: u64,
    pub answered: u64,
    /// Without an answer, or with a status of 500 or more.
    pub failed: u64,
    pub latency: Times,
}

/// What was counted since it was new.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub sent: u64,
    pub answered: u64,
    pub statuses: BTreeMap<u16, u64>,
    pub errors: BTreeMap<Kind, u64>,
    /// How the first of each kind was told.
    pub why: BTreeMap<Kind, String>,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub opened: u64,
    /// From the moment a request was due to the end of its answer.
    pub latency: Times,
    /// From the moment a connection took it to the end of its answer.
    pub service: Times,
    /// From the moment a request was due to the moment a connection that was free took it.
    pub lag: Times,
    pub kinds: Vec<OfKind>,
    /// Of the latest second.
    pub second: Second,
}

/// What a second brought.
#[derive(Debug, Clone, Default)]
pub struct Second {
    pub sent: u64,
    pub answered: u64,
    /// Without an answer, or with a status of 500 or more.
    pub failed: u64,
    pub latency: Times,
}

impl Second {
    fn add(&mut self, other: &Second) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.failed += other.failed;
        self.latency.add(&other.latency);
    }

    pub fn clear(&mut self) {
        (self.sent, self.answered, self.failed) = (0, 0, 0);
        self.latency.clear();
    }
}

impl Tally {
    pub fn new(kinds: usize) -> Self {
        Self { kinds: vec![OfKind::default(); kinds], ..Self::default() }
    }

    pub fn sending(&mut self, kind: usize, bytes: usize) {
        self.sent += 1;
        self.second.sent += 1;
        self.kinds[kind].sent += 1;
        self.bytes_sent += bytes as u64;
    }

    pub fn answered(&mut self, kind: usize, status: u16, bytes: u64, latency: Duration, service: Duration) {
        self.answered += 1;
        self.second.answered += 1;
        *self.statuses.entry(status).or_default() += 1;
        self.bytes_received += bytes;
        self.latency.record(latency);
        self.service.record(service);
        self.second.latency.record(latency);
        let of_kind = &mut self.kinds[kind];
        of_kind.answered += 1;
        of_kind.latency.record(latency);
        if status >= 500 {
            of_kind.failed += 1;
            self.second.failed += 1;
        }
    }

    pub fn broken(&mut self, kind: usize, broken: Broken) {
        *self.errors.entry(broken.kind).or_default() += 1;
        self.why.entry(broken.kind).or_insert(broken.why);
        self.kinds[kind].failed += 1;
        self.second.failed += 1;
    }

    pub fn add(&mut self, other: &Tally) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.opened += other.opened;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (kind, count) in &other.errors {
            *self.errors.entry(*kind).or_default() += count;
        }
        for (kind, why) in &other.why {
            self.why.entry(*kind).or_insert_with(|| why.clone());
        }
        for (sum, times) in [(&mut self.latency, &other.latency), (&mut self.service, &other.service)] {
            sum.add(times);
        }
        self.lag.add(&other.lag);
        for (sum, other) in self.kinds.iter_mut().zip(&other.kinds) {
            sum.sent += other.sent;
            sum.answered += other.answered;
            sum.failed += other.failed;
            sum.latency.add(&other.latency);
        }
        self.second.add(&other.second);
    }
}
