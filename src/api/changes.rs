//! What is done to an order: a draft edited or placed; served, paid, cancelled, refunded.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::answer;
use super::body::{self, Body};
use super::call::Call;
use super::key::{expected, idempotency_key, required};
use super::order_view::OrderView;
use super::orders::{DraftBody, id, request};
use super::routes;
use crate::domain::order_life::Deed;
use crate::web::problem::Problem;

/// Change a draft: table and lines are replaced.
#[utoipa::path(
    put,
    path = "/api/v1/orders/{id}",
    tag = "orders",
    params(
        ("id" = String, Path, description = "The order's id, ord_…"),
        ("If-Match" = String, Header, description = "The ETag of the draft as you know it"),
        ("Idempotency-Key" = Option<String>, Header, description = "For 24 hours the same key with the same body gets the same answer")
    ),
    request_body = DraftBody,
    responses(
        (status = 200, body = OrderView, description = "With today's names and prices"),
        (status = 404, description = "No such order, or not yours (problem document)"),
        (status = 409, description = "It is no draft any more (problem document)"),
        (status = 412, description = "It has changed since (problem document)"),
        (status = 422, description = "A field is wrong (problem document)"),
        (status = 428, description = "If-Match is missing (problem document)")
    )
)]
pub async fn edit(call: Call, path: web::Path<String>, body: Body) -> Result<HttpResponse, Problem> {
    // The right is that of placing, whatever the draft becomes.
    let visitor = call.allowed(Deed::Place.permissions().0).await?;
    let id = id(&call, &path)?;
    let expected = required(&call)?;
    let deed = Deed::Edit(body::parse(&call, body, request)?);
    let key = idempotency_key(&call)?;
    let changed = call.service().change_order(call.span(), &visitor, id, deed, expected, key).await;
    Ok(answer::order(&call, StatusCode::OK, &changed.map_err(|error| call.failed(&error))?.order))
}

/// Take an order on: place a draft; serve, take payment for, cancel or refund an order.
#[utoipa::path(
    post,
    path = "/api/v1/orders/{id}/{action}",
    tag = "orders",
    params(
        ("id" = String, Path, description = "The order's id, ord_…"),
        ("action" = String, Path, description = "place (of a draft), serve (what is ready), pay (what was served), cancel (until it is cooked) or refund (what was paid)"),
        ("If-Match" = Option<String>, Header, description = "Only if the order still has this ETag"),
        ("Idempotency-Key" = Option<String>, Header, description = "For 24 hours the same key gets the same answer, whatever has happened to the order since")
    ),
    responses(
        (status = 200, body = OrderView, description = "The order as it is now"),
        (status = 401, description = "A guest may not (problem document)"),
        (status = 403, description = "That role may not (problem document)"),
        (status = 404, description = "No such order, or not yours (problem document)"),
        (status = 409, description = "Its state does not allow it (wrong-state), or the pantry has too little (problem document)"),
        (status = 412, description = "It has changed since (problem document)"),
        (status = 422, description = "The key was used for another request (problem document)")
    )
)]
pub async fn act(call: Call, path: web::Path<(String, String)>, body: Body) -> Result<HttpResponse, Problem> {
    let (order, action) = path.into_inner();
    let Some(deed) = Deed::from_id(&action) else { return routes::not_found(call).await };
    let visitor = call.allowed(deed.permissions().0).await?;
    let id = id(&call, &order)?;
    body::nothing(&call, body)?;
    let key = idempotency_key(&call)?;
    let changed = call.service().change_order(call.span(), &visitor, id, deed, expected(&call), key).await;
    Ok(answer::order(&call, StatusCode::OK, &changed.map_err(|error| call.failed(&error))?.order))
}
