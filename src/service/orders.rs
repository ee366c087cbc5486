//! Orders and the ledger.

use std::fmt::Write as _;

use super::{Service, ServiceError, step};
use crate::domain::ledger::Ledger;
use crate::domain::order::{LINES_MAX, Order, OrderId, OrderRequest, Placed, QUANTITY_MAX, TABLES};
use crate::domain::permission::Permission;
use crate::domain::session::Visitor;
use crate::observe::hop::Hop;
use crate::observe::part::{QUEUE_TICKET, QUEUE_WAITING};
use crate::observe::span::{Span, Status};
use crate::store::bistro::{Idempotency, NewOrder, PlaceError};
use crate::web::secret::sha256;

/// The route that keys of orders count for.
const ROUTE: &str = "orders";
/// Longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;

impl Service {
    /// Places an order, all of it or nothing. The same key with the same request again finds the order
    /// of before; a guest without a session gets one.
    pub async fn place_order(
        &self,
        span: &Span,
        visitor: &Visitor,
        request: OrderRequest,
        idempotency_key: Option<&str>,
    ) -> Result<Placed, ServiceError> {
        step(span, "Place the order", async |span| {
            let check = span.child(Hop::Service, "Check the order");
            let checked = check_request(&request).and_then(|()| idempotency_key.map(check_key).transpose());
            let key = checked.inspect_err(|_| {
                check.status(Status::Error);
            })?;
            let idempotency = key.map(|key| Idempotency { route: ROUTE, key, fingerprint: fingerprint(&request) });
            check.attribute("roundtrip.service.fact", || {
                format!("table {}, {} lines", request.table, request.lines.len())
            });
            check.end();
            let new = NewOrder { person: visitor.person, request, idempotency };
            let placed = match self.bistro.place_order(span, new.clone()).await {
                Err(PlaceError::Refused(refusal)) => {
                    self.have_delivered(span, &new.request, refusal).await?;
                    self.bistro.place_order(span, new).await?
                }
                other => other?,
            };
            if !placed.replayed {
                span.attribute(QUEUE_TICKET, || placed.order.ticket.map(|ticket| ticket.id))
                    .attribute(QUEUE_WAITING, || placed.queue_waiting);
            }
            Ok(placed)
        })
        .await
    }

    /// The latest orders: one's own, or everybody's for those who may see them.
    pub async fn orders(&self, span: &Span, visitor: &Visitor) -> Result<Vec<Order>, ServiceError> {
        step(span, "List the orders", async |span| {
            if visitor.role.may(Permission::OrderReadAny) {
                return Ok(self.bistro.latest_orders(span).await?);
            }
            match visitor.person {
                Some(person) => Ok(self.bistro.orders_of(span, person).await?),
                None => Ok(Vec::new()),
            }
        })
        .await
    }

    /// One order. Somebody else's is not found, as one that does not exist.
    pub async fn order(&self, span: &Span, visitor: &Visitor, id: &OrderId) -> Result<Order, ServiceError> {
        step(span, "Find the order", async |span| {
            let order = self.bistro.order(span, id).await?;
            let whose = span.child(Hop::Service, "Check whose it is");
            let visible =
                |order: &Order| visitor.person == Some(order.owner) || visitor.role.may(Permission::OrderReadAny);
            let found = order.filter(visible);
            if found.is_none() {
                whose.status(Status::Error);
            }
            whose.attribute("roundtrip.service.fact", || match &found {
                Some(order) if visitor.person == Some(order.owner) => "the visitor's own",
                Some(_) => "another's, seen by permission",
                None => "no such order, or not the visitor's",
            });
            found.ok_or(ServiceError::NotFound { what: "order" })
        })
        .await
    }

    /// The ledger. Who may read it is the API's to check.
    pub async fn ledger(&self, span: &Span) -> Result<Ledger, ServiceError> {
        step(span, "Read the ledger", async |span| Ok(self.bistro.ledger(span).await?)).await
    }
}

fn check_request(request: &OrderRequest) -> Result<(), ServiceError> {
    let invalid = |pointer: String, detail: String| Err(ServiceError::Invalid { pointer, detail });
    if !(1..=TABLES).contains(&request.table) {
        return invalid("/table".to_owned(), format!("Tables are numbered from 1 to {TABLES}."));
    }
    if !(1..=LINES_MAX).contains(&request.lines.len()) {
        return invalid("/lines".to_owned(), format!("An order has from 1 to {LINES_MAX} lines."));
    }
    match request.lines.iter().position(|line| !(1..=QUANTITY_MAX).contains(&line.quantity)) {
        Some(line) => invalid(format!("/lines/{line}/quantity"), format!("From 1 to {QUANTITY_MAX} portions.")),
        None => Ok(()),
    }
}

fn check_key(key: &str) -> Result<String, ServiceError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        let detail = format!("From 1 to {KEY_BYTES_MAX} printable ASCII characters.");
        return Err(ServiceError::Invalid { pointer: "idempotency-key".to_owned(), detail });
    }
    Ok(key.to_owned())
}

/// Of what is asked for, not of how it was written: blanks and the order of fields in JSON don't matter.
fn fingerprint(request: &OrderRequest) -> [u8; 32] {
    let text = request.lines.iter().fold(format!("table {}", request.table), |mut text, line| {
        let _ = write!(text, "; {} x {}", line.quantity, line.menu_item_id);
        text
    });
    sha256(text.as_bytes())
}
