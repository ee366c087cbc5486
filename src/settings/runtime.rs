//! The values of the run-time settings. Hops read a snapshot; nothing set at run time survives a restart.
//!
//! From the one table come the control API, the console's controls and the docs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::api::ApiSettings;
use super::balancer::BalancerSettings;
use super::client::ClientSettings;
use super::data::DataSettings;
use super::dns::DnsSettings;
use super::fault::{Fault, FaultSettings, Spec};
use super::http::HttpSettings;
use super::row::{Kind, Row};
use super::scaling::ScalingSettings;
use super::service::ServiceSettings;
use super::startup::alike;
use super::supplier::SupplierSettings;
use super::supply::SupplySettings;
use super::{api, balancer, client, data, dns, fault, http, scaling, service, supplier, supply};
use crate::observe::hop::Hop;
use crate::policy::random;

/// All values at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    pub client: ClientSettings,
    pub dns: DnsSettings,
    pub http: HttpSettings,
    pub balancer: BalancerSettings,
    pub scaling: ScalingSettings,
    pub api: ApiSettings,
    pub service: ServiceSettings,
    pub data: DataSettings,
    pub supply: SupplySettings,
    pub supplier: SupplierSettings,
    pub faults: FaultSettings,
}

/// The table, in the order of a request's way; the faults last.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    let hops = [
        balancer::ROWS,
        scaling::ROWS,
        api::ROWS,
        service::ROWS,
        supply::ROWS,
        data::ROWS,
        supplier::ROWS,
        fault::ROWS,
    ];
    [client::ROWS, dns::ROWS].into_iter().flatten().chain(http::rows()).chain(hops.into_iter().flatten())
}

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
pub struct Settings {
    values: Arc<ArcSwap<Snapshot>>,
    changed: watch::Sender<()>,
    /// What faults draw from; a stack's own, so that a seed repeats them.
    dice: Arc<AtomicU64>,
}

impl Settings {
    pub fn new(initial: Snapshot) -> Self {
        Self { values: Arc::new(ArcSwap::from_pointee(initial)), ..Self::default() }
    }

    /// From now on faults draw what this seed gives.
    pub fn seed(&self, seed: u64) {
        self.dice.store(seed, Ordering::Relaxed);
    }

    /// The next random number.
    pub fn draw(&self) -> u64 {
        random::split_mix(self.dice.fetch_add(random::STEP, Ordering::Relaxed))
    }

    /// The defaults, but for what a configuration that was checked says.
    pub fn starting_with(changes: &[(String, Value)]) -> Self {
        let mut snapshot = Snapshot::default();
        for (key, value) in changes {
            if let Some(row) = rows().find(|row| row.key == key) {
                row.set(&mut snapshot, value);
            }
        }
        Self::new(snapshot)
    }

    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.values.load()
    }

    /// Wakes at each change: for those who sleep rather than look with every request.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub fn list(&self) -> Vec<Shown> {
        let (now, default) = (self.snapshot(), Snapshot::default());
        rows()
            .map(|row| Shown {
                key: row.key,
                hop: row.hop,
                kind: row.kind(),
                unit: row.unit(),
                value: row.value(&now),
                default: row.value(&default),
                help: row.help,
                lessons: row.lessons,
            })
            .collect()
    }

    /// Makes all the changes, or none when one is refused.
    pub fn change<'a>(&self, changes: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Result<(), Vec<Refused>> {
        self.change_telling(changes).map(drop)
    }

    /// The same, and says what it changed.
    pub fn change_telling<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a str, &'a Value)>,
    ) -> Result<Vec<Changed>, Vec<Refused>> {
        let accepted = accept(changes)?;
        let (before, after) = self.replace(|next| accepted.iter().for_each(|(row, value)| row.set(next, value)));
        Ok(differing(accepted.iter().map(|(row, _)| *row), &before, &after))
    }

    /// What [`Self::change`] would change now, without changing it.
    pub fn preview<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a str, &'a Value)>,
    ) -> Result<Vec<Changed>, Vec<Refused>> {
        let accepted = accept(changes)?;
        let before = self.values.load_full();
        let mut after = Snapshot::clone(&before);
        accepted.iter().for_each(|(row, value)| row.set(&mut after, value));
        Ok(differing(accepted.iter().map(|(row, _)| *row), &before, &Arc::new(after)))
    }

    /// Ends the faults that `which` picks out; says which they were.
    pub fn end_faults(&self, which: impl Fn(&Spec) -> bool) -> Vec<Fault> {
        // Looked at first: whoever listens is not woken for nothing.
        if !self.snapshot().faults.iter().any(|(_, spec)| which(spec)) {
            return Vec::new();
        }
        let (before, after) = self.replace(|next| next.faults.retain(|spec| !which(spec)));
        before.faults.iter().map(|(fault, _)| fault).filter(|fault| after.faults.get(*fault).is_none()).collect()
    }

    /// What was there, and what is now.
    fn replace(&self, edit: impl Fn(&mut Snapshot)) -> (Arc<Snapshot>, Arc<Snapshot>) {
        let mut after = Arc::default();
        let before = self.values.rcu(|current| {
            let mut next = Snapshot::clone(current);
            edit(&mut next);
            after = Arc::new(next);
            Arc::clone(&after)
        });
        self.changed.send_replace(());
        (before, after)
    }
}

