//! API tokens, for the owner's page and for commands.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::caller::{Answer, Body, Call, Caller, unavailable};
use super::journeys::json_answer;
use super::signing::is_right;
use super::written::A_COMMAND;
use crate::domain::permission::{Permission, Scope};
use crate::domain::session::{NAME_CHARS_MAX, PASSWORD_CHARS_MAX, name_refusal};
use crate::domain::token::{DAYS, DAYS_DEFAULT, NewToken, Token};
use crate::store::control::TokenError;
use crate::web::problem::Problem;

pub async fn list(call: Call) -> Answer {
    call.owner(Permission::TokenManage)?;
    listed(&call).await
}

pub async fn create(call: Call, body: Body) -> Answer {
    let who = call.owner(Permission::TokenManage)?.to_owned();
    created(&call, body, &who).await
}

pub async fn revoke(call: Call, id: web::Path<String>) -> Answer {
    let who = call.owner(Permission::TokenManage)?.to_owned();
    revoked(&call, id.parse().ok(), &who).await
}

pub async fn list_by_command(call: Call) -> Answer {
    call.command()?;
    listed(&call).await
}

pub async fn create_by_command(call: Call, body: Body) -> Answer {
    call.command()?;
    created(&call, body, A_COMMAND).await
}

pub async fn revoke_by_command(call: Call, body: Body) -> Answer {
    call.command()?;
    let id = call.parse(body, |fields| fields.integer("id", 1..=i64::MAX))?;
    revoked(&call, Some(id), A_COMMAND).await
}

async fn listed(call: &Call) -> Answer {
    let tokens = call.state.control.tokens().await.map_err(unavailable)?;
    Ok(json_answer(&json!({ "tokens": tokens.iter().map(shown).collect::<Vec<_>>() })))
}

async fn created(call: &Call, body: Body, who: &str) -> Answer {
    let (new, password) = call.parse(body, |fields| {
        let is_name = |name: &str| name_refusal(name).is_none();
        let detail = "A name has no space at its ends and no control characters.";
        let name = fields.text_that("name", NAME_CHARS_MAX, is_name, detail).map(str::to_owned);
        let scopes = fields.some_of("scopes", Scope::ALL.map(Scope::id).into_iter());
        let days = if fields.has("days") { fields.integer("days", DAYS) } else { Some(DAYS_DEFAULT) };
        // The owner says it again: whoever finds a page open makes nothing that outlives it.
        let password = match &call.caller {
            Caller::Owner { .. } => {
                fields.text("password", PASSWORD_CHARS_MAX).map(|password| Some(password.to_owned()))
            }
            Caller::Nobody | Caller::Token { .. } | Caller::Command => Some(None),
        };
        let scopes = scopes?.into_iter().filter_map(Scope::from_id).collect();
        Some((NewToken { name: name?, scopes, days: days? }, password?))
    })?;
    if let Some(password) = password
        && !is_right(&call.state, who, &password).await?
    {
        let problem = Problem::new(None, 422, "wrong-password", "Wrong password", "No token was made.");
        return Err(problem.field("/password", "This is not your password."));
    }
    let (token, secret) = call.state.control.create_token(new, who).await.map_err(not_made)?;
    log::info!("{who} made the token {}", token.name);
    let mut body = shown(&token);
    body["token"] = json!(secret.expose());
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(body))
}

async fn revoked(call: &Call, id: Option<i64>, who: &str) -> Answer {
    let gone = match id {
        Some(id) => call.state.control.revoke_token(id, who).await.map_err(unavailable)?,
        None => false,
    };
    if !gone {
        let detail = "There is no token of that number; it may have been revoked already.";
        return Err(Problem::new(None, 404, "no-such-token", "No such token", detail));
    }
    log::info!("{who} revoked a token");
    Ok(HttpResponse::NoContent().finish())
}

fn shown(token: &Token) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes,
        "created_at": token.created_at.format(&Rfc3339).ok(),
        "expires_at": token.expires_at.format(&Rfc3339).ok(),
        "last_used_at": token.last_used_at.and_then(|at| at.format(&Rfc3339).ok()),
    })
}

fn not_made(error: TokenError) -> Problem {
    match error {
        TokenError::NameTaken => {
            let detail = "There is a token of that name already. Revoke it, or choose another name.";
            Problem::new(None, 409, "name-taken", "The name is taken", detail)
        }
        TokenError::TooMany => {
            let detail = format!("Nothing was made: {error}. Revoke one that nobody needs.");
            Problem::new(None, 409, "too-many-tokens", "Too many tokens", detail)
        }
        TokenError::Store(error) => unavailable(error),
    }
}
