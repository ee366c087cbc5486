//! The live stream to the pages: server-sent events (HTML standard, section 9.2).

use std::time::Duration;

use actix_web::web::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::caller::{Answer, Call, Caller};
use super::journeys::value;
use super::logs::Following;
use super::stack::state_of;
use crate::domain::permission::Permission;
use crate::web::events;
use crate::web::problem::Problem;

/// How often the stack's state is told when nothing else happens.
const EVERY: Duration = Duration::from_secs(2);
/// How often the session is looked at again: a stream ends so soon after its owner signed out.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How often a page that follows the log is told what came.
const LOG_EVERY: Duration = Duration::from_millis(250);
/// Events that wait for a slow page; beyond that it misses journeys, never blocks anybody.
const WAITING_MAX: usize = 32;

pub async fn stream(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    let Ok(place) = call.state.listeners.clone().try_acquire_owned() else {
        let detail = "Too many pages listen already. Close one.";
        return Err(Problem::new(None, 503, "too-many-pages", "Too many pages", detail));
    };
    let (sender, answer) = events::stream(WAITING_MAX);
    actix_web::rt::spawn(async move {
        // The place is given back when the page is gone.
        let _place = place;
        tell(&call, &sender).await;
    });
    Ok(answer)
}

/// Until the page is gone, its session is over or the server stops.
async fn tell(call: &Call, page: &mpsc::Sender<Bytes>) {
    let mut journeys = call.state.stack.recorder().subscribe();
    let mut closing = call.state.closing.clone();
    let mut every = tokio::time::interval(EVERY);
    let mut check = tokio::time::interval(CHECK_EVERY);
    let mut log = Following::asked(call);
    let mut log_every = tokio::time::interval(LOG_EVERY);
    loop {
        let event = tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            () = page.closed() => return,
            _ = check.tick() => match is_signed_in(call).await {
                true => continue,
                false => return,
            },
            _ = every.tick() => match state_of(&call.state).await {
                Ok(state) => events::event("stack", &state),
                Err(_) => continue,
            },
            _ = log_every.tick(), if log.is_some() => match log.as_mut().and_then(|log| log.next(&call.state)) {
                Some(told) => events::event("log", &told),
                None => continue,
            },
            journey = journeys.recv() => match journey {
                Ok(journey) => events::event("journey", &value(&journey.summary)),
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            },
        };
        if let Err(mpsc::error::TrySendError::Closed(_)) = page.try_send(event) {
            return;
        }
    }
}

/// Whether the session that opened the stream still counts. Looking does not keep it alive.
async fn is_signed_in(call: &Call) -> bool {
    let Caller::Owner { secret, .. } = &call.caller else { return false };
    // A database that can't answer ends the stream, too: the page asks again, and is let in or not.
    call.state.control.is_session_live(secret).await.unwrap_or(false)
}
