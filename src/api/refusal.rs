//! Refusals: the one place where the service's errors become statuses.

use std::time::Duration;

use crate::domain::order::DRAFTS_MAX;
use crate::observe::hop::Hop;
use crate::service::ServiceError;
use crate::web::problem::Problem;

/// What the service refused, as a client reads it.
pub fn of_service(error: &ServiceError) -> Problem {
    match error {
        ServiceError::NotFound { what } => {
            rule(404, "not-found", "Not found", format!("There is no such {what}, or it is not yours to see."))
        }
        ServiceError::UnknownDish { line, id } => {
            let detail = "The order names a dish that is not on the menu; nothing was ordered.";
            rule(422, "unknown-dish", "Unknown dish", detail)
                .field(format!("/lines/{line}/menu_item_id"), format!("There is no dish {id} on the menu."))
        }
        ServiceError::OutOfStock { line, name } => {
            let what = format!("The pantry has too little left for {name}; nothing was ordered.");
            rule(409, "out-of-stock", "Out of stock", format!("{what} Order less of it, or something else."))
                .field(format!("/lines/{line}/quantity"), format!("Too little is left for {name}."))
        }
        ServiceError::NotSupplied { line, name, why } => {
            let what = format!("The pantry has too little left for {name}, and {why}; nothing was ordered.");
            rule(409, "out-of-stock", "Out of stock", format!("{what} Order something else, or try again later."))
                .field(format!("/lines/{line}/quantity"), format!("Too little is left for {name}."))
        }
        ServiceError::Invalid { pointer, detail } => {
            let what = "The request breaks a rule of the house; nothing was changed.";
            rule(422, "invalid", "Not valid", what).field(pointer.clone(), detail.clone())
        }
        ServiceError::IdempotencyConflict => {
            let what = "This Idempotency-Key was used for another request.";
            let detail = format!("{what} Use a new key for each thing that you want done.");
            rule(422, "idempotency-key-reused", "Idempotency key reused", detail)
        }
        ServiceError::TooManyDrafts => {
            let detail = format!("{DRAFTS_MAX} drafts are open already. Place or cancel one of them first.");
            rule(409, "too-many-drafts", "Too many drafts", detail)
        }
        ServiceError::WrongState(why) => {
            let detail = format!("The order is {}: {why}. Nothing was changed.", why.state.id());
            rule(409, "wrong-state", "The order's state does not allow it", detail)
        }
        ServiceError::TicketState(state) => {
            let what = format!("The ticket is {}; nothing was changed.", state.id());
            let detail = format!("{what} A waiting one can go first or last, a dead one be queued again.");
            rule(409, "wrong-state", "Not in this state", detail)
        }
        ServiceError::Stale { version } => {
            let what = format!("It is at version {version}, which is not the one that If-Match names.");
            let detail = format!("{what} Read it again, then decide.");
            rule(412, "changed-meanwhile", "The order has changed meanwhile", detail)
        }
        ServiceError::NothingToClose => {
            let detail = "Nothing was booked since the last day was closed, by you or by somebody else.";
            rule(409, "nothing-to-close", "Nothing to close", detail)
        }
        ServiceError::SignInFailed => {
            let detail = "The name or the password is wrong, or no password has been set for that name.";
            Problem::new(Hop::Api, 401, "sign-in-failed", "Sign-in failed", detail)
        }
        ServiceError::Throttled { retry_after } => {
            let wait = seconds(*retry_after);
            let detail = format!("Wait {wait} s before the next attempt.");
            Problem::new(Hop::Api, 429, "too-many-attempts", "Too many attempts", detail).retry_after(wait)
        }
        ServiceError::Unavailable { retry_after } => {
            let what = "The data layer could not confirm this. Try again shortly;";
            let detail = format!("{what} what is sent again with the same Idempotency-Key is done once at most.");
            Problem::new(Hop::Data, 503, "data-unavailable", "The data is busy", detail)
                .retry_after(seconds(*retry_after))
        }
        ServiceError::Internal(_) => {
            let detail = "The server failed at this; it is in its log. Nothing was changed.";
            rule(500, "internal", "Something went wrong here", detail)
        }
    }
}

fn rule(status: u16, kind: &str, title: &str, detail: impl Into<String>) -> Problem {
    Problem::new(Hop::Service, status, kind, title, detail)
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs_f64().ceil().max(1.0) as u64
}
