//! The kitchen's queue: to look at, to watch live, and to direct.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::answer;
use super::call::Call;
use crate::domain::kitchen::{Direction, KitchenTicket, Lengths, Queue};
use crate::domain::permission::Permission;
use crate::service::ServiceError;
use crate::web::problem::Problem;

/// The queue at one moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueView {
    /// When that was; ages are counted from here.
    at: String,
    #[serde(flatten)]
    lengths: LengthsView,
    /// In the order in which they are taken up; up to 50 of each state.
    tickets: Vec<KitchenTicketView>,
}

/// How many tickets are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct LengthsView {
    waiting: i64,
    cooking: i64,
    dead: i64,
    /// Nothing more is taken up; what is being cooked goes on.
    paused: bool,
}

/// A ticket as the chef sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KitchenTicketView {
    pub id: i64,
    order_id: String,
    table: u16,
    /// waiting, cooking or dead.
    state: &'static str,
    /// 1 goes before 0, 0 before -1.
    priority: i8,
    queued_at: String,
    /// Not taken up before.
    due_at: String,
    /// Begun, the present one among them.
    attempts: u32,
    /// Who cooks it.
    worker: Option<String>,
    /// Unless the worker is heard of until then, another may take it.
    lease_until: Option<String>,
    /// Why the attempt before failed.
    last_error: Option<String>,
    dishes: Vec<DishView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DishView {
    quantity: u32,
    name: String,
}

impl From<Lengths> for LengthsView {
    fn from(lengths: Lengths) -> Self {
        let Lengths { waiting, cooking, dead, paused } = lengths;
        Self { waiting, cooking, dead, paused }
    }
}

impl From<&KitchenTicket> for KitchenTicketView {
    fn from(ticket: &KitchenTicket) -> Self {
        let dish = |(quantity, name): &(u32, String)| DishView { quantity: *quantity, name: name.clone() };
        Self {
            id: ticket.id,
            order_id: ticket.order.as_str().to_owned(),
            table: ticket.table,
            state: ticket.state.id(),
            priority: ticket.priority,
            queued_at: rfc3339(ticket.queued_at),
            due_at: rfc3339(ticket.due_at),
            attempts: ticket.attempts,
            worker: ticket.worker.clone(),
            lease_until: ticket.lease_until.map(rfc3339),
            last_error: ticket.last_error.clone(),
            dishes: ticket.dishes.iter().map(dish).collect(),
        }
    }
}

/// The tickets of all lanes.
pub fn tickets(queue: &Queue) -> Vec<KitchenTicketView> {
    [&queue.waiting, &queue.cooking, &queue.dead].into_iter().flatten().map(KitchenTicketView::from).collect()
}

pub fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// The queue now.
#[utoipa::path(
    get,
    path = "/api/v1/kitchen",
    tag = "kitchen",
    responses(
        (status = 200, body = QueueView),
        (status = 401, description = "Not signed in (problem document)")
    )
)]
pub async fn read(call: Call) -> Result<HttpResponse, Problem> {
    call.allowed(Permission::KitchenRead).await?;
    let queue = call.service().kitchen(call.span()).await.map_err(|error| call.failed(&error))?;
    let view = QueueView { at: rfc3339(queue.at), lengths: queue.lengths.into(), tickets: tickets(&queue) };
    Ok(answer::json(&call, StatusCode::OK, &view))
}

/// Take up no more tickets. What is being cooked goes on.
#[utoipa::path(post, path = "/api/v1/kitchen/pause", tag = "kitchen", responses((status = 204)))]
pub async fn pause(call: Call) -> Result<HttpResponse, Problem> {
    set_paused(call, true).await
}

/// Take up tickets again.
#[utoipa::path(post, path = "/api/v1/kitchen/resume", tag = "kitchen", responses((status = 204)))]
pub async fn resume(call: Call) -> Result<HttpResponse, Problem> {
    set_paused(call, false).await
}

async fn set_paused(call: Call, paused: bool) -> Result<HttpResponse, Problem> {
    call.allowed(Permission::KitchenDirect).await?;
    call.service().pause_kitchen(call.span(), paused).await.map_err(|error| call.failed(&error))?;
    Ok(HttpResponse::NoContent().finish())
}

/// Queue a dead ticket again, or let a waiting one go before or after all others.
#[utoipa::path(
    post,
    path = "/api/v1/kitchen/tickets/{id}/{direction}",
    tag = "kitchen",
    params(
        ("id" = i64, Path, description = "The ticket's number"),
        ("direction" = String, Path, description = "requeue, first or last")
    ),
    responses(
        (status = 204),
        (status = 404, description = "No such ticket (problem document)"),
        (status = 409, description = "The ticket is elsewhere (problem document)")
    )
)]
pub async fn direct(call: Call, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    call.allowed(Permission::KitchenDirect).await?;
    let (id, direction) = path.into_inner();
    // What is no number is no ticket: the address doesn't exist either way.
    let wish = id.parse().ok().zip(Direction::from_id(&direction));
    let (id, direction) = wish.ok_or_else(|| call.failed(&ServiceError::NotFound { what: "ticket" }))?;
    call.service().direct_ticket(call.span(), id, direction).await.map_err(|error| call.failed(&error))?;
    Ok(HttpResponse::NoContent().finish())
}
