//! The ledger and its days. Who may see them is the API's to check.

use super::{Service, ServiceError, keys, step};
use crate::domain::ledger::{Day, Ledger};
use crate::domain::page::{Cut, Page};
use crate::domain::session::PersonId;
use crate::observe::span::Span;

impl Service {
    /// Balances and a page of the entries.
    pub async fn ledger(&self, span: &Span, cut: &Cut) -> Result<Ledger, ServiceError> {
        step(span, "Read the ledger", async |span| Ok(self.bistro.ledger(span, cut).await?)).await
    }

    /// The reports of the days that were closed, newest first.
    pub async fn days(&self, span: &Span, cut: &Cut) -> Result<Page<Day>, ServiceError> {
        step(span, "List the days", async |span| Ok(self.bistro.days(span, cut).await?)).await
    }

    /// Closes the running day. The same key again finds the day of before.
    pub async fn close_day(&self, span: &Span, by: PersonId, key: Option<&str>) -> Result<Day, ServiceError> {
        step(span, "Close the business day", async |span| {
            let idempotency = key.map(keys::of_day).transpose()?;
            let (day, _) = self.bistro.close_day(span, by, idempotency).await?;
            span.attribute("roundtrip.service.fact", || format!("day {}: {} orders", day.id, day.orders()));
            Ok(day)
        })
        .await
    }
}
