//! Orders: placed, drafted, listed, found.

use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, SET_COOKIE};
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::answer;
use super::body::{self, Body};
use super::call::Call;
use super::key::idempotency_key;
use super::order_view::{EventsView, OrderView, OrdersView};
use super::query::Query;
use crate::domain::order::{LINES_MAX, LineRequest, OrderId, OrderRequest, OrderState, QUANTITY_MAX, TABLES};
use crate::domain::page::{OrderFilter, OrderListing, OrderSort};
use crate::domain::permission::Permission;
use crate::domain::session::ABSOLUTE_MAX;
use crate::service::ServiceError;
use crate::web::cookie;
use crate::web::fields::Fields;
use crate::web::problem::Problem;

/// What to send for a new order.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "table": 4, "lines": [{ "menu_item_id": 12, "quantity": 2 }] }))]
#[allow(dead_code, reason = "describes the body in the OpenAPI document; body.rs reads it field by field")]
pub struct OrderBody {
    /// 1 to 20.
    #[schema(minimum = 1, maximum = 20)]
    table: u16,
    #[schema(min_items = 1, max_items = 40)]
    lines: Vec<OrderBodyLine>,
    /// True: it can still be edited, nothing is taken and nobody cooks until it is placed.
    #[serde(default)]
    draft: bool,
}

/// What to send for a draft that changes.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "table": 4, "lines": [{ "menu_item_id": 12, "quantity": 2 }] }))]
#[allow(dead_code, reason = "as OrderBody")]
pub struct DraftBody {
    #[schema(minimum = 1, maximum = 20)]
    table: u16,
    #[schema(min_items = 1, max_items = 40)]
    lines: Vec<OrderBodyLine>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[allow(dead_code, reason = "as OrderBody")]
pub struct OrderBodyLine {
    #[schema(minimum = 1)]
    menu_item_id: i64,
    #[schema(minimum = 1, maximum = 50)]
    quantity: u32,
}

/// Reads table and lines.
pub fn request(fields: &mut Fields<'_>) -> Option<OrderRequest> {
    let table = fields.integer("table", 1..=i64::from(TABLES));
    let lines = fields.list("lines", LINES_MAX, |line| {
        let menu_item_id = line.integer("menu_item_id", 1..=i64::MAX);
        let quantity = line.integer("quantity", 1..=i64::from(QUANTITY_MAX));
        Some(LineRequest { menu_item_id: menu_item_id?, quantity: quantity?.try_into().ok()? })
    });
    Some(OrderRequest { table: table?.try_into().ok()?, lines: lines? })
}

/// The order that an address names.
pub fn id(call: &Call, id: &str) -> Result<OrderId, Problem> {
    OrderId::parse(id).ok_or_else(|| call.failed(&ServiceError::NotFound { what: "order" }))
}

/// Place an order at a table, or begin a draft of one. A guest needs no account: the answer's cookie makes
/// the order theirs.
#[utoipa::path(
    post,
    path = "/api/v1/orders",
    tag = "orders",
    params(("Idempotency-Key" = Option<String>, Header, description = "For 24 hours the same key with the same body gets the same answer")),
    request_body = OrderBody,
    responses(
        (status = 201, body = OrderView, description = "Placed, or kept as a draft. Location names it, ETag its version"),
        (status = 409, description = "Out of stock, or five drafts are open already (problem document)"),
        (status = 422, description = "A field is wrong, or the key was used for another order (problem document)"),
        (status = 503, description = "The data layer is busy; try again after Retry-After (problem document)")
    )
)]
pub async fn place(call: Call, body: Body) -> Result<HttpResponse, Problem> {
    let visitor = call.allowed(Permission::OrderPlace).await?;
    let (request, draft) = body::parse(&call, body, |fields| {
        let order = request(fields);
        let draft = if fields.has("draft") { fields.flag("draft") } else { Some(false) };
        Some((order?, draft?))
    })?;
    let key = idempotency_key(&call)?;
    let placed = match draft {
        true => call.service().draft_order(call.span(), &visitor, request, key).await,
        false => call.service().place_order(call.span(), &visitor, request, key).await,
    };
    let placed = placed.map_err(|error| call.failed(&error))?;
    let mut response = answer::order(&call, StatusCode::CREATED, &placed.order);
    let headers = response.headers_mut();
    if let Ok(value) = format!("/api/v1/orders/{}", placed.order.id.as_str()).parse() {
        headers.insert(LOCATION, value);
    }
    if let Some(secret) = &placed.new_session
        && let Ok(value) = cookie::set(cookie::BISTRO, secret.expose(), ABSOLUTE_MAX.as_secs()).parse()
    {
        headers.insert(SET_COOKIE, value);
    }
    Ok(response)
}

