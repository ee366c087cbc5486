//! One connection's part of a load: takes what is due, sends it, and counts what became of it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Instant;

use super::Plan;
use super::backlog::Backlog;
use super::mix::{Draft, Mix};
use super::tally::Tally;
use crate::client::lean::{Answered, Broken, Jar, Kind, Line};

/// What all callers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub plan: Plan,
    pub mix: Mix,
    pub backlog: Backlog,
    /// Callers that tried to open their connection.
    pub opened: std::sync::atomic::AtomicUsize,
    /// Callers that are not done.
    pub left: std::sync::atomic::AtomicUsize,
    /// Woken by the last caller that opened, and by the last that is done.
    pub clock: Thread,
}

/// A tally that the callers of one thread write into.
pub(super) type Shelf = Arc<Mutex<Tally>>;

pub(super) fn lock(shelf: &Shelf) -> MutexGuard<'_, Tally> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends until the backlog is closed and empty.
pub(super) async fn call(shared: Arc<Shared>, shelf: Shelf) {
    let _left = Left(Arc::clone(&shared));
    let mut line = Line::new(Arc::clone(&shared.plan.origin));
    let mut jars = shared.mix.jars();
    let mut draft = Draft::default();
    // So that the first requests measure the server and not a storm of handshakes. Who can't, tries again
    // with its first request, which then tells why.
    let _ = tokio::time::timeout(shared.plan.timeout, line.open()).await;
    let mut opened = line.opened();
    lock(&shelf).opened += opened;
    if shared.opened.fetch_add(1, Relaxed) + 1 == shared.plan.connections {
        shared.clock.unpark();
    }
    while let Some(arrival) = shared.backlog.next().await {
        let taken = Instant::now();
        shared.mix.write(&mut draft, &jars, arrival.number);
        {
            let mut tally = lock(&shelf);
            if arrival.free {
                tally.lag.record(taken.saturating_duration_since(arrival.due));
            }
            tally.sending(draft.kind, draft.bytes.len());
        }
        let ended = exchange(&shared.plan, &mut line, &draft, &mut jars).await;
        let now = Instant::now();
        let mut tally = lock(&shelf);
        tally.opened += line.opened() - opened;
        opened = line.opened();
        match ended {
            Ok(Answered { status, bytes, .. }) => {
                let latency = now.saturating_duration_since(arrival.due);
                tally.answered(draft.kind, status, bytes, latency, now.saturating_duration_since(taken));
            }
            Err(broken) => tally.broken(draft.kind, broken),
        }
    }
}

async fn exchange(plan: &Plan, line: &mut Line, draft: &Draft, jars: &mut [Jar]) -> Result<Answered, Broken> {
    if !plan.keep_alive {
        line.hang_up();
    }
    let exchange = line.exchange(&draft.bytes, draft.no_body, &mut jars[draft.jar]);
    let ended = tokio::time::timeout(plan.timeout, exchange).await;
    ended.unwrap_or_else(|_| {
        Err(Broken { kind: Kind::Timeout, why: format!("No whole answer within {:?}.", plan.timeout) })
    })
}

/// Counts a caller out, however it ends.
struct Left(Arc<Shared>);

impl Drop for Left {
    fn drop(&mut self) {
        if self.0.left.fetch_sub(1, Relaxed) == 1 {
            self.0.clock.unpark();
        }
    }
}
