//! The OpenAPI 3.1 document, generated from the handlers and their types.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use utoipa::OpenApi;

use super::answer;
use super::call::Call;
use super::{changes, days, kitchen, kitchen_events, ledger, menu, orders, pantry, session};

#[derive(OpenApi)]
#[openapi(
    info(title = "Bistro", description = "The restaurant behind Roundtrip. Errors are problem documents (RFC 9457)."),
    paths(
        menu::list,
        menu::one,
        orders::place,
        orders::list,
        orders::one,
        orders::events,
        changes::edit,
        changes::act,
        kitchen::read,
        kitchen_events::stream,
        kitchen::pause,
        kitchen::resume,
        kitchen::direct,
        ledger::read,
        pantry::read,
        days::list,
        days::close,
        session::who,
        session::sign_in,
        session::sign_out
    )
)]
struct Document;

pub async fn document(call: Call) -> HttpResponse {
    answer::json(&call, StatusCode::OK, &Document::openapi())
}
