//! The pantry, for the chef and the manager.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::answer;
use super::call::Call;
use crate::domain::money::CURRENCY;
use crate::domain::pantry::{Delivery, OpenPurchase, PantryItem};
use crate::domain::permission::Permission;
use crate::web::problem::Problem;

#[derive(Debug, Serialize, ToSchema)]
pub struct PantryView {
    currency: &'static str,
    items: Vec<PantryItemView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PantryItemView {
    id: i64,
    name: String,
    /// g, ml or piece.
    unit: String,
    stock: i64,
    /// What the pantry is filled up to.
    initial: i64,
    /// More is bought when the stock falls to it. Null: nobody sells it.
    reorder_at: Option<i64>,
    /// Null: nothing is on its way.
    purchase: Option<PurchaseView>,
    last_delivery: Option<DeliveryView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PurchaseView {
    quantity: i64,
    /// Whether the supplier is being asked now; otherwise again at `due_at`.
    asking: bool,
    attempts: u32,
    wanted_at: String,
    due_at: String,
    /// Why the last attempt failed.
    last_error: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryView {
    quantity: i64,
    cost_cents: i64,
    at: String,
}

impl From<PantryItem> for PantryItemView {
    fn from(item: PantryItem) -> Self {
        Self {
            id: item.id,
            name: item.name,
            unit: item.unit,
            stock: item.stock,
            initial: item.initial,
            reorder_at: item.reorder_at,
            purchase: item.open.map(PurchaseView::from),
            last_delivery: item.last_delivery.map(DeliveryView::from),
        }
    }
}

impl From<OpenPurchase> for PurchaseView {
    fn from(purchase: OpenPurchase) -> Self {
        Self {
            quantity: purchase.quantity,
            asking: purchase.asking,
            attempts: purchase.attempts,
            wanted_at: written(purchase.wanted_at),
            due_at: written(purchase.due_at),
            last_error: purchase.last_error,
        }
    }
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self { quantity: delivery.quantity, cost_cents: delivery.cost.cents(), at: written(delivery.at) }
    }
}

fn written(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// What there is of everything, and what is on its way.
#[utoipa::path(
    get,
    path = "/api/v1/pantry",
    tag = "pantry",
    responses(
        (status = 200, body = PantryView),
        (status = 401, description = "Not signed in (problem document)"),
        (status = 403, description = "Neither chef nor manager (problem document)")
    )
)]
pub async fn read(call: Call) -> Result<HttpResponse, Problem> {
    call.allowed(Permission::PantryRead).await?;
    let items = call.service().pantry(call.span()).await.map_err(|error| call.failed(&error))?;
    let view = PantryView { currency: CURRENCY, items: items.into_iter().map(PantryItemView::from).collect() };
    Ok(answer::json(&call, StatusCode::OK, &view))
}
