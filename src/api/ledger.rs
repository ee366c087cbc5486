//! The ledger, for the manager.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer;
use super::call::Call;
use crate::domain::money::CURRENCY;
use crate::domain::permission::Permission;
use crate::web::problem::Problem;

#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerView {
    currency: &'static str,
    /// Entries in all; the latest are listed.
    count: i64,
    /// Of all entries. Zero, always: each sale is booked twice.
    sum_cents: i64,
    balances: Vec<BalanceView>,
    entries: Vec<EntryView>,
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
    responses(
        (status = 200, body = LedgerView),
        (status = 401, description = "Not signed in (problem document)"),
        (status = 403, description = "Not a manager (problem document)")
    )
)]
pub async fn read(call: Call) -> Result<HttpResponse, Problem> {
    call.allowed(Permission::LedgerRead).await?;
    let ledger = call.service().ledger(call.span()).await.map_err(|error| call.failed(&error))?;
    let view = LedgerView {
        currency: CURRENCY,
        count: ledger.count,
        sum_cents: ledger.sum.cents(),
        balances: ledger
            .balances
            .iter()
            .map(|(account, balance)| BalanceView { account: account.id(), balance_cents: balance.cents() })
            .collect(),
        entries: ledger
            .entries
            .iter()
            .map(|entry| EntryView {
                id: entry.id,
                kind: entry.kind.id(),
                order_id: entry.order_id.as_ref().map(|id| id.as_str().to_owned()),
                account: entry.account.id(),
                amount_cents: entry.amount.cents(),
                at: entry.at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default(),
            })
            .collect(),
    };
    Ok(answer::json(&call, StatusCode::OK, &view))
}
