//! Orders as the API shows them.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::domain::money::CURRENCY;
use crate::domain::order::{Order, OrderEvent, OrderLine};
use crate::domain::permission::Role;

/// An order as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderView {
    pub id: String,
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
    pub orders: Vec<OrderView>,
    /// The cursor of the next page; null on the last.
    pub next: Option<String>,
}

/// What happened to an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventsView {
    pub events: Vec<EventView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EventView {
    /// place, cook, put-back, finish, serve, pay, cancel or refund.
    action: &'static str,
    /// The role of whoever did it; null for the kitchen's workers.
    by: Option<&'static str>,
    at: String,
}

impl From<&OrderEvent> for EventView {
    fn from(event: &OrderEvent) -> Self {
        Self { action: event.action.id(), by: event.by.map(Role::id), at: rfc3339(event.at) }
    }
}

impl From<&Order> for OrderView {
    fn from(order: &Order) -> Self {
        let line = |line: &OrderLine| LineView {
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

pub fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
