//! Orders.

use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, SET_COOKIE};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::answer;
use super::body::{self, Body};
use super::call::Call;
use crate::domain::money::CURRENCY;
use crate::domain::order::{LINES_MAX, LineRequest, Order, OrderId, OrderRequest, QUANTITY_MAX, TABLES};
use crate::domain::permission::Permission;
use crate::domain::session::ABSOLUTE_MAX;
use crate::observe::hop::Hop;
use crate::service::ServiceError;
use crate::web::cookie;
use crate::web::problem::Problem;
use crate::web::respond::header;

/// Length of an `Idempotency-Key`.
const KEY_CHARS_MAX: usize = 128;

/// What to send.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "table": 4, "lines": [{ "menu_item_id": 12, "quantity": 2 }] }))]
#[allow(dead_code, reason = "describes the body in the OpenAPI document; body.rs reads it field by field")]
pub struct OrderBody {
    /// 1 to 20.
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

/// An order as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderView {
    id: String,
    table: u16,
    state: &'static str,
    /// Counts the order's changes; also its entity tag.
    version: i64,
    lines: Vec<LineView>,
    total_cents: i64,
    currency: &'static str,
    /// RFC 3339, as all times.
    created_at: String,
    /// Null for a draft.
    placed_at: Option<String>,
    changed_at: String,
    /// Null for a draft.
    ticket: Option<TicketView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LineView {
    menu_item_id: i64,
    name: String,
    quantity: u32,
    unit_price_cents: i64,
    line_total_cents: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TicketView {
    id: i64,
    state: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrdersView {
    orders: Vec<OrderView>,
}

impl From<&Order> for OrderView {
    fn from(order: &Order) -> Self {
        let line = |line: &crate::domain::order::OrderLine| LineView {
            menu_item_id: line.menu_item_id,
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price_cents: line.unit_price.cents(),
            line_total_cents: line.line_total.cents(),
        };
        Self {
            id: order.id.as_str().to_owned(),
            table: order.table,
            state: order.state.id(),
            version: order.version,
            lines: order.lines.iter().map(line).collect(),
            total_cents: order.total.cents(),
            currency: CURRENCY,
            created_at: rfc3339(order.created_at),
            placed_at: order.placed_at.map(rfc3339),
            changed_at: rfc3339(order.changed_at),
            ticket: order.ticket.map(|ticket| TicketView { id: ticket.id, state: ticket.state.id() }),
        }
    }
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

/// Place an order at a table. A guest needs no account: the answer's cookie makes the order theirs.
#[utoipa::path(
    post,
    path = "/api/v1/orders",
    tag = "orders",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body returns the same order for 24 hours")),
    request_body = OrderBody,
    responses(
        (status = 201, body = OrderView),
        (status = 409, description = "Out of stock (problem document)"),
        (status = 422, description = "A field is wrong, or the key was used for another order (problem document)"),
        (status = 503, description = "The data layer is busy; try again after Retry-After (problem document)")
    )
)]
pub async fn place(call: Call, body: Body) -> Result<HttpResponse, Problem> {
    let visitor = call.allowed(Permission::OrderPlace).await?;
    let request = body::parse(&call, body, |fields| {
        let table = fields.integer("table", 1..=i64::from(TABLES));
        let lines = fields.list("lines", LINES_MAX, |line| {
            let menu_item_id = line.integer("menu_item_id", 1..=i64::MAX);
            let quantity = line.integer("quantity", 1..=i64::from(QUANTITY_MAX));
            Some(LineRequest { menu_item_id: menu_item_id?, quantity: quantity?.try_into().ok()? })
        });
        Some(OrderRequest { table: table?.try_into().ok()?, lines: lines? })
    })?;
    let key = idempotency_key(&call)?;
    let placed = call.service().place_order(call.span(), &visitor, request, key).await;
    let placed = placed.map_err(|error| call.failed(&error))?;
    let view = OrderView::from(&placed.order);
    let location = format!("/api/v1/orders/{}", view.id);
    let mut response = answer::json(&call, StatusCode::CREATED, &view);
    let headers = response.headers_mut();
    if let Ok(value) = location.parse() {
        headers.insert(LOCATION, value);
    }
    if let Some(secret) = &placed.new_session
        && let Ok(value) = cookie::set(cookie::BISTRO, secret.expose(), ABSOLUTE_MAX.as_secs()).parse()
    {
        headers.insert(SET_COOKIE, value);
    }
    Ok(response)
}

fn idempotency_key(call: &Call) -> Result<Option<&str>, Problem> {
    let name = "idempotency-key";
    if !call.request().headers().contains_key(name) {
        return Ok(None);
    }
    let key = header(call.request().headers(), name);
    match key.filter(|key| (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())) {
        Some(key) => Ok(Some(key)),
        None => Err(call.refused(Problem::new(
            Hop::Api,
            400,
            "bad-idempotency-key",
            "Bad Idempotency-Key",
            format!("The key takes 1 to {KEY_CHARS_MAX} visible ASCII characters, without spaces."),
        ))),
    }
}

/// One's own orders, newest first; staff see everybody's.
#[utoipa::path(get, path = "/api/v1/orders", tag = "orders", responses((status = 200, body = OrdersView)))]
pub async fn list(call: Call) -> Result<HttpResponse, Problem> {
    let visitor = call.allowed(Permission::OrderReadOwn).await?;
    let orders = call.service().orders(call.span(), &visitor).await.map_err(|error| call.failed(&error))?;
    Ok(answer::json(&call, StatusCode::OK, &OrdersView { orders: orders.iter().map(OrderView::from).collect() }))
}

/// One order. Somebody else's is 404: that it exists is nobody's business.
#[utoipa::path(
    get,
    path = "/api/v1/orders/{id}",
    tag = "orders",
    params(("id" = String, Path, description = "The order's id, ord_…")),
    responses((status = 200, body = OrderView), (status = 404, description = "No such order, or not yours (problem document)"))
)]
pub async fn one(call: Call, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let visitor = call.allowed(Permission::OrderReadOwn).await?;
    let id = OrderId::parse(&id).ok_or_else(|| call.failed(&ServiceError::NotFound { what: "order" }))?;
    let order = call.service().order(call.span(), &visitor, &id).await.map_err(|error| call.failed(&error))?;
    Ok(answer::json(&call, StatusCode::OK, &OrderView::from(&order)))
}
