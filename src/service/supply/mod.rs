//! What the pantry needs: bought from the supplier in the background, or in an order's way when it can't wait.

mod caller;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Service, ServiceError, step};
use crate::client::Client;
use crate::domain::order::OrderRequest;
use crate::domain::order_rule::Refusal;
use crate::domain::pantry::{PantryItem, PurchaseClaim, Shortage};
use crate::observe::hop::Hop;
use crate::observe::span::{Span, Status};
use crate::policy::backoff::Attempts;
use crate::settings::runtime::Settings;
use crate::store::StoreError;
use crate::store::bistro::bus::Topic;
use crate::store::bistro::{Bistro, Express, PlaceError};
use caller::Caller;
pub use caller::{AskError, Figures};
pub use worker::Purchasing;

/// A purchase is held for as long as its holder may ask, and for what it takes to write down how it ended.
const LEASE_BEYOND_PATIENCE: Duration = Duration::from_secs(5);

/// One instance's buyer. Cheap to clone; clones share their guards.
#[derive(Debug, Clone)]
pub struct Supply(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bistro: Bistro,
    caller: Caller,
    settings: Settings,
}

impl Supply {
    /// `origin`: where the supplier answers. The seed repeats the waits between attempts.
    pub fn new(bistro: Bistro, client: Client, origin: &str, settings: Settings, seed: u64) -> Self {
        let caller = Caller::new(client, origin, settings.clone(), seed);
        Self(Arc::new(Inner { bistro, caller, settings }))
    }

    pub fn figures(&self) -> Figures {
        self.0.caller.figures()
    }

    fn patience(&self) -> Duration {
        self.0.settings.snapshot().supply.patience
    }

    fn lease(&self) -> Duration {
        self.patience() + LEASE_BEYOND_PATIENCE
    }

    /// Before a purchase that did not come is asked for again.
    fn longest_wait(&self) -> Duration {
        self.0.settings.snapshot().supply.backoff_max
    }

    /// Asks for what is held and writes down how it ended. A store that fails leaves the purchase with its lease:
    /// whoever has it next asks with the same key, and gets the same delivery.
    async fn fulfil(
        &self,
        span: &Span,
        claim: &PurchaseClaim,
        deadline: Instant,
    ) -> Result<Result<(), AskError>, StoreError> {
        let Inner { bistro, caller, settings } = &*self.0;
        let error = match caller.ask(span, claim, deadline).await {
            Ok(delivered) => {
                bistro.deliver_purchase(span, claim, delivered).await?;
                return Ok(Ok(()));
            }
            Err(error) => error,
        };
        match &error {
            AskError::NotSold(_) => bistro.refuse_purchase(span, claim, error.to_string(), false).await?,
            AskError::Refused(_) => bistro.refuse_purchase(span, claim, error.to_string(), true).await?,
            AskError::BreakerOpen | AskError::Full | AskError::Failed(_) | AskError::NoTime => {
                let rules = settings.snapshot().supply.clone();
                let (first, longest) = (rules.backoff, rules.backoff_max);
                // It is wanted until it comes: there is no last attempt.
                let attempts = Attempts { max: u32::MAX, first, longest };
                let wait = attempts.wait_after(claim.attempts, caller.draw()).unwrap_or(longest);
                bistro.put_back_purchase(span, claim, error.to_string(), wait).await?
            }
        };
        Ok(Err(error))
    }

    /// Has everything delivered at once that `request` lacks; the inner error says why that can't be.
    async fn express(&self, span: &Span, request: &OrderRequest) -> Result<Result<(), String>, ServiceError> {
        let deadline = Instant::now() + self.patience();
        step(span, "Ask for an express delivery", async |span| {
            let short = self.0.bistro.shortages(span, request).await?;
            let result = match short.iter().find(|item| !item.sold) {
                Some(item) => Err(AskError::NotSold(item.name.clone()).to_string()),
                None => self.deliver_all(span, &short, deadline).await?,
            };
            if result.is_err() {
                span.status(Status::Error);
            }
            Ok(result)
        })
        .await
    }

    async fn deliver_all(
        &self,
        span: &Span,
        short: &[Shortage],
        deadline: Instant,
    ) -> Result<Result<(), String>, StoreError> {
        for item in short {
            if let Err(why) = self.deliver_now(span, item, deadline).await? {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    /// One delivery of an item serves all orders that wait for it: the others wait for whoever asks.
    async fn deliver_now(
        &self,
        span: &Span,
        item: &Shortage,
        deadline: Instant,
    ) -> Result<Result<(), String>, StoreError> {
        let bistro = &self.0.bistro;
        let mut changes = bistro.bus().listen(Topic::Purchases);
        loop {
            changes.borrow_and_update();
            match bistro.claim_express(span, item.id, item.needed, self.lease()).await? {
                Express::Enough => return Ok(Ok(())),
                Express::NotSold => return Ok(Err(AskError::NotSold(item.name.clone()).to_string())),
                Express::Claimed(claim) => {
                    // What came may be a purchase of before, or be another order's by now: looked at again.
                    if let Err(error) = self.fulfil(span, &claim, deadline).await? {
                        return Ok(Err(error.to_string()));
                    }
                }
                Express::Asked => {
                    let _wait = span.child(Hop::Service, "Wait for a delivery that is asked for already");
                    let changed = tokio::time::timeout_at(deadline, changes.changed()).await;
                    if !matches!(changed, Ok(Ok(()))) {
                        return Ok(Err(format!("the supplier was asked for {} and has not answered yet", item.name)));
                    }
                }
            }
        }
    }
}

impl Service {
    /// Has delivered at once what an order was refused for, so that it can be placed after all; any other refusal
    /// stands. What suffices is placed without asking anybody.
    pub(super) async fn have_delivered(
        &self,
        span: &Span,
        request: &OrderRequest,
        refusal: Refusal,
    ) -> Result<(), ServiceError> {
        let (line, name, supply) = match (refusal, &self.supply) {
            (Refusal::OutOfStock { line, name }, Some(supply)) => (line, name, supply),
            (refusal, _) => return Err(PlaceError::Refused(refusal).into()),
        };
        supply.express(span, request).await?.map_err(|why| ServiceError::NotSupplied { line, name, why })
    }

    /// Everything in the pantry, and what is on its way. Who may read it is the API's to check.
    pub async fn pantry(&self, span: &Span) -> Result<Vec<PantryItem>, ServiceError> {
        step(span, "Read the pantry", async |span| Ok(self.bistro.pantry(span).await?)).await
    }
}
