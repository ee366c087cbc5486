//! The owner's sign-in and sign-out.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, SET_COOKIE};
use serde_json::json;

use super::State;
use super::caller::{Answer, Body, Call, Caller, unavailable};
use crate::domain::permission::{Permission, Role};
use crate::domain::session::{ABSOLUTE_MAX, NAME_CHARS_MAX, PASSWORD_CHARS_MAX, SessionSecret};
use crate::policy::token_bucket::{Buckets, Quota, client_network};
use crate::store::hasher::HasherError;
use crate::web::cookie;
use crate::web::problem::Problem;

/// Sign-ins of one address, whatever the names: each costs the hashing thread its time. And its wrong tokens.
const ATTEMPTS: Quota = Quota { tokens: 1, window: Duration::from_secs(1), burst: 60 };

pub async fn who(call: Call) -> Answer {
    let name = call.owner(Permission::StackRead)?;
    let body = json!({ "name": name, "role": Role::Owner.id() });
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body))
}

pub async fn sign_in(call: Call, body: Body) -> Answer {
    count(&call.state.sign_ins, call.request.peer_addr(), "sign-ins from this address")?;
    let (name, password) = call.parse(body, |fields| {
        let name = fields.text("name", NAME_CHARS_MAX).map(str::to_owned);
        let password = fields.text("password", PASSWORD_CHARS_MAX).map(str::to_owned);
        Some((name?, password?))
    })?;
    if !is_right(&call.state, &name, &password).await? {
        let detail = "The name or the password is wrong. Forgotten? Run: roundtrip owner reset";
        return Err(Problem::new(None, 401, "sign-in-failed", "Sign-in failed", detail));
    }
    let before = match &call.caller {
        Caller::Owner { secret, .. } => Some(secret),
        Caller::Nobody | Caller::Token { .. } | Caller::Command => None,
    };
    let secret = call.state.control.create_session(before).await.map_err(unavailable)?;
    Ok(signed_in(HttpResponse::Ok(), &name, &secret))
}

/// Whether it is the owner's name and password; slower with each that is not.
pub async fn is_right(state: &State, name: &str, password: &str) -> Result<bool, Problem> {
    let throttle = || state.throttle.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(wait) = throttle().attempt(name, Instant::now()) {
        return Err(too_many("attempts", wait));
    }
    let owner = state.control.owner().await.map_err(unavailable)?.filter(|owner| owner.name == name);
    // The same work for a name nobody has: its time tells nothing.
    let right = match &owner {
        Some(owner) => state.hasher.verify(&owner.password_phc, password).await,
        None => state.hasher.verify_nobody(password).await.map(|()| false),
    };
    let right = right.map_err(|error| {
        // Not judged, so it does not count.
        throttle().withdrawn(name);
        hasher_failed(error)
    })?;
    if right {
        throttle().succeeded(name);
    }
    Ok(right)
}

/// Against the limit of the address that a token which was wrong comes from.
pub fn count_wrong_token(state: &State, peer: Option<SocketAddr>) -> Result<(), Problem> {
    count(&state.wrong_tokens, peer, "wrong tokens from this address")
}

fn count(buckets: &Mutex<Buckets<IpAddr>>, peer: Option<SocketAddr>, what: &str) -> Result<(), Problem> {
    // Always there for a connection over TCP.
    let Some(peer) = peer else { return Ok(()) };
    let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = buckets.take(client_network(peer.ip()), &ATTEMPTS, Instant::now());
    if outcome.admitted { Ok(()) } else { Err(too_many(what, outcome.next_in)) }
}

fn too_many(what: &str, wait: Duration) -> Problem {
    let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
    let detail = format!("Too many {what}. Wait {seconds} s before the next.");
    Problem::new(None, 429, "too-many-attempts", "Too many attempts", detail).retry_after(seconds)
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
