//! The kitchen: its workers, and what the chef sees of the queue and decides about it.

mod faults;
mod worker;
mod workers;

use std::sync::Arc;

use tokio::sync::watch;

use super::{Service, ServiceError, step};
use crate::domain::kitchen::{Direction, Queue};
use crate::faults::Home;
use crate::observe::recorder::Recorder;
use crate::observe::span::Span;
use crate::store::bistro::bus::Topic;
pub use workers::Workers;

impl Service {
    /// Starts the workers of that instance.
    pub fn start_kitchen(&self, home: &Home, recorder: Recorder) -> Workers {
        Workers::start(home, &self.bistro, &self.settings, &recorder)
    }

    /// The queue now. All who watch it share one reading of each change.
    pub async fn kitchen(&self, span: &Span) -> Result<Arc<Queue>, ServiceError> {
        step(span, "Look at the kitchen's queue", async |span| {
            // The number before the reading: what changes in between is read again.
            let change = *self.bistro.bus().listen(Topic::Tickets).borrow();
            if let Some((read_at, queue)) = self.queue.load().as_deref()
                && *read_at == change
            {
                return Ok(Arc::clone(queue));
            }
            let queue = Arc::new(self.bistro.kitchen(span).await?);
            self.queue.store(Some(Arc::new((change, Arc::clone(&queue)))));
            Ok(queue)
        })
        .await
    }

    /// Wakes at each change of the queue.
    pub fn listen_to_kitchen(&self) -> watch::Receiver<u64> {
        self.bistro.bus().listen(Topic::Tickets)
    }

    pub async fn pause_kitchen(&self, span: &Span, paused: bool) -> Result<(), ServiceError> {
        let name = if paused { "Pause the kitchen" } else { "Let the kitchen go on" };
        step(span, name, async |span| Ok(self.bistro.pause_kitchen(span, paused).await?)).await
    }

    pub async fn direct_ticket(&self, span: &Span, ticket: i64, direction: Direction) -> Result<(), ServiceError> {
        step(span, "Direct the ticket", async |span| Ok(self.bistro.direct(span, ticket, direction).await?)).await
    }
}
