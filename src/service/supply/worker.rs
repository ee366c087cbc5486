//! Buys what the pantry runs low of: one an instance, woken when something is to be bought or due.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Supply;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::ids::SpanId;
use crate::observe::part::{Part, WorkPart};
use crate::observe::recorder::Recorder;
use crate::observe::span::{Context, Status, Trace};
use crate::store::StoreError;
use crate::store::bistro::bus::Topic;

/// The stack's clock may be set wrong: nobody sleeps longer on its word.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// After the store has failed.
const REST: Duration = Duration::from_secs(1);

/// An instance's purchasing. Dropped, it breaks off, as when a process dies; what it held comes free with the lease.
#[derive(Debug)]
pub struct Purchasing {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Purchasing {
    /// Each purchase is recorded as a trace of its own.
    pub fn start(supply: Supply, recorder: Recorder) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(run(supply, recorder, stopped)) }
    }

    /// Has it begin nothing more.
    pub fn tell_to_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Lets what is under way end.
    pub async fn stop(mut self) {
        self.tell_to_stop();
        // It ends by itself; a panic in it is in the log.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Purchasing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(supply: Supply, recorder: Recorder, mut stopped: watch::Receiver<bool>) {
    let mut changes = supply.0.bistro.bus().listen(Topic::Purchases);
    while !*stopped.borrow() {
        changes.borrow_and_update();
        let wait = match buy_next(&supply, &recorder).await {
            Ok(None) => continue,
            Ok(Some(wait)) => wait,
            Err(error) => {
                log::warn!(target: "supply", "purchases have to wait: {error}");
                REST
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            changed = stopped.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Buys what is due; otherwise says how long nothing is.
async fn buy_next(supply: &Supply, recorder: &Recorder) -> Result<Option<Duration>, StoreError> {
    let bistro = &supply.0.bistro;
    let Some(due) = bistro.next_purchase(supply.lease(), supply.longest_wait()).await? else {
        return Ok(Some(SLEEP_MAX));
    };
    if let Ok(wait) = Duration::try_from(due - bistro.now())
        && !wait.is_zero()
    {
        return Ok(Some(wait.min(SLEEP_MAX)));
    }
    // A trace of its own: no request waits for it, and none is charged with it. In full, since there are few.
    let (context, started_at) = (Context { detail: true, ..Context::new_root() }, bistro.now());
    let span = Trace::start(context, SpanId::random(), Hop::Service, "Buy for the pantry", Tick::now());
    let deadline = Instant::now() + supply.patience();
    if let Some(claim) = bistro.claim_purchase(&span, supply.lease(), supply.longest_wait()).await? {
        let done = supply.fulfil(&span, &claim, deadline).await;
        if let Ok(Err(error)) = &done {
            log::info!(target: "supply", "{} did not come: {error}", claim.item);
        }
        if !matches!(done, Ok(Ok(()))) {
            span.status(Status::Error);
        }
        let trace = span.trace().clone();
        drop(span);
        let (trace_id, subject) = (context.trace_id, format!("{} of {}", claim.quantity, claim.item));
        recorder.submit(Part::Work(WorkPart { trace_id, started_at, subject, spans: trace.finish() }));
        done.map(drop)?;
    }
    Ok(None)
}