/// One's own orders, newest first; staff see everybody's.
#[utoipa::path(
    get,
    path = "/api/v1/orders",
    tag = "orders",
    params(
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "Orders in a page; 50 without"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before, with the same filters and sort"),
        ("state" = Option<String>, Query, description = "draft, placed, cooking, ready, served, paid, cancelled or refunded"),
        ("table" = Option<u16>, Query, minimum = 1, maximum = 20),
        ("placed_from" = Option<String>, Query, description = "RFC 3339: placed then or later"),
        ("placed_to" = Option<String>, Query, description = "RFC 3339: placed before then"),
        ("sort" = Option<String>, Query, description = "-placed (without it), placed, -total or total; a draft's time is when it was begun")
    ),
    responses(
        (status = 200, body = OrdersView, description = "Link names the next page (RFC 8288)"),
        (status = 400, description = "A parameter is wrong (problem document)")
    )
)]
pub async fn list(call: Call) -> Result<HttpResponse, Problem> {
    let visitor = call.allowed(Permission::OrderReadOwn).await?;
    let mut query = Query::of(&call);
    let states = OrderState::ALL.map(OrderState::id).join(", ");
    let tables = format!("A whole number from 1 to {TABLES} is expected.");
    let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let moment = "A time as of RFC 3339 is expected: 2026-11-22T18:00:00Z.";
    let filter = OrderFilter {
        state: query.parameter("state", &format!("One of {states} is expected."), OrderState::from_id),
        table: query.parameter("table", &tables, |text| text.parse().ok().filter(|table| (1..=TABLES).contains(table))),
        placed_from: query.parameter("placed_from", moment, time),
        placed_to: query.parameter("placed_to", moment, time),
    };
    let sorts = OrderSort::ALL.map(OrderSort::id).join(", ");
    let sort = query.parameter("sort", &format!("One of {sorts} is expected."), OrderSort::from_id).unwrap_or_default();
    let (cut, pages) = query.cut(&call)?;
    let listing = OrderListing { filter, sort, cut };
    let page = call.service().orders(call.span(), &visitor, &listing).await.map_err(|error| call.failed(&error))?;
    let view = OrdersView { orders: page.items.iter().map(OrderView::from).collect(), next: pages.next(page.next) };
    Ok(pages.link(answer::json(&call, StatusCode::OK, &view), view.next.as_deref()))
}

/// One order. Somebody else's is 404: that it exists is nobody's business.
#[utoipa::path(
    get,
    path = "/api/v1/orders/{id}",
    tag = "orders",
    params(("id" = String, Path, description = "The order's id, ord_…")),
    responses(
        (status = 200, body = OrderView, description = "ETag is its version, for If-Match"),
        (status = 404, description = "No such order, or not yours (problem document)")
    )
)]
pub async fn one(call: Call, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let visitor = call.allowed(Permission::OrderReadOwn).await?;
    let id = id(&call, &path)?;
    let order = call.service().order(call.span(), &visitor, &id).await.map_err(|error| call.failed(&error))?;
    Ok(answer::order(&call, StatusCode::OK, &order))
}

/// What happened to an order, in its order: the latest hundred.
#[utoipa::path(
    get,
    path = "/api/v1/orders/{id}/events",
    tag = "orders",
    params(("id" = String, Path, description = "The order's id, ord_…")),
    responses((status = 200, body = EventsView), (status = 404, description = "No such order, or not yours (problem document)"))
)]
pub async fn events(call: Call, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let visitor = call.allowed(Permission::OrderReadOwn).await?;
    let id = id(&call, &path)?;
    let events = call.service().order_events(call.span(), &visitor, &id).await.map_err(|error| call.failed(&error))?;
    Ok(answer::json(&call, StatusCode::OK, &EventsView { events: events.iter().map(Into::into).collect() }))
}
