//! Set-up: the first visitor with the printed link becomes the owner.

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use serde_json::json;

use super::caller::{Answer, Body, Call, unavailable};
use super::gate::from_this_machine;
use super::signing::{hasher_failed, signed_in};
use crate::domain::session::{NAME_CHARS_MAX, Owner, PASSWORD_CHARS_MAX, name_refusal, password_refusal};
use crate::store::control::ClaimError;
use crate::web::problem::Problem;
use crate::web::secret;

/// Words in a generated password: 4 of 2,048 are 44 bits, behind a throttle and argon2id.
const WORDS: usize = 4;
/// Length of a token's text.
const TOKEN_CHARS_MAX: usize = 128;

/// A generated password, to be taken or not.
pub async fn suggestion() -> Answer {
    let list = bip39::Language::English.word_list();
    let bytes = secret::random_bytes::<{ WORDS * 2 }>()
        .map_err(|error| Problem::new(None, 500, "no-randomness", "No randomness", error.to_string()))?;
    // 2,048 divides 65,536: every word is equally likely.
    let words =
        bytes.chunks_exact(2).map(|pair| list[usize::from(u16::from_le_bytes([pair[0], pair[1]])) % list.len()]);
    let password = words.collect::<Vec<_>>().join("-");
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({ "password": password })))
}

/// Makes the owner. The token and there being no owner yet are checked in one transaction.
pub async fn claim(call: Call, body: Body) -> Answer {
    if !from_this_machine(call.request.peer_addr(), call.state.own_ip) {
        let detail = "Set-up works from the machine that Roundtrip runs on.";
        return Err(Problem::new(None, 403, "not-this-machine", "Not from this machine", detail));
    }
    let (token, name, password) = call.parse(body, |fields| {
        let token = fields.text("token", TOKEN_CHARS_MAX).map(str::to_owned);
        let name = fields.text("name", NAME_CHARS_MAX).map(str::to_owned);
        let password = fields.text("password", PASSWORD_CHARS_MAX).map(str::to_owned);
        Some((token?, name?, password?))
    })?;
    if let Some(problem) = refused(&name, &password) {
        return Err(problem);
    }
    // Asked first, so that nobody without a token makes the server hash.
    if !call.state.control.is_setup_token_live(&token).await.map_err(unavailable)? {
        return Err(not_claimed(ClaimError::BadToken));
    }
    let password_phc = call.state.hasher.hash(&password).await.map_err(hasher_failed)?;
    let owner = Owner { name: name.clone(), password_phc };
    let secret = call.state.control.claim(&token, owner).await.map_err(not_claimed)?;
    Ok(signed_in(HttpResponse::Created(), &name, &secret))
}

fn not_claimed(error: ClaimError) -> Problem {
    match error {
        ClaimError::BadToken => {
            let detail = "The link was used, has expired or is incomplete. Run: roundtrip owner link";
            Problem::new(None, 403, "bad-token", "The link is no longer good", detail)
        }
        ClaimError::OwnerExists => {
            let detail = "There is an owner already. Sign in at /sign-in.";
            Problem::new(None, 409, "owner-exists", "Set up already", detail)
        }
        ClaimError::Store(error) => unavailable(error),
    }
}

/// What is wrong with a new owner's name or password.
pub fn refused(name: &str, password: &str) -> Option<Problem> {
    let problem =
        Problem::new(None, 422, "invalid-body", "Not taken", "Nothing was changed. Each wrong field is listed.");
    if let Some(reason) = name_refusal(name) {
        return Some(problem.field("/name", reason));
    }
    password_refusal(password).map(|reason| problem.field("/password", reason))
}
