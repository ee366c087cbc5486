//! The kitchen's queue, live: an event at each change, for as long as the page listens and its session lasts.

use std::collections::HashMap;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until};

use super::call::{Call, Listener};
use super::kitchen::{KitchenTicketView, LengthsView, rfc3339, tickets};
use crate::domain::kitchen::Queue;
use crate::domain::permission::Permission;
use crate::observe::hop::Hop;
use crate::web::events::{self, HEARTBEAT};
use crate::web::problem::Problem;

/// Changes that follow each other faster are told together.
const TELL_EVERY: Duration = Duration::from_millis(100);
const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);
/// How often the session is looked at again: a stream ends so soon after it.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// Events that wait for a slow page. It misses none: what could not be told is told with the next.
const WAITING_MAX: usize = 4;
const RETRY_AFTER_S: u64 = 5;

/// What has changed since the event before; the first tells everything.
#[derive(Debug, Serialize)]
struct Change<'a> {
    at: String,
    #[serde(flatten)]
    lengths: LengthsView,
    /// New, or not as they were.
    tickets: Vec<&'a KitchenTicketView>,
    /// The numbers of all that are listed, in their order: what is missing is done, cancelled, or further back.
    order: Vec<i64>,
}

/// The queue, live: an event `queue` at each change, at most ten a second.
#[utoipa::path(
    get,
    path = "/api/v1/kitchen/events",
    tag = "kitchen",
    responses(
        (status = 200, description = "Server-sent events", content_type = "text/event-stream"),
        (status = 401, description = "Not signed in (problem document)"),
        (status = 503, description = "Too many pages listen already (problem document)")
    )
)]
pub async fn stream(call: Call) -> Result<HttpResponse, Problem> {
    call.allowed(Permission::KitchenRead).await?;
    let Some(listener) = call.listener() else {
        let detail = "Too many pages watch the kitchen through this instance. Close one, or try again shortly.";
        let problem = Problem::new(Hop::Api, 503, "too-many-pages", "Too many pages", detail);
        return Err(call.refused(problem.retry_after(RETRY_AFTER_S)));
    };
    let (page, answer) = events::stream(WAITING_MAX);
    actix_web::rt::spawn(async move { tell(&listener, &page).await });
    Ok(answer)
}

/// Until the page is gone, its session is over, the store fails or the instance stops.
async fn tell(listener: &Listener, page: &mpsc::Sender<Bytes>) {
    let mut told = Told::default();
    let mut changes = listener.service.listen_to_kitchen();
    let (mut pending, mut next) = (true, Instant::now());
    let mut heartbeat = interval_at(next + HEARTBEAT_EVERY, HEARTBEAT_EVERY);
    let mut check = interval(CHECK_EVERY);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = listener.closed() => return,
            () = page.closed() => return,
            _ = check.tick() => if !listener.still_may(Permission::KitchenRead).await { return },
            _ = heartbeat.tick() => if let Err(TrySendError::Closed(_)) = page.try_send(HEARTBEAT) { return },
            changed = changes.changed(), if !pending => match changed {
                Ok(()) => pending = true,
                Err(_) => return,
            },
            () = sleep_until(next), if pending => {
                next = Instant::now() + TELL_EVERY;
                changes.mark_unchanged();
                let Ok(queue) = listener.service.kitchen(&listener.span()).await else { return };
                match page.try_reserve() {
                    Ok(place) => {
                        pending = false;
                        if let Some(event) = told.event(&queue) {
                            place.send(event);
                        }
                    }
                    // It is slow: told later, with what comes until then.
                    Err(TrySendError::Full(())) => {}
                    Err(TrySendError::Closed(())) => return,
                }
            }
        }
    }
}

/// What a page knows already.
#[derive(Debug, Default)]
struct Told {
    lengths: Option<LengthsView>,
    order: Vec<i64>,
    tickets: HashMap<i64, KitchenTicketView>,
}

impl Told {
    /// What is new in `queue`; None when nothing is.
    fn event(&mut self, queue: &Queue) -> Option<Bytes> {
        let now = tickets(queue);
        let order: Vec<i64> = now.iter().map(|ticket| ticket.id).collect();
        let changed: Vec<_> = now.iter().filter(|ticket| self.tickets.get(&ticket.id) != Some(ticket)).collect();
        let lengths = LengthsView::from(queue.lengths);
        if self.lengths == Some(lengths) && changed.is_empty() && self.order == order {
            return None;
        }
        let change = Change { at: rfc3339(queue.at), lengths, tickets: changed, order: order.clone() };
        let event = events::event("queue", &change);
        *self = Told {
            lengths: Some(lengths),
            order,
            tickets: now.into_iter().map(|ticket| (ticket.id, ticket)).collect(),
        };
        Some(event)
    }
}
