//! What can be changed about the balancer.

use std::time::Duration;

use super::row::{Field, Row};
use crate::observe::hop::Hop;

/// How the balancer chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalancerPolicy {
    RoundRobin,
    P2cPeakEwma,
}

impl BalancerPolicy {
    pub const CHOICES: &'static [&'static str] = &["round_robin", "p2c_peak_ewma"];

    pub const fn id(self) -> &'static str {
        match self {
            BalancerPolicy::RoundRobin => "round_robin",
            BalancerPolicy::P2cPeakEwma => "p2c_peak_ewma",
        }
    }

    pub fn from_id(id: &str) -> Option<Self> {
        [Self::RoundRobin, Self::P2cPeakEwma].into_iter().find(|policy| policy.id() == id)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancerSettings {
    pub policy: BalancerPolicy,
    pub health_interval: Duration,
}

impl Default for BalancerSettings {
    fn default() -> Self {
        Self { policy: BalancerPolicy::P2cPeakEwma, health_interval: Duration::from_secs(2) }
    }
}

pub static ROWS: &[Row] = &[
    Row {
        key: "balancer.policy",
        hop: Hop::Balancer,
        help: "How the next instance is chosen: in turn, or the less loaded of two drawn at random.",
        lessons: &["layer.balancer"],
        field: Field::Choice {
            choices: BalancerPolicy::CHOICES,
            get: |values| values.balancer.policy.id(),
            set: |values, id| {
                if let Some(policy) = BalancerPolicy::from_id(id) {
                    values.balancer.policy = policy;
                }
            },
        },
    },
    Row {
        key: "balancer.health.interval",
        hop: Hop::Balancer,
        help: "Time between two health checks of an instance.",
        lessons: &["layer.balancer", "rel.high-availability"],
        field: Field::Millis { field: |values| &mut values.balancer.health_interval, min: 100, max: 60_000 },
    },
];
