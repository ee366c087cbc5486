//! The owner's sign-in and sign-out.

use std::sync::PoisonError;
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, SET_COOKIE};
use serde_json::json;

use super::caller::{Answer, Body, Call, Caller, unavailable};
use crate::domain::permission::{Permission, Role};
use crate::domain::session::{ABSOLUTE_MAX, NAME_CHARS_MAX, PASSWORD_CHARS_MAX, SessionSecret};
use crate::store::hasher::HasherError;
use crate::web::cookie;
use crate::web::problem::Problem;

pub async fn who(call: Call) -> Answer {
    let name = call.owner(Permission::StackRead)?;
    let body = json!({ "name": name, "role": Role::Owner.id() });
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body))
}

pub async fn sign_in(call: Call, body: Body) -> Answer {
    let (name, password) = call.parse(body, |fields| {
        let name = fields.text("name", NAME_CHARS_MAX).map(str::to_owned);
        let password = fields.text("password", PASSWORD_CHARS_MAX).map(str::to_owned);
        Some((name?, password?))
    })?;
    let throttle = || call.state.throttle.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(wait) = throttle().attempt(&name, Instant::now()) {
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        let detail = format!("Wait {seconds} s before the next attempt.");
        let problem = Problem::new(None, 429, "too-many-attempts", "Too many attempts", detail).retry_after(seconds);
        return Err(problem);
    }
    let owner = call.state.control.owner().await.map_err(unavailable)?.filter(|owner| owner.name == name);
    // The same work for a name nobody has: its time tells nothing.
    let right = match &owner {
        Some(owner) => call.state.hasher.verify(&owner.password_phc, &password).await,
        None => call.state.hasher.verify_nobody(&password).await.map(|()| false),
    };
    let right = right.map_err(|error| {
        // Not judged, so it does not count.
        throttle().withdrawn(&name);
        hasher_failed(error)
    })?;
    if !right {
        let detail = "The name or the password is wrong. Forgotten? Run: roundtrip owner reset";
        return Err(Problem::new(None, 401, "sign-in-failed", "Sign-in failed", detail));
    }
    throttle().succeeded(&name);
    let before = match &call.caller {
        Caller::Owner { secret, .. } => Some(secret),
        Caller::Nobody | Caller::Command => None,
    };
    let secret = call.state.control.create_session(before).await.map_err(unavailable)?;
    Ok(signed_in(HttpResponse::Ok(), &name, &secret))
}

pub async fn sign_out(call: Call) -> Answer {
    if let Caller::Owner { secret, .. } = &call.caller {
        call.state.control.delete_session(secret).await.map_err(unavailable)?;
    }
    Ok(HttpResponse::NoContent()
        .insert_header((SET_COOKIE, cookie::clear(cookie::CONSOLE)))
        .insert_header(("clear-site-data", "\"cache\", \"cookies\""))
        .finish())
}

/// The answer that carries a new session's cookie.
pub fn signed_in(mut response: actix_web::HttpResponseBuilder, name: &str, secret: &SessionSecret) -> HttpResponse {
    let value = cookie::set(cookie::CONSOLE, secret.expose(), ABSOLUTE_MAX.as_secs());
    response.insert_header((SET_COOKIE, value)).insert_header((CACHE_CONTROL, "no-store")).json(json!({ "name": name }))
}

/// The one hashing thread has too much to do, or failed.
pub fn hasher_failed(error: HasherError) -> Problem {
    let detail = "Too many passwords are being checked at once. Try again in a second.";
    log::warn!("password hasher: {error}");
    Problem::new(None, 503, "hasher-busy", "Busy", detail).retry_after(1)
}
