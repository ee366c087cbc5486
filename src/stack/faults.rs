//! Settings and faults of a running stack: who changed what is recorded, and a fault ends when its time is over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::task::AbortHandle;

use super::Stack;
use crate::observe::clock::Tick;
use crate::observe::happening::{Happenings, Kind, Note};
use crate::settings::fault::{Fault, Spec};
use crate::settings::row::Field;
use crate::settings::runtime::{Changed, Refused, Settings, Snapshot};

/// Who ends a fault that nobody ended.
pub const ITS_TIME: &str = "its time";

/// How often all faults were ended. Held while settings change and until that is recorded: what is told of changes has
/// the order in which they were made.
#[derive(Debug, Clone, Default)]
pub struct Restores(Arc<Mutex<u64>>);

impl Restores {
    /// A number: a panic elsewhere leaves none half-written.
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nothing was changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Unchanged {
    Refused(Vec<Refused>),
    /// Since it was asked for, all faults were ended, and it would begin one.
    Restored,
}

impl Stack {
    /// Makes all the changes, or none when one is refused.
    pub fn change_settings<'a>(
        &self,
        who: &str,
        changes: impl IntoIterator<Item = (&'a str, &'a Value)>,
    ) -> Result<(), Vec<Refused>> {
        self.make_changes(who, changes, &self.restores.lock())
    }

    /// How often all faults were ended so far, for [`Self::change_settings_asked_for`].
    pub fn restores(&self) -> u64 {
        *self.restores.lock()
    }

    /// As [`Self::change_settings`], for changes that were asked for when [`Self::restores`] said `restores`: an end of
    /// all faults that came later counts, and none of these begins after it.
    pub fn change_settings_asked_for<'a>(
        &self,
        who: &str,
        changes: impl IntoIterator<Item = (&'a str, &'a Value)> + Clone,
        restores: u64,
    ) -> Result<(), Unchanged> {
        let turn = self.restores.lock();
        if *turn != restores {
            let planned = self.settings.preview(changes.clone()).map_err(Unchanged::Refused)?;
            if planned.iter().any(begins) {
                return Err(Unchanged::Restored);
            }
        }
        self.make_changes(who, changes, &turn).map_err(Unchanged::Refused)
    }

    /// `_turn` is held.
    fn make_changes<'a>(
        &self,
        who: &str,
        changes: impl IntoIterator<Item = (&'a str, &'a Value)>,
        _turn: &MutexGuard<'_, u64>,
    ) -> Result<(), Vec<Refused>> {
        for changed in self.settings.change_telling(changes)? {
            record_change(&self.happenings, who, &changed);
        }
        Ok(())
    }

    /// Ends every fault that is on; says which.
    pub fn end_faults(&self, who: &str) -> Vec<&'static str> {
        let mut turn = self.restores.lock();
        *turn += 1;
        let ended = self.settings.end_faults(|_| true);
        ended.iter().for_each(|fault| record_end(&self.happenings, who, *fault));
        ended.into_iter().map(Fault::key).collect()
    }
}

/// Whether a fault is on afterwards.
fn begins(changed: &Changed) -> bool {
    matches!(&changed.row.field, Field::Fault(kind) if changed.after.faults.get(kind.fault).is_some())
}

/// Takes faults whose time is over out of the settings. Ends when dropped.
#[derive(Debug)]
pub struct Expiry(AbortHandle);

impl Drop for Expiry {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Expiry {
    pub fn start(settings: &Settings, happenings: &Happenings, restores: &Restores) -> Self {
        Self(tokio::spawn(expire(settings.clone(), happenings.clone(), restores.clone())).abort_handle())
    }
}

/// Sleeps until the next one is over, or until there may be another next one.
async fn expire(settings: Settings, happenings: Happenings, restores: Restores) {
    let mut changed = settings.listen();
    loop {
        changed.borrow_and_update();
        let now = Tick::now();
        {
            let _turn = restores.lock();
            let over = settings.end_faults(|spec| spec.until <= now);
            over.into_iter().for_each(|fault| record_end(&happenings, ITS_TIME, fault));
        }
        let next = settings.snapshot().faults.iter().map(|(_, spec)| spec.until).min();
        let sleep = async {
            match next {
                Some(until) => tokio::time::sleep(until.since(now)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The sender lives in `settings`, so this never fails.
            _ = changed.changed() => {}
            () = sleep => {}
        }
    }
}

fn record_change(happenings: &Happenings, who: &str, changed: &Changed) {
    let row = changed.row;
    let Field::Fault(kind) = &row.field else {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let what = format!("{}: {} → {}", row.key, text(row.value(&changed.before)), text(row.value(&changed.after)));
        happenings.record(Note { kind: Kind::Setting, hop: Some(row.hop), what, who, fault: None });
        return;
    };
    let spec = |snapshot: &Snapshot| snapshot.faults.get(kind.fault).cloned();
    match (spec(&changed.before), spec(&changed.after)) {
        (None, Some(spec)) => record_begin(happenings, who, kind.fault, &spec),
        (Some(before), Some(after)) => record_other(happenings, who, kind.fault, &before, &after),
        (_, None) => record_end(happenings, who, kind.fault),
    }
}

/// It goes on, in another way or for longer.
fn record_other(happenings: &Happenings, who: &str, fault: Fault, before: &Spec, after: &Spec) {
    let what = format!("{}: {} → {}", fault.key(), before.words(fault), after.words(fault));
    happenings.record(Note { kind: Kind::Setting, hop: Some(fault.hop()), what, who, fault: Some(fault.key()) });
}

fn record_begin(happenings: &Happenings, who: &str, fault: Fault, spec: &Spec) {
    let what = format!("{} on: {}", fault.key(), spec.words(fault));
    happenings.record(Note { kind: Kind::FaultOn, hop: Some(fault.hop()), what, who, fault: Some(fault.key()) });
}

fn record_end(happenings: &Happenings, who: &str, fault: Fault) {
    let what = format!("{} off", fault.key());
    happenings.record(Note { kind: Kind::FaultOff, hop: Some(fault.hop()), what, who, fault: Some(fault.key()) });
}
