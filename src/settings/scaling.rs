//! What can be changed about how many instances there are, and how another version takes their place.

use std::time::Duration;

use super::row::{Field, Row};
use super::startup::INSTANCES_MAX;
use crate::observe::hop::Hop;
use crate::policy::{autoscale, canary};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScalingSettings {
    /// Whether instances come and go by themselves.
    pub autoscaler_on: bool,
    pub autoscaler: autoscale::Rules,
    /// How long the first instance of a new version is watched before others follow.
    pub watch: Duration,
    pub canary: canary::Rules,
}

impl Default for ScalingSettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            autoscaler_on: false,
            // Shorter than in production (Kubernetes: down after 300 s), so that one can watch it.
            autoscaler: autoscale::Rules {
                min: 1,
                max: 6,
                concurrency: 8,
                target: 70,
                queue: 8,
                up_after: seconds(10),
                down_after: seconds(60),
                cool_down: seconds(20),
            },
            watch: seconds(20),
            canary: canary::Rules { minimum: 20, slow: 200 },
        }
    }
}

const fn row(key: &'static str, help: &'static str, lessons: &'static [&'static str], field: Field) -> Row {
    Row { key, hop: Hop::Balancer, help, lessons, field }
}

const SCALING: &[&str] = &["scal.load-handling", "scal.growth", "scale.horizontal-vertical"];
const RELEASE: &[&str] = &["maint.deployment"];

pub static ROWS: &[Row] = &[
    row(
        "balancer.autoscaler.on",
        "Whether instances are added and removed by themselves as the load grows and falls.",
        SCALING,
        Field::Flag(|values| &mut values.scaling.autoscaler_on),
    ),
    row(
        "balancer.autoscaler.min",
        "The autoscaler leaves at least so many instances.",
        SCALING,
        Field::Count {
            field: |values| &mut values.scaling.autoscaler.min,
            min: 1,
            max: INSTANCES_MAX as u64,
            unit: None,
        },
    ),
    row(
        "balancer.autoscaler.max",
        "The autoscaler makes at most so many instances; with less than the minimum, the minimum counts.",
        SCALING,
        Field::Count {
            field: |values| &mut values.scaling.autoscaler.max,
            min: 1,
            max: INSTANCES_MAX as u64,
            unit: None,
        },
    ),
    row(
        "balancer.autoscaler.concurrency",
        "So many requests under way at an instance count as fully busy.",
        SCALING,
        Field::Count { field: |values| &mut values.scaling.autoscaler.concurrency, min: 1, max: 10_000, unit: None },
    ),
    row(
        "balancer.autoscaler.target",
        "How busy each instance is to be: busier, and one is added; so idle that fewer would do, and one is removed.",
        SCALING,
        Field::Count { field: |values| &mut values.scaling.autoscaler.target, min: 1, max: 100, unit: Some("%") },
    ),
    row(
        "balancer.autoscaler.queue",
        "With more requests than these waiting for an instance, one is added however busy they are.",
        SCALING,
        Field::Count { field: |values| &mut values.scaling.autoscaler.queue, min: 0, max: 10_000, unit: None },
    ),
    row(
        "balancer.autoscaler.up_after",
        "For so long more must be needed before one is added: a moment is no trend.",
        SCALING,
        Field::Seconds { field: |values| &mut values.scaling.autoscaler.up_after, min: 0, max: 3_600 },
    ),
    row(
        "balancer.autoscaler.down_after",
        "For so long fewer must be enough before one is removed: a lull is no end.",
        SCALING,
        Field::Seconds { field: |values| &mut values.scaling.autoscaler.down_after, min: 0, max: 3_600 },
    ),
    row(
        "balancer.autoscaler.cool_down",
        "After a change nothing is changed for so long, so that the change is seen before the next.",
        SCALING,
        Field::Seconds { field: |values| &mut values.scaling.autoscaler.cool_down, min: 0, max: 3_600 },
    ),
    row(
        "balancer.release.watch",
        "How long the first instance of a new version is compared with the others before these follow.",
        RELEASE,
        Field::Seconds { field: |values| &mut values.scaling.watch, min: 1, max: 3_600 },
    ),
    row(
        "balancer.release.minimum",
        "With fewer requests than this at the new version nothing is concluded from them.",
        RELEASE,
        Field::Count { field: |values| &mut values.scaling.canary.minimum, min: 1, max: 100_000, unit: None },
    ),
    row(
        "balancer.release.slow",
        "A request to the new version is slow when it takes longer than this share of the others' 99th percentile; \
         too many of them, and the version goes back.",
        RELEASE,
        Field::Count { field: |values| &mut values.scaling.canary.slow, min: 100, max: 10_000, unit: Some("%") },
    ),
];
