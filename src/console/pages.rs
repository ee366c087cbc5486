//! The pages. Each is a shell; what it shows it asks for.

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpResponse, web};

use super::caller::{Answer, Call, Caller, unavailable};
use crate::web::problem::Problem;
use crate::web::respond;

pub async fn journey(call: Call) -> Answer {
    guarded(&call, "journey").await
}

pub async fn edge(call: Call) -> Answer {
    guarded(&call, "edge").await
}

pub async fn account(call: Call) -> Answer {
    guarded(&call, "account").await
}

pub async fn sign_in(call: Call) -> Answer {
    if call.state.control.owner().await.map_err(unavailable)?.is_none() {
        return Ok(see_other("/setup"));
    }
    Ok(respond::page("sign-in", ""))
}

pub async fn setup(call: Call) -> Answer {
    if call.state.control.owner().await.map_err(unavailable)?.is_some() {
        // The empty fragment takes a used link's token out of the address bar: without it a browser
        // keeps the one it had (RFC 9110, section 10.2.2).
        return Ok(see_other("/sign-in#"));
    }
    Ok(respond::page("setup", ""))
}

pub async fn asset(call: Call, path: web::Path<(String, String)>) -> HttpResponse {
    let (hash, path) = path.into_inner();
    respond::asset(&call.request, None, &hash, &path).unwrap_or_else(|| {
        respond::problem(&Problem::new(None, 404, "no-such-file", "No such file", "There is no such file."))
    })
}

/// Browsers ask for it whatever the page says.
pub async fn icon() -> HttpResponse {
    respond::icon()
}

async fn guarded(call: &Call, page: &str) -> Answer {
    Ok(turned_away(call).await?.unwrap_or_else(|| respond::page(page, "")))
}

/// Where who is not signed in has to go first.
pub async fn turned_away(call: &Call) -> Result<Option<HttpResponse>, Problem> {
    if matches!(call.caller, Caller::Owner { .. }) {
        return Ok(None);
    }
    if call.state.control.owner().await.map_err(unavailable)?.is_none() {
        return Ok(Some(see_other("/setup")));
    }
    // What stands behind the name of a page is not led back to: a path of our own alone is safe in a header.
    let path = call.request.path();
    let safe = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte));
    Ok(Some(see_other(&if safe { format!("/sign-in?next={path}") } else { "/sign-in".to_owned() })))
}

fn see_other(to: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, to)).insert_header((CACHE_CONTROL, "no-store")).finish()
}
