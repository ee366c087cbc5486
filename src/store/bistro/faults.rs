//! What a fault left in the restaurant's books, put in order when it is over.

use std::time::Duration;

use super::super::StoreError;
use super::super::engine::{Touched, unwatched};
use super::{Bistro, DirectError};
use crate::domain::kitchen::Direction;
use crate::faults::Follow;
use crate::settings::fault::Fault;
use crate::settings::runtime::Settings;

/// Why a poisoned ticket's attempt failed: by it those that nothing else is wrong with are found again.
pub const POISONED: &str = "the ticket is poisoned (fault.service.poison_ticket)";

const DEAD_OF_POISON: &str = "SELECT id FROM ticket WHERE state = 'dead' AND last_error = ?1 ORDER BY id LIMIT 64";

/// Between two attempts while the store can't take it.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Bistro {
    /// Does what begins and ends with a fault, for as long as it is polled.
    pub async fn keep_faults(&self, settings: &Settings) {
        tokio::join!(self.engine.keep_faults(), self.keep_tickets_sound(settings));
    }

    /// Lets go of what faults hold of the database, once nobody keeps them any more.
    pub async fn let_go(&self) {
        self.engine.let_go().await;
    }

    /// Tickets that poison alone set aside are queued again when there is no more of it; also those of a process that
    /// died meanwhile.
    async fn keep_tickets_sound(&self, settings: &Settings) {
        let mut follow = Follow::new(settings, Fault::ServicePoisonTicket);
        let mut on = settings.snapshot().faults.get(Fault::ServicePoisonTicket).is_some();
        loop {
            if !on {
                while let Err(error) = self.queue_poisoned_again().await {
                    log::warn!("kitchen: poisoned tickets wait: {error}");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
            on = follow.next().await.is_some();
        }
    }

    async fn queue_poisoned_again(&self) -> Result<(), StoreError> {
        loop {
            let span = unwatched("Queue poisoned tickets again");
            let dead: Vec<i64> = self.engine.survey(&span, |db| {
                db.step("Find those that poison set aside", &[DEAD_OF_POISON], |connection| {
                    let mut find = connection.prepare_cached(DEAD_OF_POISON)?;
                    let dead = find.query_map([POISONED], |row| row.get(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
                    let found = dead.len();
                    Ok((dead, Touched::Returned(found)))
                })
            })?;
            if dead.is_empty() {
                return Ok(());
            }
            for ticket in dead {
                match self.direct(&span, ticket, Direction::Requeue).await {
                    // The chef was faster.
                    Ok(()) | Err(DirectError::NoTicket | DirectError::State(_)) => {}
                    Err(DirectError::Store(error)) => return Err(error),
                }
            }
        }
    }
}
