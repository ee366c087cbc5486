//! Orders: placed, drafted, changed, found.

use super::{Service, ServiceError, keys, step};
use crate::domain::order::{
    Changed, Expected, LINES_MAX, LineRequest, Order, OrderEvent, OrderId, OrderLine, OrderRequest, Placed,
    QUANTITY_MAX, TABLES,
};
use crate::domain::order_life::Deed;
use crate::domain::page::{OrderListing, Page};
use crate::domain::permission::Permission;
use crate::domain::session::Visitor;
use crate::observe::hop::Hop;
use crate::observe::part::{QUEUE_TICKET, QUEUE_WAITING};
use crate::observe::span::{Span, Status};
use crate::store::bistro::{Change, ChangeError, NewOrder, PlaceError};

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
            let new = self.checked(span, visitor, request, idempotency_key, false)?;
            let placed = match self.bistro.place_order(span, new.clone()).await {
                Err(PlaceError::Refused(refusal)) => {
                    self.have_delivered(span, &new.request, refusal).await?;
                    self.bistro.place_order(span, new).await?
                }
                other => other?,
            };
            queued(span, &placed.order, placed.queue_waiting);
            Ok(placed)
        })
        .await
    }

    /// Begins a draft, which takes nothing and which nobody cooks.
    pub async fn draft_order(
        &self,
        span: &Span,
        visitor: &Visitor,
        request: OrderRequest,
        idempotency_key: Option<&str>,
    ) -> Result<Placed, ServiceError> {
        step(span, "Begin a draft", async |span| {
            let new = self.checked(span, visitor, request, idempotency_key, true)?;
            Ok(self.bistro.draft_order(span, new).await?)
        })
        .await
    }

    fn checked(
        &self,
        span: &Span,
        visitor: &Visitor,
        request: OrderRequest,
        key: Option<&str>,
        draft: bool,
    ) -> Result<NewOrder, ServiceError> {
        let check = span.child(Hop::Service, "Check the order");
        let checked =
            check_request(&request).and_then(|()| key.map(|key| keys::of_new(key, &request, draft)).transpose());
        let idempotency = checked.inspect_err(|_| {
            check.status(Status::Error);
        })?;
        check.attribute("roundtrip.service.fact", || format!("table {}, {} lines", request.table, request.lines.len()));
        Ok(NewOrder { person: visitor.person, request, idempotency })
    }

    /// Does something to an order: one's own, or anybody's for those who may. Another's is not found, as
    /// one that does not exist. That the role may do it at all is the API's to check.
    pub async fn change_order(
        &self,
        span: &Span,
        visitor: &Visitor,
        order: OrderId,
        deed: Deed,
        expected: Expected,
        idempotency_key: Option<&str>,
    ) -> Result<Changed, ServiceError> {
        step(span, "Change the order", async |span| {
            if let Deed::Edit(request) = &deed {
                check_request(request)?;
            }
            let idempotency = idempotency_key.map(|key| keys::of_change(key, &order, &deed)).transpose()?;
            // Who has no session has no order either.
            let by = visitor.person.ok_or(ServiceError::NotFound { what: "order" })?;
            let any = visitor.role.may(deed.permissions().1);
            let change = Change { order, deed, by, any, expected, idempotency };
            let changed = match self.bistro.change_order(span, change.clone()).await {
                // A draft that is placed; what else is refused of an order's lines is none of the supplier's.
                Err(ChangeError::Place(PlaceError::Refused(refusal))) => {
                    let order = self.bistro.order(span, &change.order).await?;
                    let order = order.ok_or(ServiceError::NotFound { what: "order" })?;
                    self.have_delivered(span, &asked_for(&order), refusal).await?;
                    self.bistro.change_order(span, change).await?
                }
                other => other?,
            };
            queued(span, &changed.order, changed.queue_waiting);
            Ok(changed)
        })
        .await
    }

    /// A page of orders: one's own, or everybody's for those who may see them.
    pub async fn orders(
        &self,
        span: &Span,
        visitor: &Visitor,
        listing: &OrderListing,
    ) -> Result<Page<Order>, ServiceError> {
        step(span, "List the orders", async |span| {
            let owner = match (visitor.role.may(Permission::OrderReadAny), visitor.person) {
                (true, _) => None,
                (false, Some(person)) => Some(person),
                (false, None) => return Ok(Page::EMPTY),
            };
            Ok(self.bistro.list_orders(span, owner, listing).await?)
        })
        .await
    }

    /// What happened to an order, for those who may see it.
    pub async fn order_events(
        &self,
        span: &Span,
        visitor: &Visitor,
        id: &OrderId,
    ) -> Result<Vec<OrderEvent>, ServiceError> {
        self.order(span, visitor, id).await?;
        step(span, "List what happened to it", async |span| Ok(self.bistro.order_events(span, id).await?)).await
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
}

fn asked_for(order: &Order) -> OrderRequest {
    let line = |line: &OrderLine| LineRequest { menu_item_id: line.menu_item_id, quantity: line.quantity };
    OrderRequest { table: order.table, lines: order.lines.iter().map(line).collect() }
}

/// For the journey: the ticket, and the queue that it joined.
fn queued(span: &Span, order: &Order, waiting: Option<i64>) {
    if let Some(waiting) = waiting {
        span.attribute(QUEUE_TICKET, || order.ticket.map(|ticket| ticket.id)).attribute(QUEUE_WAITING, || waiting);
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
