//! The ledger, for the manager.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer;
use super::call::Call;
use super::order_view::rfc3339;
use super::query::Query;
use crate::domain::money::CURRENCY;
use crate::domain::permission::Permission;
use crate::web::problem::Problem;

#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerView {
    currency: &'static str,
    /// Entries in all.
    count: i64,
    /// Of all entries. Zero, always: each sale is booked twice.
    sum_cents: i64,
    balances: Vec<BalanceView>,
    /// Newest first.
    entries: Vec<EntryView>,
    /// The cursor of the next page; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BalanceView {
    account: &'static str,
    balance_cents: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EntryView {
    id: i64,
    kind: &'static str,
    /// Null for a supplier's delivery.
    order_id: Option<String>,
    account: &'static str,
    /// Debits positive, credits negative.
    amount_cents: i64,
    at: String,
}

/// What was booked.
#[utoipa::path(
    get,
    path = "/api/v1/ledger",
    tag = "ledger",
    params(
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "Entries in a page; 50 without"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before")
    ),
    responses(
        (status = 200, body = LedgerView, description = "Link names the next page (RFC 8288)"),
        (status = 401, description = "Not signed in (problem document)"),
        (status = 403, description = "Not a manager (problem document)")
    )
)]
pub async fn read(call: Call) -> Result<HttpResponse, Problem> {
    call.allowed(Permission::LedgerRead).await?;
    let (cut, pages) = Query::of(&call).cut(&call)?;
    let ledger = call.service().ledger(call.span(), &cut).await.map_err(|error| call.failed(&error))?;
    let view = LedgerView {
        currency: CURRENCY,
        count: ledger.count,
        sum_cents: ledger.sum.cents(),
        balances: ledger
            .balances
            .iter()
            .map(|(account, balance)| BalanceView { account: account.id(), balance_cents: balance.cents() })
            .collect(),
        next: pages.next(ledger.entries.next),
        entries: ledger
            .entries
            .items
            .iter()
            .map(|entry| EntryView {
                id: entry.id,
                kind: entry.kind.id(),
                order_id: entry.order_id.as_ref().map(|id| id.as_str().to_owned()),
                account: entry.account.id(),
                amount_cents: entry.amount.cents(),
                at: rfc3339(entry.at),
            })
            .collect(),
    };
    Ok(pages.link(answer::json(&call, StatusCode::OK, &view), view.next.as_deref()))
}
