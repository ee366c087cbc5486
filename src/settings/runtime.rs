//! Run-time settings: one typed table, from which come the control API, the console's controls and
//! the docs. Hops read a snapshot; nothing set at run time survives a restart.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use serde_json::{Value, json};

use crate::observe::hop::Hop;

/// How the balancer chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalancerPolicy {
    RoundRobin,
    P2cPeakEwma,
}

impl BalancerPolicy {
    const CHOICES: &'static [&'static str] = &["round_robin", "p2c_peak_ewma"];

    pub const fn id(self) -> &'static str {
        match self {
            BalancerPolicy::RoundRobin => "round_robin",
            BalancerPolicy::P2cPeakEwma => "p2c_peak_ewma",
        }
    }

    fn from_id(id: &str) -> Option<Self> {
        [Self::RoundRobin, Self::P2cPeakEwma].into_iter().find(|policy| policy.id() == id)
    }
}

/// All values at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub balancer_policy: BalancerPolicy,
    pub balancer_health_interval: Duration,
    pub data_cache_ttl: Duration,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            balancer_policy: BalancerPolicy::P2cPeakEwma,
            balancer_health_interval: Duration::from_secs(2),
            data_cache_ttl: Duration::from_secs(30),
        }
    }
}

/// What values a setting takes.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Kind {
    Choice {
        choices: &'static [&'static str],
    },
    /// In the row's unit.
    Number {
        min: u64,
        max: u64,
    },
}

/// One setting.
#[derive(Debug)]
pub struct Row {
    pub key: &'static str,
    pub hop: Hop,
    pub kind: Kind,
    pub unit: Option<&'static str>,
    pub help: &'static str,
    /// Ids of shared lesson coverage (`layer.balancer`), or `operations`.
    pub lessons: &'static [&'static str],
    get: fn(&Snapshot) -> Value,
    /// Called with a value that `kind` has accepted.
    set: fn(&mut Snapshot, &Value),
}

/// The table.
pub static ROWS: &[Row] = &[
    Row {
        key: "balancer.policy",
        hop: Hop::Balancer,
        kind: Kind::Choice { choices: BalancerPolicy::CHOICES },
        unit: None,
        help: "How the next instance is chosen: in turn, or the less loaded of two drawn at random.",
        lessons: &["layer.balancer"],
        get: |values| json!(values.balancer_policy.id()),
        set: |values, value| {
            if let Some(policy) = value.as_str().and_then(BalancerPolicy::from_id) {
                values.balancer_policy = policy;
            }
        },
    },
    Row {
        key: "balancer.health.interval",
        hop: Hop::Balancer,
        kind: Kind::Number { min: 100, max: 60_000 },
        unit: Some("ms"),
        help: "Time between two health checks of an instance.",
        lessons: &["layer.balancer", "rel.high-availability"],
        get: |values| json!(values.balancer_health_interval.as_millis() as u64),
        set: |values, value| {
            values.balancer_health_interval = Duration::from_millis(value.as_u64().unwrap_or_default());
        },
    },
    Row {
        key: "data.cache.ttl",
        hop: Hop::Data,
        kind: Kind::Number { min: 0, max: 3_600 },
        unit: Some("s"),
        help: "How long an instance's cache keeps an entry; 0 keeps none.",
        lessons: &["perf.caching"],
        get: |values| json!(values.data_cache_ttl.as_secs()),
        set: |values, value| values.data_cache_ttl = Duration::from_secs(value.as_u64().unwrap_or_default()),
    },
];

/// Why a change was refused: which key, and what it takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct Refused {
    pub key: String,
    pub reason: String,
}

/// A setting as the control API shows it.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub key: &'static str,
    pub hop: Hop,
    #[serde(flatten)]
    pub kind: Kind,
    pub unit: Option<&'static str>,
    pub value: Value,
    pub default: Value,
    pub help: &'static str,
    pub lessons: &'static [&'static str],
}

/// The settings of one stack. Cheap to clone; reading takes no lock.
#[derive(Debug, Clone, Default)]
pub struct Settings(Arc<ArcSwap<Snapshot>>);

impl Settings {
    pub fn new(initial: Snapshot) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(initial)))
    }

    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.0.load()
    }

    pub fn list(&self) -> Vec<Shown> {
        let (now, default) = (self.snapshot(), Snapshot::default());
        ROWS.iter()
            .map(|row| Shown {
                key: row.key,
                hop: row.hop,
                kind: row.kind,
                unit: row.unit,
                value: (row.get)(&now),
                default: (row.get)(&default),
                help: row.help,
                lessons: row.lessons,
            })
            .collect()
    }

    /// Makes all the changes, or none when one is refused.
    pub fn change<'a>(&self, changes: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Result<(), Vec<Refused>> {
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for (key, value) in changes {
            match check(key, value) {
                Ok(row) => accepted.push((row, value)),
                Err(reason) => refused.push(Refused { key: key.to_owned(), reason }),
            }
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        self.0.rcu(|current| {
            let mut next = Snapshot::clone(current);
            for (row, value) in &accepted {
                (row.set)(&mut next, value);
            }
            next
        });
        Ok(())
    }
}

fn check(key: &str, value: &Value) -> Result<&'static Row, String> {
    let row = ROWS.iter().find(|row| row.key == key).ok_or("there is no such setting")?;
    let fits = match row.kind {
        Kind::Choice { choices } => value.as_str().is_some_and(|value| choices.contains(&value)),
        Kind::Number { min, max } => value.as_u64().is_some_and(|value| (min..=max).contains(&value)),
    };
    match (fits, row.kind) {
        (true, _) => Ok(row),
        (false, Kind::Choice { choices }) => Err(format!("takes one of {}", choices.join(", "))),
        (false, Kind::Number { min, max }) => {
            Err(format!("takes a whole number from {min} to {max} {}", row.unit.unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_starts_with_its_hop_and_names_a_lesson_and_its_default_passes() {
        for (row, shown) in ROWS.iter().zip(Settings::default().list()) {
            assert!(row.key.starts_with(row.hop.id()), "{}", row.key);
            assert!(!row.lessons.is_empty() && !row.help.is_empty(), "{}", row.key);
            assert!(check(row.key, &shown.default).is_ok(), "{}", row.key);
        }
    }

    #[test]
    fn one_wrong_value_changes_nothing() {
        let settings = Settings::default();
        let (good, bad) = (json!("round_robin"), json!(-1));
        let refused = settings.change([("balancer.policy", &good), ("data.cache.ttl", &bad)]);
        assert_eq!(refused.map_err(|all| all.len()), Err(1));
        assert_eq!(*settings.snapshot().as_ref(), Snapshot::default());
        assert_eq!(settings.change([("balancer.policy", &good)]), Ok(()));
        assert_eq!(settings.snapshot().balancer_policy, BalancerPolicy::RoundRobin);
    }
}
