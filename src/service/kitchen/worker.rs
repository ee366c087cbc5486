//! A worker of the kitchen: takes the best due ticket, cooks it, and says so. It sleeps until something
//! changes or is due; it never asks again and again.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep};

use crate::domain::kitchen::{Claim, Due};
use crate::faults::Home;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::ids::SpanId;
use crate::observe::part::{Part, WorkPart};
use crate::observe::recorder::Recorder;
use crate::observe::span::{Context, Span, Status, Trace};
use crate::policy::random;
use crate::settings::runtime::Settings;
use crate::settings::service::KitchenSettings;
use crate::store::StoreError;
use crate::store::bistro::bus::Topic;
use crate::store::bistro::{Bistro, LeaseError};

/// The longest sleep before a due time: it is told by a clock that somebody may set.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// Who looked in vain does not look again sooner, however much changes.
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(super) struct Worker {
    /// As tickets name it: `i1/1`.
    pub name: String,
    /// Whose worker it is.
    pub home: Home,
    /// From 1; beyond the setting its place is empty.
    pub number: u64,
    pub bistro: Bistro,
    pub settings: Settings,
    pub recorder: Recorder,
    pub stop: watch::Receiver<bool>,
}

/// Until when there is nothing to do.
enum Rest {
    No,
    /// That long, unless something changes.
    AtMost(Duration),
    /// The store can't answer: asking again at each change would only add to its load.
    AtLeast(Duration),
    /// The place is empty, until the settings say otherwise.
    OffDuty,
}

/// Why a ticket was not cooked to the end.
enum Spoiled {
    /// It is another's by now.
    Lost,
    /// The instance stops.
    Stopped,
    Failed(String),
}

/// What a worker has to say of its ticket.
enum Report {
    Done,
    Failed(String),
    HandedBack,
}

