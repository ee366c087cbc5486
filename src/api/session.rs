//! Sign-in and sign-out of the restaurant's staff.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::SET_COOKIE;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer;
use super::body::{self, Body};
use super::call::Call;
use crate::domain::session::{ABSOLUTE_MAX, PASSWORD_CHARS_MAX, Visitor};
use crate::web::cookie;
use crate::web::problem::Problem;

/// Length of a name.
const NAME_CHARS_MAX: usize = 64;

#[derive(Debug, Deserialize, ToSchema)]
#[allow(dead_code, reason = "describes the body in the OpenAPI document; body.rs reads it field by field")]
pub struct SignInBody {
    name: String,
    password: String,
}

/// Who is asking.
#[derive(Debug, Serialize, ToSchema)]
pub struct VisitorView {
    /// guest, waiter, chef or manager.
    role: &'static str,
    name: Option<String>,
}

impl From<Visitor> for VisitorView {
    fn from(visitor: Visitor) -> Self {
        Self { role: visitor.role.id(), name: visitor.name }
    }
}

/// Who am I?
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses((status = 200, body = VisitorView)))]
pub async fn who(call: Call) -> Result<HttpResponse, Problem> {
    let visitor = call.visitor().await?;
    Ok(answer::json(&call, StatusCode::OK, &VisitorView::from(visitor)))
}

/// Sign in as a member of staff.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    tag = "session",
    request_body = SignInBody,
    responses(
        (status = 200, body = VisitorView),
        (status = 401, description = "Wrong name or password (problem document)"),
        (status = 429, description = "Too many attempts; wait for Retry-After (problem document)")
    )
)]
pub async fn sign_in(call: Call, body: Body) -> Result<HttpResponse, Problem> {
    let (name, password) = body::parse(&call, body, |fields| {
        let name = fields.text("name", NAME_CHARS_MAX).map(str::to_owned);
        let password = fields.text("password", PASSWORD_CHARS_MAX).map(str::to_owned);
        Some((name?, password?))
    })?;
    let signed_in = call.service().sign_in(call.span(), &name, &password).await;
    let (visitor, secret) = signed_in.map_err(|error| call.failed(&error))?;
    // A new session replaces the old one: nothing planted before sign-in survives it.
    if let Some(old) = call.session_secret() {
        call.service().sign_out(call.span(), old).await.map_err(|error| call.failed(&error))?;
    }
    let mut response = answer::json(&call, StatusCode::OK, &VisitorView::from(visitor));
    set_cookie(&mut response, &cookie::set(cookie::BISTRO, secret.expose(), ABSOLUTE_MAX.as_secs()));
    Ok(response)
}

/// Sign out.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses((status = 204)))]
pub async fn sign_out(call: Call) -> Result<HttpResponse, Problem> {
    if let Some(secret) = call.session_secret() {
        call.service().sign_out(call.span(), secret).await.map_err(|error| call.failed(&error))?;
    }
    let mut response = HttpResponse::NoContent().finish();
    set_cookie(&mut response, &cookie::clear(cookie::BISTRO));
    Ok(response)
}

fn set_cookie(response: &mut HttpResponse, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().append(SET_COOKIE, value);
    }
}
