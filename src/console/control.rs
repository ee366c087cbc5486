//! For commands that proved they can read the data folder.

use actix_web::HttpResponse;
use serde_json::json;

use super::caller::{Answer, Body, Call, unavailable};
use super::journeys::json_answer;
use super::setup::refused;
use super::signing::hasher_failed;
use super::written::A_COMMAND;
use crate::domain::permission::Role;
use crate::domain::session::{NAME_CHARS_MAX, Owner, PASSWORD_CHARS_MAX};
use crate::observe::part::ClientPart;
use crate::web::cookie;
use crate::web::problem::Problem;

/// The spans of one probe, with the heads it sent and read.
pub const SPANS_BYTES_MAX: usize = 1024 * 1024;

/// Nesting that a probe's part may have: spans with attributes and certificates come to eight levels
/// today, and a new kind of fact must not make an older server refuse the probe.
const PART_DEPTH_MAX: usize = 32;

/// A new link for set-up.
pub async fn setup_link(call: Call) -> Answer {
    call.command()?;
    if call.state.control.owner().await.map_err(unavailable)?.is_some() {
        let detail = "There is an owner already. To set a new password: roundtrip owner reset";
        return Err(Problem::new(None, 409, "owner-exists", "Set up already", detail));
    }
    let token = call.state.control.create_setup_token().await.map_err(unavailable)?;
    Ok(json_answer(&json!({ "url": format!("{}/#{token}", call.state.door_url) })))
}

/// Makes the owner, or with `reset` gives the one there is a new name and password.
pub async fn owner(call: Call, body: Body) -> Answer {
    call.command()?;
    let (name, password, reset) = call.parse(body, |fields| {
        let name = fields.text("name", NAME_CHARS_MAX).map(str::to_owned);
        let password = fields.text("password", PASSWORD_CHARS_MAX).map(str::to_owned);
        let reset = fields.flag("reset");
        Some((name?, password?, reset?))
    })?;
    if let Some(problem) = refused(&name, &password) {
        return Err(problem);
    }
    let exists = call.state.control.owner().await.map_err(unavailable)?.is_some();
    if exists != reset {
        return Err(if exists {
            let detail = "There is an owner already. Run: roundtrip owner reset";
            Problem::new(None, 409, "owner-exists", "Set up already", detail)
        } else {
            let detail = "There is no owner yet. Run: roundtrip owner create";
            Problem::new(None, 409, "no-owner", "No owner yet", detail)
        });
    }
    let password_phc = call.state.hasher.hash(&password).await.map_err(hasher_failed)?;
    let owner = Owner { name, password_phc };
    if reset {
        call.state.control.reset_owner(owner, A_COMMAND).await.map_err(unavailable)?;
    } else if !call.state.control.create_owner(owner).await.map_err(unavailable)? {
        let detail = "Somebody became the owner a moment ago.";
        return Err(Problem::new(None, 409, "owner-exists", "Set up already", detail));
    }
    Ok(HttpResponse::NoContent().finish())
}

/// A session of five minutes for a role, as a cookie; none for a guest.
pub async fn session(call: Call, body: Body) -> Answer {
    call.command()?;
    let role = call.parse(body, |fields| {
        fields.one_of("role", call.state.stack.roles().iter().map(|role| role.id())).and_then(Role::from_id)
    })?;
    let secret = call.state.stack.mint_session(role).await.map_err(unavailable)?;
    let cookie = secret.map(|secret| format!("{}={}", cookie::BISTRO, secret.expose()));
    Ok(json_answer(&json!({ "cookie": cookie })))
}

/// The client's side of a probe that was sent by another process; answers with the whole journey.
pub async fn journey(call: Call, body: Body) -> Answer {
    call.command()?;
    let part: ClientPart = serde_json::from_value(call.json(body, PART_DEPTH_MAX)?).map_err(|error| {
        let detail = format!("The client's spans can't be read: {error}.");
        Problem::new(None, 400, "bad-part", "Not a client's part", detail)
    })?;
    Ok(json_answer(&*call.state.stack.recorder().finish(part).await))
}