/// A setting that is, or would be, another than before.
#[derive(Debug, Clone)]
pub struct Changed {
    pub row: &'static Row,
    pub before: Arc<Snapshot>,
    pub after: Arc<Snapshot>,
}

fn differing<'a>(
    rows: impl Iterator<Item = &'static Row>,
    before: &'a Arc<Snapshot>,
    after: &'a Arc<Snapshot>,
) -> Vec<Changed> {
    let changed = |row: &&'static Row| row.differs(before, after);
    let tell = |row| Changed { row, before: Arc::clone(before), after: Arc::clone(after) };
    rows.filter(changed).map(tell).collect()
}

/// A change that a row takes.
type Accepted<'a> = (&'static Row, &'a Value);

fn accept<'a>(changes: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Result<Vec<Accepted<'a>>, Vec<Refused>> {
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for (key, value) in changes {
        match check(key, value) {
            Ok(row) => accepted.push((row, value)),
            Err(reason) => refused.push(Refused { key: key.to_owned(), reason }),
        }
    }
    if refused.is_empty() { Ok(accepted) } else { Err(refused) }
}

/// Says that `key` is none, and which one it may be meant to be.
pub fn unknown(key: &str) -> String {
    let known: Vec<&str> = rows().map(|row| row.key).collect();
    let meant = alike(key, &known).map(|meant| format!("; did you mean '{meant}'?")).unwrap_or_default();
    format!("there is no such setting{meant}")
}

fn check(key: &str, value: &Value) -> Result<&'static Row, String> {
    let row = rows().find(|row| row.key == key).ok_or_else(|| unknown(key))?;
    row.check(value).map(|()| row)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::balancer::BalancerPolicy;
    use super::super::row::SIDE_STATIONS;
    use super::*;

    #[test]
    fn each_key_starts_with_its_hop_and_names_a_lesson_and_its_default_passes() {
        for (row, shown) in rows().zip(Settings::default().list()) {
            let key = row.key.strip_prefix("fault.").unwrap_or(row.key);
            let station = key.split('.').next().unwrap_or_default();
            assert!(station == row.hop.id() || SIDE_STATIONS.contains(&(station, row.hop)), "{}", row.key);
            assert!(!row.lessons.is_empty() && !row.help.is_empty(), "{}", row.key);
            assert!(check(row.key, &shown.default).is_ok(), "{}", row.key);
            assert_eq!(rows().filter(|other| other.key == row.key).count(), 1, "{}", row.key);
        }
    }

    #[test]
    fn every_value_that_a_row_takes_is_the_value_that_it_then_has() {
        for row in rows() {
            let values = match row.kind() {
                Kind::Choice { choices } => choices.iter().map(|choice| json!(choice)).collect(),
                Kind::Flag => vec![json!(true), json!(false)],
                Kind::Number { min, max } => vec![json!(min), json!(max)],
                // Whatever fits is tested beside its row.
                Kind::Text { .. } => vec![json!("")],
                // Its own tests.
                Kind::Fault(_) => vec![json!(false)],
            };
            for value in values {
                let mut snapshot = Snapshot::default();
                assert_eq!(row.check(&value), Ok(()), "{}", row.key);
                row.set(&mut snapshot, &value);
                assert_eq!(row.value(&snapshot), value, "{}", row.key);
            }
        }
    }

    #[test]
    fn a_row_changes_no_other() {
        for row in rows() {
            let Kind::Number { min, max } = row.kind() else { continue };
            let mut snapshot = Snapshot::default();
            let other_than = |value: &Value| if *value == json!(max) { json!(min) } else { json!(max) };
            let other = other_than(&row.value(&snapshot));
            row.set(&mut snapshot, &other);
            let changed = rows().filter(|each| each.value(&snapshot) != each.value(&Snapshot::default()));
            assert_eq!(changed.map(|each| each.key).collect::<Vec<_>>(), [row.key]);
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
        assert_eq!(settings.snapshot().balancer.policy, BalancerPolicy::RoundRobin);
    }
}
