//! Changes are written down for good: before they are made, and again when nothing came of them.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::State;
use super::caller::unavailable;
use crate::domain::event::Event;
use crate::observe::happening::{Happening, Kind};
use crate::stack::Stack;
use crate::stack::faults::ITS_TIME;
use crate::store::control::Control;
use crate::web::problem::Problem;

/// Who changes something with the control key.
pub const A_COMMAND: &str = "a command";

/// Writes it down, then does it.
pub async fn carry_out<T: Send + 'static>(
    state: &State,
    event: Event,
    act: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let control = state.control.clone();
    to_its_end(async move {
        control.record(vec![event.clone()]).await.map_err(unavailable)?;
        let done = act.await;
        if let Err(problem) = &done {
            record_after(&control, vec![event.failed(&problem.title)]).await;
        }
        done
    })
    .await
}

/// As a task of its own: who goes away in the middle must not leave written what was not done.
pub async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(work).await.map_err(|error| {
        log::error!("console: a change broke off: {error}");
        let detail = "The server failed at this; it is in its log. Look at how things stand before you try again.";
        Problem::new(None, 500, "internal", "Something went wrong here", detail)
    })?
}

/// What came of a change. That it can't be written down is in the log.
pub async fn record_after(control: &Control, events: Vec<Event>) {
    let told = format!("{events:?}");
    if let Err(error) = control.record(events).await {
        log::error!("console: this could not be written down: {error}: {told}");
    }
}

/// Writes down each fault that ends by its time, until the console closes.
pub fn follow_ends(stack: &Arc<Stack>, control: Control, mut closing: watch::Receiver<bool>) {
    let mut happenings = stack.happenings().subscribe();
    tokio::spawn(async move {
        loop {
            let happening = tokio::select! {
                // An error says that the console is gone.
                _ = closing.wait_for(|closing| *closing) => return,
                happening = happenings.recv() => happening,
            };
            match happening {
                Ok(happening) => {
                    if let Some(event) = end_by_time(&happening) {
                        record_after(&control, vec![event]).await;
                    }
                }
                Err(RecvError::Lagged(missed)) => log::error!("console: {missed} happenings were missed"),
                Err(RecvError::Closed) => return,
            }
        }
    });
}

fn end_by_time(happening: &Happening) -> Option<Event> {
    let fault = happening.fault.filter(|_| happening.kind == Kind::FaultOff && happening.who == ITS_TIME)?;
    Some(Event::new(ITS_TIME, "fault", fault, &json!("on"), &Value::Null))
}
