//! What can be changed about the balancer.

use std::time::Duration;

use super::row::{Field, Row};
use crate::observe::hop::Hop;
use crate::policy::{breaker, health, outlier, retry_budget};

/// How the balancer chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalancerPolicy {
    RoundRobin,
    WeightedRoundRobin,
    LeastRequest,
    P2cPeakEwma,
    Random,
    IpHash,
    StickyCookie,
}

impl BalancerPolicy {
    pub const CHOICES: &'static [&'static str] = &[
        "round_robin",
        "weighted_round_robin",
        "least_request",
        "p2c_peak_ewma",
        "random",
        "ip_hash",
        "sticky_cookie",
    ];
    const ALL: [Self; 7] = [
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::LeastRequest,
        Self::P2cPeakEwma,
        Self::Random,
        Self::IpHash,
        Self::StickyCookie,
    ];

    pub const fn id(self) -> &'static str {
        Self::CHOICES[self as usize]
    }

    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.id() == id)
    }
}

/// How long an upstream is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first attempt to the last one's head, waiting for the client not counted; 0 is no bound.
    pub deadline: Duration,
    /// To connect, with the TLS handshake.
    pub connect: Duration,
    /// From the end of the upload to the answer's head.
    pub head: Duration,
    /// Between two pieces of an answer's body.
    pub between_bytes: Duration,
    /// Between two pieces of a stream of events, which is silent while nothing happens.
    pub between_events: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalancerSettings {
    pub policy: BalancerPolicy,
    pub panic_threshold: u64,
    pub slow_start: Duration,
    /// Requests under way per upstream.
    pub concurrency: u64,
    /// Requests that wait, per upstream.
    pub queue_length: u64,
    pub queue_wait: Duration,
    pub health_interval: Duration,
    pub health_timeout: Duration,
    pub health: health::Rules,
    pub ejection: outlier::Rules,
    pub breaker: breaker::Rules,
    /// Attempts for one request, the first included.
    pub attempts: u64,
    pub retry_budget: retry_budget::Rules,
    pub timeouts: Timeouts,
}

impl Default for BalancerSettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            policy: BalancerPolicy::P2cPeakEwma,
            panic_threshold: 50,
            slow_start: seconds(10),
            concurrency: 1_024,
            queue_length: 100,
            queue_wait: seconds(1),
            health_interval: seconds(2),
            health_timeout: seconds(1),
            health: health::Rules { fall: 3, rise: 2 },
            // Shorter than in production (Envoy: 30 s, at most 300 s), so that one can watch it.
            ejection: outlier::Rules { failures: 5, base: seconds(5), max: seconds(60) },
            breaker: breaker::Rules {
                mode: breaker::Mode::On,
                window: 20,
                minimum: 10,
                failure_rate: 50,
                slow_rate: 100,
                slow_after: seconds(10),
                open_for: seconds(5),
                half_open_calls: 3,
            },
            attempts: 3,
            retry_budget: retry_budget::Rules { ratio: 20, floor: 10, window: seconds(10) },
            timeouts: Timeouts {
                deadline: seconds(60),
                connect: seconds(1),
                head: seconds(15),
                between_bytes: seconds(30),
                between_events: seconds(5 * 60),
            },
        }
    }
}

const fn row(key: &'static str, help: &'static str, lessons: &'static [&'static str], field: Field) -> Row {
    Row { key, hop: Hop::Balancer, help, lessons, field }
}

const BALANCER: &[&str] = &["layer.balancer"];
const HEALTH: &[&str] = &["layer.balancer", "rel.high-availability"];
const FAULTS: &[&str] = &["rel.fault-tolerance"];
const LOAD: &[&str] = &["scal.load-handling"];

const MODES: &[&str] = &["on", "off", "forced_open"];

