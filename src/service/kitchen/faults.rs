//! What faults do to a worker: it takes no ticket, or fails at some of them, whoever cooks.

use std::time::Duration;

use super::worker::Worker;
use crate::faults::{Place, is_on};
use crate::observe::clock::Tick;
use crate::observe::span::{Span, Status};
use crate::policy::random;
use crate::settings::fault::Fault;
use crate::store::bistro::POISONED;

impl Worker {
    /// For how long it takes no ticket; a change of the settings wakes it before.
    pub(super) fn paused(&self) -> Option<Duration> {
        let paused = is_on(&self.settings, Fault::ServicePausedWorkers, self.home.place())?;
        let snapshot = self.settings.snapshot();
        snapshot.faults.get(paused.fault).map(|spec| spec.until.since(Tick::now()))
    }

    /// Why this ticket fails. Its number decides, so that each attempt at it fails alike.
    pub(super) fn poisoned(&self, ticket: i64, cooking: &Span) -> Option<String> {
        let strike = is_on(&self.settings, Fault::ServicePoisonTicket, Place::ANYWHERE)?;
        let snapshot = self.settings.snapshot();
        let spec = snapshot.faults.get(Fault::ServicePoisonTicket)?;
        let drawn = random::split_mix(spec.since.as_nanos() ^ ticket.unsigned_abs());
        if random::below(drawn, 100) >= usize::from(spec.probability) {
            return None;
        }
        strike.mark(cooking);
        cooking.status(Status::Error);
        Some(POISONED.to_owned())
    }
}
