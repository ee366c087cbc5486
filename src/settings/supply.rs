//! What can be changed about how the service asks the supplier.

use std::time::Duration;

use super::row::{Field, Row};
use crate::observe::hop::Hop;
use crate::policy::breaker::Mode;
use crate::policy::{breaker, retry_budget};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplySettings {
    /// Of one attempt.
    pub timeout: Duration,
    /// Of all attempts and the waits between them.
    pub patience: Duration,
    pub attempts: u64,
    pub retry_budget: retry_budget::Rules,
    /// Of an instance at once.
    pub calls: u64,
    pub breaker: breaker::Rules,
    pub backoff: Duration,
    pub backoff_max: Duration,
}

impl Default for SupplySettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            timeout: Duration::from_millis(500),
            patience: seconds(2),
            attempts: 3,
            retry_budget: retry_budget::Rules { ratio: 20, floor: 1, window: seconds(10) },
            calls: 4,
            breaker: breaker::Rules {
                mode: Mode::On,
                window: 10,
                minimum: 5,
                failure_rate: 50,
                // A slow call is one that runs into the timeout, and then it has failed already.
                slow_rate: 100,
                slow_after: seconds(60),
                open_for: seconds(5),
                half_open_calls: 1,
            },
            backoff: seconds(1),
            backoff_max: seconds(60),
        }
    }
}

const LESSONS: &[&str] = &["layer.service", "rel.fault-tolerance"];

const fn row(key: &'static str, help: &'static str, field: Field) -> Row {
    Row { key, hop: Hop::Service, help, lessons: LESSONS, field }
}

const MODES: &[&str] = &["on", "off", "forced_open"];

pub static ROWS: &[Row] = &[
    row(
        "service.supply.timeout",
        "How long one attempt waits for the supplier's answer.",
        Field::Millis { field: |values| &mut values.supply.timeout, min: 10, max: 60_000 },
    ),
    row(
        "service.supply.patience",
        "How long an order waits for an express delivery in all: every attempt, and the waits between them.",
        Field::Millis { field: |values| &mut values.supply.patience, min: 10, max: 60_000 },
    ),
    row(
        "service.supply.attempts",
        "How often the supplier is asked for one delivery before it is given up for now, the first time included.",
        Field::Count { field: |values| &mut values.supply.attempts, min: 1, max: 10, unit: None },
    ),
    row(
        "service.supply.retry_ratio",
        "Share of the calls to the supplier that may be tried again: without a bound, retries would double the load \
         on a supplier that fails under it.",
        Field::Count { field: |values| &mut values.supply.retry_budget.ratio, min: 0, max: 100, unit: Some("%") },
    ),
    row(
        "service.supply.retry_floor",
        "Retries a second that are allowed however few calls there are.",
        Field::Count { field: |values| &mut values.supply.retry_budget.floor, min: 0, max: 1_000, unit: Some("/s") },
    ),
    row(
        "service.supply.calls",
        "Calls to the supplier that one instance may have under way (the bulkhead); those beyond are refused at once, \
         so that a slow supplier can't hold up everything else.",
        Field::Count { field: |values| &mut values.supply.calls, min: 0, max: 1_000, unit: None },
    ),
    row(
        "service.supply.breaker.mode",
        "The circuit breaker before the supplier: on, off (every call goes out), or forced_open (none does).",
        Field::Choice {
            choices: MODES,
            get: |values| match values.supply.breaker.mode {
                Mode::On => "on",
                Mode::Off => "off",
                Mode::ForcedOpen => "forced_open",
            },
            set: |values, id| {
                values.supply.breaker.mode = match id {
                    "off" => Mode::Off,
                    "forced_open" => Mode::ForcedOpen,
                    _ => Mode::On,
                }
            },
        },
    ),
    row(
        "service.supply.breaker.minimum",
        "Calls that must be counted before the breaker concludes anything.",
        Field::Count { field: |values| &mut values.supply.breaker.minimum, min: 1, max: 128, unit: None },
    ),
    row(
        "service.supply.breaker.failure_rate",
        "Share of failed calls from which the breaker opens.",
        Field::Count { field: |values| &mut values.supply.breaker.failure_rate, min: 1, max: 100, unit: Some("%") },
    ),
    row(
        "service.supply.breaker.open_for",
        "How long the breaker stays open before a call may try again.",
        Field::Millis { field: |values| &mut values.supply.breaker.open_for, min: 10, max: 300_000 },
    ),
    row(
        "service.supply.backoff",
        "The longest that a purchase in the background waits after its first failure; it doubles with each.",
        Field::Millis { field: |values| &mut values.supply.backoff, min: 10, max: 60_000 },
    ),
    row(
        "service.supply.backoff_max",
        "The longest that a purchase waits before the supplier is asked again.",
        Field::Millis { field: |values| &mut values.supply.backoff_max, min: 10, max: 600_000 },
    ),
];