impl Worker {
    pub async fn run(self) {
        let mut tickets = self.bistro.bus().listen(Topic::Tickets);
        let mut settings = self.settings.listen();
        while !*self.stop.borrow() {
            // Marked before looking: what changes from here on wakes it.
            tickets.mark_unchanged();
            settings.mark_unchanged();
            let rest = if self.number <= self.rules().workers { self.work().await } else { Rest::OffDuty };
            let (time, listens) = match rest {
                Rest::No => continue,
                Rest::AtMost(time) => (time, true),
                Rest::AtLeast(time) => (time, false),
                Rest::OffDuty => (Duration::MAX, false),
            };
            tokio::select! {
                () = self.stopped() => return,
                () = sleep(time.min(LOOK_EVERY)) => {}
            }
            // An error of what it listens to means that the stack is gone.
            tokio::select! {
                () = self.stopped() => return,
                () = sleep(time.saturating_sub(LOOK_EVERY)) => {}
                changed = tickets.changed(), if listens => if changed.is_err() { return },
                changed = settings.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Returns when the instance is told to stop. One that is killed tells nobody, and does nothing more.
    async fn stopped(&self) {
        let mut stop = self.stop.clone();
        if stop.wait_for(|stop| *stop).await.is_err() {
            std::future::pending().await
        }
    }

    fn rules(&self) -> KitchenSettings {
        self.settings.snapshot().service.kitchen.clone()
    }

    /// One look, and one ticket if there is one.
    async fn work(&self) -> Rest {
        if let Some(left) = self.paused() {
            return Rest::AtLeast(left);
        }
        let (trace_started, started_at) = (Tick::now(), self.bistro.now());
        // A trace of its own: no request waits for it.
        let root = Trace::start(Context::new_root(), SpanId::random(), Hop::Service, "Cook a ticket", trace_started);
        let rules = self.rules();
        match self.bistro.kitchen_due(&root, rules.lease, rules.attempts()).await {
            Ok(Due::Now) => {}
            Ok(Due::Never) => return Rest::AtMost(Duration::MAX),
            Ok(Due::At(at)) => {
                let wait = Duration::try_from(at - self.bistro.now()).unwrap_or_default();
                return Rest::AtMost(wait.min(SLEEP_MAX));
            }
            Err(error) => return self.back_off(&error),
        }
        match self.bistro.claim(&root, &self.name, rules.lease, rules.attempts()).await {
            Ok(Some(claim)) => {
                self.cook(&claim, &root).await;
                let (trace_id, trace) = (root.trace().context().trace_id, root.trace().clone());
                drop(root);
                let subject = format!("ticket {}", claim.ticket);
                self.recorder.submit(Part::Work(WorkPart { trace_id, started_at, subject, spans: trace.finish() }));
                Rest::No
            }
            // Another was faster, or a ticket was put back: there may be more.
            Ok(None) => Rest::No,
            Err(error) => self.back_off(&error),
        }
    }

    fn back_off(&self, error: &StoreError) -> Rest {
        match error {
            StoreError::Unavailable { retry_after, .. } => Rest::AtLeast(*retry_after),
            StoreError::Internal(reason) => {
                log::error!("{}: {reason}", self.name);
                Rest::AtLeast(SLEEP_MAX)
            }
        }
    }

    /// Cooks the ticket and reports.
    async fn cook(&self, claim: &Claim, root: &Span) {
        let report = match self.prepare(claim, root).await {
            Ok(()) => Report::Done,
            Err(Spoiled::Stopped) => Report::HandedBack,
            Err(Spoiled::Failed(reason)) => Report::Failed(reason),
            Err(Spoiled::Lost) => {
                log::debug!("{}: ticket {} is another's by now", self.name, claim.ticket);
                root.status(Status::Error);
                return;
            }
        };
        self.report(claim, root, report).await;
    }

    /// The dishes on the stove, and a heartbeat meanwhile. Whatever makes a cooking fail does so here.
    async fn prepare(&self, claim: &Claim, root: &Span) -> Result<(), Spoiled> {
        let step = root.child(Hop::Service, "Cook");
        if let Some(reason) = self.poisoned(claim.ticket, &step) {
            return Err(Spoiled::Failed(reason));
        }
        let rules = self.rules();
        let mut cooked = pin!(sleep(rules.cook_time));
        let mut heartbeat = interval_at(Instant::now() + rules.heartbeat(), rules.heartbeat());
        let ended = loop {
            tokio::select! {
                () = &mut cooked => break Ok(()),
                () = self.stopped() => break Err(Spoiled::Stopped),
                _ = heartbeat.tick() => match self.bistro.extend(&step, claim, rules.lease).await {
                    Ok(()) => {}
                    Err(LeaseError::Lost) => break Err(Spoiled::Lost),
                    // The lease may hold until the store is back: the next beat tells.
                    Err(LeaseError::Store(StoreError::Unavailable { .. })) => {}
                    Err(LeaseError::Store(StoreError::Internal(reason))) => break Err(Spoiled::Failed(reason)),
                },
            }
        };
        if ended.is_err() {
            step.status(Status::Error);
        }
        ended
    }

    /// Says what became of the ticket, until the store has heard it or the lease is lost.
    async fn report(&self, claim: &Claim, root: &Span, mut report: Report) {
        loop {
            let rules = self.rules();
            let heard = match &report {
                Report::Done => self.bistro.finish(root, claim).await,
                Report::HandedBack => self.bistro.hand_back(root, claim).await,
                Report::Failed(reason) => {
                    log::warn!("{}: ticket {} failed: {reason}", self.name, claim.ticket);
                    let random = random::split_mix(Tick::now().as_nanos() ^ claim.ticket.unsigned_abs());
                    let retry = rules.attempts().wait_after(claim.attempt, random);
                    self.bistro.give_up(root, claim, reason, retry).await
                }
            };
            if !matches!(report, Report::Done) {
                root.status(Status::Error);
            }
            match (heard, &report) {
                (Ok(()) | Err(LeaseError::Lost), _) => return,
                (Err(LeaseError::Store(StoreError::Unavailable { retry_after, .. })), _) => {
                    // Sooner than the lease runs out, so that the work is not lost if the store is back by then.
                    let wait = retry_after.min(rules.heartbeat());
                    if tokio::time::timeout(wait, self.stopped()).await.is_ok() {
                        return;
                    }
                }
                (Err(LeaseError::Store(StoreError::Internal(reason))), Report::Done) => report = Report::Failed(reason),
                (Err(LeaseError::Store(StoreError::Internal(reason))), _) => {
                    log::error!("{}: ticket {} is left to its lease: {reason}", self.name, claim.ticket);
                    return;
                }
            }
        }
    }
}
