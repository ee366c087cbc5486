//! The application's own front: the page a guest sees, and its files.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde_json::json;

use super::answer;
use super::call::Call;
use crate::observe::hop::Hop;
use crate::service::ServiceError;
use crate::web::problem::Problem;
use crate::web::respond;

/// For the balancer's checks: this instance takes requests.
pub async fn alive(_: Call) -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// Whether this instance should get requests, and why not. The balancer asks [`alive`]: all of them lose the database
/// at once, and then every answer is better from the one that was asked than from nobody.
pub async fn ready(call: Call) -> HttpResponse {
    let reasons = call.unready();
    let mut answer = if reasons.is_empty() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    let body = json!({ "ready": reasons.is_empty(), "reasons": reasons });
    answer.insert_header((CACHE_CONTROL, "no-store")).json(body)
}

/// The restaurant.
pub async fn page(call: Call) -> HttpResponse {
    let _span = answer::writing(call.span());
    respond::page("bistro", "")
}

/// What the pantry holds. The page is for anybody; what it reads is not.
pub async fn pantry(call: Call) -> HttpResponse {
    let _span = answer::writing(call.span());
    respond::page("pantry", "")
}

/// The chef's page.
pub async fn kitchen(call: Call) -> HttpResponse {
    let _span = answer::writing(call.span());
    respond::page("kitchen", "")
}

/// The waiter's page, with the manager's books.
pub async fn floor(call: Call) -> HttpResponse {
    let _span = answer::writing(call.span());
    respond::page("floor", "")
}

/// Browsers ask for it whatever the page says.
pub async fn icon(_: Call) -> HttpResponse {
    respond::icon()
}

/// A file of the front.
pub async fn asset(call: Call, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let (hash, path) = path.into_inner();
    let span = call.span().child(Hop::Api, "Read the embedded file");
    let found = respond::asset(call.request(), Some(Hop::Api), &hash, &path);
    span.end();
    found.ok_or_else(|| call.failed(&ServiceError::NotFound { what: "file" }))
}
