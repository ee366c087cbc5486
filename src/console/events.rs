//! The live stream to the pages: server-sent events (HTML standard, section 9.2).

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, mpsc};

use serde_json::{Value, json};

use super::State;
use super::caller::{Answer, Call, Caller};
use super::journeys::value;
use super::logs::Following;
use crate::domain::permission::Permission;
use crate::observe::clock::Tick;
use crate::web::events;
use crate::web::problem::Problem;

/// How often the session is looked at again: a stream ends so soon after its owner signed out.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How often a page that follows the log is told what came.
const LOG_EVERY: Duration = Duration::from_millis(250);
/// Events that wait for a slow page. Beyond that it misses journeys and lines of the log, and how things stand is told
/// once it has read on; it never blocks anybody.
const WAITING_MAX: usize = 32;

pub async fn stream(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    let state = &call.state;
    let place = |of: &Arc<Semaphore>| of.clone().try_acquire_owned().map_err(|_| too_many());
    // Scripts leave places to the owner.
    let among_scripts = match call.caller {
        Caller::Token { .. } => Some(place(&state.scripts_listening)?),
        _ => None,
    };
    let place = (place(&state.listeners)?, among_scripts);
    let (sender, answer) = events::stream(WAITING_MAX);
    actix_web::rt::spawn(async move {
        // The place is given back when the page is gone.
        let _place = place;
        tell(&call, &sender).await;
    });
    Ok(answer)
}

fn too_many() -> Problem {
    let detail = "Too many pages listen already. Close one.";
    Problem::new(None, 503, "too-many-pages", "Too many pages", detail)
}

/// Until the page is gone, its session is over or the server stops.
async fn tell(call: &Call, page: &mpsc::Sender<Bytes>) {
    let mut journeys = call.state.stack.recorder().subscribe();
    let mut happenings = call.state.stack.happenings().subscribe();
    let mut settings = call.state.stack.settings().listen();
    settings.mark_changed();
    let mut on = None;
    let mut live = call.state.live.listen();
    let mut closing = call.state.closing.clone();
    let mut loads = call.state.loads.subscribe();
    let mut overview = call.state.overview.subscribe();
    overview.mark_changed();
    let mut check = tokio::time::interval(CHECK_EVERY);
    let mut log = Following::asked(call);
    let mut log_every = tokio::time::interval(LOG_EVERY);
    loop {
        // This is the only sender, so there is no less room when something comes: what is told of how things stand is
        // never lost, it waits where it comes from. The check makes another look at least every second.
        let room = page.capacity() > 0;
        let event = tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            () = page.closed() => return,
            _ = check.tick() => match is_signed_in(call).await {
                true => continue,
                false => return,
            },
            // The sender lives in the state, so this never fails.
            _ = overview.changed(), if room => match &*overview.borrow_and_update() {
                Value::Null => continue,
                state => events::event("stack", state),
            },
            // At once, then whenever another fault is on: the sender lives in the stack.
            _ = settings.changed(), if room => {
                let now = call.state.stack.settings().snapshot().faults.clone();
                if on.as_ref() == Some(&now) {
                    continue;
                }
                on = Some(now);
                events::event("faults", &faults(&call.state))
            }
            happening = happenings.recv(), if room => match happening {
                Ok(happening) => events::event("happening", &*happening),
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            },
            Ok(()) = loads.changed(), if room => events::event("load", &*loads.borrow_and_update()),
            // The sender lives in the state, so this never fails.
            _ = live.changed(), if room => match live.borrow_and_update().as_deref() {
                Some(second) => events::event("live", &value(second)),
                None => continue,
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

/// The faults that are on.
fn faults(state: &State) -> Value {
    let snapshot = state.stack.settings().snapshot();
    let now = Tick::now();
    let on: Vec<Value> = snapshot
        .faults
        .iter()
        .filter(|(_, spec)| now < spec.until)
        .map(|(fault, spec)| json!({ "key": fault.key(), "value": spec.shown(now) }))
        .collect();
    json!({ "on": on })
}

/// Whether the session or the token that opened the stream still counts. Looking does not keep it alive.
async fn is_signed_in(call: &Call) -> bool {
    let live = match &call.caller {
        Caller::Owner { secret, .. } => call.state.control.is_session_live(secret).await,
        Caller::Token { id, .. } => call.state.control.is_token_live(*id).await,
        Caller::Nobody | Caller::Command => return false,
    };
    // A database that can't answer ends the stream, too: the page asks again, and is let in or not.
    live.unwrap_or(false)
}
