//! For commands that proved they can read the data folder.

use actix_web::HttpResponse;
use serde_json::json;
use time::OffsetDateTime;

use super::caller::{Answer, Body, Call, unavailable};
use super::journeys::json_answer;
use super::setup::refused;
use super::signing::{NAME_CHARS_MAX, hasher_failed};
use crate::domain::permission::Role;
use crate::domain::session::PASSWORD_CHARS_MAX;
use crate::observe::part::ClientPart;
use crate::web::problem::Problem;
use crate::web::{cookie, respond};

/// A new link for set-up.
pub async fn setup_link(call: Call) -> Answer {
    call.command()?;
    if call.state.control.owner().await.map_err(unavailable)?.is_some() {
        let detail = "There is an owner already. To set a new password: roundtrip owner reset";
        return Err(respond::problem(&Problem::new(None, 409, "owner-exists", "Set up already", detail)));
    }
    let token = call.state.control.create_setup_token(OffsetDateTime::now_utc()).await.map_err(unavailable)?;
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
        return Err(respond::problem(&problem));
    }
    let phc = call.state.hasher.hash(&password).await.map_err(hasher_failed)?;
    let now = OffsetDateTime::now_utc();
    let made = if reset {
        call.state.control.reset_owner(&name, phc, now).await.map_err(unavailable)?
    } else {
        call.state.control.create_owner(&name, phc, now).await.map_err(unavailable)?
    };
    match (made, reset) {
        (true, _) => Ok(HttpResponse::NoContent().finish()),
        (false, true) => {
            let detail = "There is no owner yet. Run: roundtrip owner create";
            Err(respond::problem(&Problem::new(None, 409, "no-owner", "No owner yet", detail)))
        }
        (false, false) => {
            let detail = "There is an owner already. Run: roundtrip owner reset";
            Err(respond::problem(&Problem::new(None, 409, "owner-exists", "Set up already", detail)))
        }
    }
}

/// A session of five minutes for a role, as a cookie; none for a guest.
pub async fn session(call: Call, body: Body) -> Answer {
    call.command()?;
    let role = call.parse(body, |fields| {
        fields.one_of("role", Role::BISTRO.iter().map(|role| role.id())).and_then(Role::from_id)
    })?;
    let secret = call.state.stack.mint_session(role).await.map_err(unavailable)?;
    let cookie = secret.map(|secret| format!("{}={}", cookie::BISTRO, secret.expose()));
    Ok(json_answer(&json!({ "cookie": cookie })))
}

/// The client's side of a probe that was sent by another process; answers with the whole journey.
pub async fn journey(call: Call, body: Body) -> Answer {
    call.command()?;
    let part: ClientPart = serde_json::from_value(call.json(body)?).map_err(|error| {
        let detail = format!("The client's spans can't be read: {error}.");
        respond::problem(&Problem::new(None, 400, "bad-part", "Not a client's part", detail))
    })?;
    Ok(json_answer(&*call.state.stack.recorder().finish(part).await))
}
