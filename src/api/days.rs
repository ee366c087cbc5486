//! Business days, for the manager.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer;
use super::body::{self, Body};
use super::call::Call;
use super::key::idempotency_key;
use super::order_view::rfc3339;
use super::query::Query;
use crate::domain::ledger::{Day, DayLine};
use crate::domain::money::CURRENCY;
use crate::domain::permission::Permission;
use crate::service::ServiceError;
use crate::web::problem::Problem;

#[derive(Debug, Serialize, ToSchema)]
pub struct DaysView {
    /// Newest first.
    days: Vec<DayView>,
    /// The cursor of the next page; null on the last.
    next: Option<String>,
}

/// The report of a day that was closed.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayView {
    id: i64,
    closed_at: String,
    currency: &'static str,
    /// Placed on this day.
    orders: i64,
    /// What came into the till.
    takings_cents: i64,
    /// What went out of it again.
    refunds_cents: i64,
    /// What guests still owed when it was closed.
    receivable_cents: i64,
    /// Of all lines: zero.
    sum_cents: i64,
    lines: Vec<DayLineView>,
}

/// What one kind of transaction has moved on one account.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayLineView {
    kind: &'static str,
    account: &'static str,
    entries: i64,
    /// Debits positive, credits negative.
    amount_cents: i64,
}

impl From<&Day> for DayView {
    fn from(day: &Day) -> Self {
        let line = |line: &DayLine| DayLineView {
            kind: line.kind.id(),
            account: line.account.id(),
            entries: line.entries,
            amount_cents: line.amount.cents(),
        };
        Self {
            id: day.id,
            closed_at: rfc3339(day.closed_at),
            currency: CURRENCY,
            orders: day.orders(),
            takings_cents: day.takings().cents(),
            refunds_cents: day.refunds().cents(),
            receivable_cents: day.receivable.cents(),
            sum_cents: day.lines.iter().map(|line| line.amount.cents()).sum(),
            lines: day.lines.iter().map(line).collect(),
        }
    }
}

/// The reports of the days that were closed, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/ledger/days",
    tag = "ledger",
    params(
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "Days in a page; 50 without"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before")
    ),
    responses(
        (status = 200, body = DaysView, description = "Link names the next page (RFC 8288)"),
        (status = 401, description = "Not signed in (problem document)"),
        (status = 403, description = "Not a manager (problem document)")
    )
)]
pub async fn list(call: Call) -> Result<HttpResponse, Problem> {
    call.allowed(Permission::LedgerRead).await?;
    let (cut, pages) = Query::of(&call).cut(&call)?;
    let days = call.service().days(call.span(), &cut).await.map_err(|error| call.failed(&error))?;
    let view = DaysView { days: days.items.iter().map(DayView::from).collect(), next: pages.next(days.next) };
    Ok(pages.link(answer::json(&call, StatusCode::OK, &view), view.next.as_deref()))
}

/// Close the running business day. What is booked afterwards belongs to the next.
#[utoipa::path(
    post,
    path = "/api/v1/ledger/days",
    tag = "ledger",
    params(("Idempotency-Key" = Option<String>, Header, description = "For 24 hours the same key gets the same report")),
    responses(
        (status = 201, body = DayView),
        (status = 401, description = "Not signed in (problem document)"),
        (status = 403, description = "Not a manager (problem document)"),
        (status = 409, description = "Nothing was booked since the last day was closed (problem document)")
    )
)]
pub async fn close(call: Call, body: Body) -> Result<HttpResponse, Problem> {
    let visitor = call.allowed(Permission::LedgerClose).await?;
    body::nothing(&call, body)?;
    let key = idempotency_key(&call)?;
    let by = visitor.person.ok_or_else(|| call.failed(&ServiceError::Internal("staff without a number".to_owned())))?;
    let day = call.service().close_day(call.span(), by, key).await.map_err(|error| call.failed(&error))?;
    Ok(answer::json(&call, StatusCode::CREATED, &DayView::from(&day)))
}