pub static ROWS: &[Row] = &[
    row(
        "balancer.policy",
        "How the next instance is chosen: in turn (round_robin), in turn by weight (weighted_round_robin), the one \
         with fewer requests (least_request) or the quicker and less loaded one (p2c_peak_ewma) of two drawn at \
         random, at random (random), always the same for one address (ip_hash) or for one browser (sticky_cookie).",
        BALANCER,
        Field::Choice {
            choices: BalancerPolicy::CHOICES,
            get: |values| values.balancer.policy.id(),
            set: |values, id| {
                if let Some(policy) = BalancerPolicy::from_id(id) {
                    values.balancer.policy = policy;
                }
            },
        },
    ),
    row(
        "balancer.panic_threshold",
        "With fewer than this share of the instances healthy, all of them are used, since the few that are left \
         would fall under the whole load; 0 never does that.",
        HEALTH,
        Field::Count { field: |values| &mut values.balancer.panic_threshold, min: 0, max: 100, unit: Some("%") },
    ),
    row(
        "balancer.slow_start",
        "For so long an instance that came back gets less than its share, growing little by little; 0 gives it all \
         at once.",
        HEALTH,
        Field::Millis { field: |values| &mut values.balancer.slow_start, min: 0, max: 300_000 },
    ),
    row(
        "balancer.concurrency",
        "Requests that one instance may have under way; more of them wait in the queue.",
        LOAD,
        Field::Count { field: |values| &mut values.balancer.concurrency, min: 1, max: 100_000, unit: None },
    ),
    row(
        "balancer.queue.length",
        "Requests that may wait for each instance when all are full; those beyond are turned away with 503.",
        LOAD,
        Field::Count { field: |values| &mut values.balancer.queue_length, min: 0, max: 10_000, unit: None },
    ),
    row(
        "balancer.queue.wait",
        "How long a request waits in the queue before it is turned away with 503.",
        LOAD,
        Field::Millis { field: |values| &mut values.balancer.queue_wait, min: 0, max: 60_000 },
    ),
    row(
        "balancer.health.interval",
        "Time between two health checks of an instance.",
        HEALTH,
        Field::Millis { field: |values| &mut values.balancer.health_interval, min: 100, max: 60_000 },
    ),
    row(
        "balancer.health.timeout",
        "A health check that takes longer has failed.",
        HEALTH,
        Field::Millis { field: |values| &mut values.balancer.health_timeout, min: 10, max: 60_000 },
    ),
    row(
        "balancer.health.fall",
        "Failed health checks in a row after which an instance is unhealthy.",
        HEALTH,
        Field::Count { field: |values| &mut values.balancer.health.fall, min: 1, max: 100, unit: None },
    ),
    row(
        "balancer.health.rise",
        "Passed health checks in a row after which it is healthy again.",
        HEALTH,
        Field::Count { field: |values| &mut values.balancer.health.rise, min: 1, max: 100, unit: None },
    ),
    row(
        "balancer.ejection.failures",
        "Requests in a row that an instance may fail (an answer of 500 and above, or none) before it is left out \
         for a while; 0 leaves nobody out. The last one is never left out.",
        HEALTH,
        Field::Count { field: |values| &mut values.balancer.ejection.failures, min: 0, max: 1_000, unit: None },
    ),
    row(
        "balancer.ejection.base",
        "How long it is left out the first time; the second time twice as long, and so on.",
        HEALTH,
        Field::Millis { field: |values| &mut values.balancer.ejection.base, min: 100, max: 300_000 },
    ),
    row(
        "balancer.ejection.max",
        "It is never left out for longer than this at a time.",
        HEALTH,
        Field::Millis { field: |values| &mut values.balancer.ejection.max, min: 100, max: 3_600_000 },
    ),
    row(
        "balancer.breaker.mode",
        "The circuit breaker of each instance: on; off; or forced_open, so that no request goes through.",
        FAULTS,
        Field::Choice {
            choices: MODES,
            get: |values| match values.balancer.breaker.mode {
                breaker::Mode::On => "on",
                breaker::Mode::Off => "off",
                breaker::Mode::ForcedOpen => "forced_open",
            },
            set: |values, id| {
                values.balancer.breaker.mode = match id {
                    "off" => breaker::Mode::Off,
                    "forced_open" => breaker::Mode::ForcedOpen,
                    _ => breaker::Mode::On,
                };
            },
        },
    ),
    row(
        "balancer.breaker.window",
        "How many of the last requests the breaker looks at.",
        FAULTS,
        Field::Count {
            field: |values| &mut values.balancer.breaker.window,
            min: 1,
            max: breaker::WINDOW_MAX,
            unit: None,
        },
    ),
    row(
        "balancer.breaker.minimum",
        "With fewer requests than this the breaker concludes nothing.",
        FAULTS,
        Field::Count {
            field: |values| &mut values.balancer.breaker.minimum,
            min: 1,
            max: breaker::WINDOW_MAX,
            unit: None,
        },
    ),
    row(
        "balancer.breaker.failure_rate",
        "From this share of failed requests on, the breaker opens and nothing is sent to the instance.",
        FAULTS,
        Field::Count { field: |values| &mut values.balancer.breaker.failure_rate, min: 1, max: 100, unit: Some("%") },
    ),
    row(
        "balancer.breaker.slow_rate",
        "From this share of slow requests on, the breaker opens too.",
        FAULTS,
        Field::Count { field: |values| &mut values.balancer.breaker.slow_rate, min: 1, max: 100, unit: Some("%") },
    ),
    row(
        "balancer.breaker.slow_after",
        "A request whose answer takes longer to begin is slow.",
        FAULTS,
        Field::Millis { field: |values| &mut values.balancer.breaker.slow_after, min: 1, max: 600_000 },
    ),
    row(
        "balancer.breaker.open",
        "How long the breaker stays open before a few requests may try.",
        FAULTS,
        Field::Millis { field: |values| &mut values.balancer.breaker.open_for, min: 100, max: 600_000 },
    ),
    row(
        "balancer.breaker.half_open_calls",
        "Requests that may then try; if they go well it closes, if not it opens again.",
        FAULTS,
        Field::Count { field: |values| &mut values.balancer.breaker.half_open_calls, min: 1, max: 100, unit: None },
    ),
    row(
        "balancer.retry.attempts",
        "Instances that are asked for one request, the first included; 1 asks nobody again. Only what does no harm \
         twice is sent twice.",
        FAULTS,
        Field::Count { field: |values| &mut values.balancer.attempts, min: 1, max: 10, unit: None },
    ),
    row(
        "balancer.retry.budget",
        "The share of the requests that may be sent again. Without a bound, retries double the load on those that \
         fail under it.",
        FAULTS,
        Field::Count { field: |values| &mut values.balancer.retry_budget.ratio, min: 0, max: 100, unit: Some("%") },
    ),
    row(
        "balancer.retry.floor",
        "Retries a second that are allowed however few requests there are.",
        FAULTS,
        Field::Count { field: |values| &mut values.balancer.retry_budget.floor, min: 0, max: 1_000, unit: Some("/s") },
    ),
    row(
        "balancer.retry.window",
        "The time over which requests and retries are counted for the budget.",
        FAULTS,
        Field::Seconds { field: |values| &mut values.balancer.retry_budget.window, min: 1, max: 60 },
    ),
    row(
        "balancer.timeout.deadline",
        "How long a request may take until its answer begins, all attempts together; 0 sets no bound. Time in which \
         the client still sends is not counted, nor is the answer's body.",
        FAULTS,
        Field::Millis { field: |values| &mut values.balancer.timeouts.deadline, min: 0, max: 3_600_000 },
    ),
    row(
        "balancer.timeout.connect",
        "How long an instance may take to accept a connection, with the TLS handshake.",
        FAULTS,
        Field::Millis { field: |values| &mut values.balancer.timeouts.connect, min: 10, max: 60_000 },
    ),
    row(
        "balancer.timeout.head",
        "How long an instance may take from the end of the request to the head of its answer.",
        FAULTS,
        Field::Millis { field: |values| &mut values.balancer.timeouts.head, min: 10, max: 3_600_000 },
    ),
    row(
        "balancer.timeout.between_bytes",
        "How long an instance may be silent in the middle of an answer.",
        FAULTS,
        Field::Millis { field: |values| &mut values.balancer.timeouts.between_bytes, min: 10, max: 3_600_000 },
    ),
    row(
        "balancer.timeout.between_events",
        "How long it may be silent in a stream of events, where silence is no fault.",
        FAULTS,
        Field::Millis { field: |values| &mut values.balancer.timeouts.between_events, min: 10, max: 86_400_000 },
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_is_found_by_its_own_name() {
        for (policy, id) in BalancerPolicy::ALL.into_iter().zip(BalancerPolicy::CHOICES) {
            assert_eq!((policy.id(), BalancerPolicy::from_id(id)), (*id, Some(policy)));
        }
    }
}
