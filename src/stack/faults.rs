//! Settings and faults of a running stack: who changed what is recorded, and a fault ends when its time is over.

use serde_json::Value;
use tokio::task::AbortHandle;

use super::Stack;
use crate::observe::clock::Tick;
use crate::observe::happening::{Happenings, Kind, Note};
use crate::settings::fault::{Fault, Spec};
use crate::settings::row::Field;
use crate::settings::runtime::{Changed, Refused, Settings};

/// Who ends a fault that nobody ended.
const ITS_TIME: &str = "its time";

impl Stack {
    /// Makes all the changes, or none when one is refused.
    pub fn change_settings<'a>(
        &self,
        who: &str,
        changes: impl IntoIterator<Item = (&'a str, &'a Value)>,
    ) -> Result<(), Vec<Refused>> {
        for changed in self.settings.change_telling(changes)? {
            record_change(&self.happenings, who, &changed);
        }
        Ok(())
    }

    /// Ends every fault that is on; says which.
    pub fn end_faults(&self, who: &str) -> Vec<&'static str> {
        let ended = self.settings.end_faults(|_| true);
        ended.iter().for_each(|fault| record_end(&self.happenings, who, *fault));
        ended.into_iter().map(Fault::key).collect()
    }
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
    pub fn start(settings: &Settings, happenings: &Happenings) -> Self {
        Self(tokio::spawn(expire(settings.clone(), happenings.clone())).abort_handle())
    }
}

/// Sleeps until the next one is over, or until there may be another next one.
async fn expire(settings: Settings, happenings: Happenings) {
    let mut changed = settings.listen();
    loop {
        changed.borrow_and_update();
        let now = Tick::now();
        let over = settings.end_faults(|spec| spec.until <= now);
        over.into_iter().for_each(|fault| record_end(&happenings, ITS_TIME, fault));
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
    match changed.after.faults.get(kind.fault) {
        Some(spec) => record_begin(happenings, who, kind.fault, spec),
        None => record_end(happenings, who, kind.fault),
    }
}

fn record_begin(happenings: &Happenings, who: &str, fault: Fault, spec: &Spec) {
    let what = format!("{} on: {}", fault.key(), spec.words(fault));
    happenings.record(Note { kind: Kind::FaultOn, hop: Some(fault.hop()), what, who, fault: Some(fault.key()) });
}

fn record_end(happenings: &Happenings, who: &str, fault: Fault) {
    let what = format!("{} off", fault.key());
    happenings.record(Note { kind: Kind::FaultOff, hop: Some(fault.hop()), what, who, fault: Some(fault.key()) });
}
