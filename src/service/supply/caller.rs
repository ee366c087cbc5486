//! Asks the supplier, who may be slow, failing or gone: each attempt has a timeout, a failed one is tried again
//! within a budget, a circuit breaker stops asking one who fails, and a bulkhead bounds the calls under way.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::{Answer, Client, Outgoing};
use crate::domain::money::Money;
use crate::domain::pantry::{Delivered, PurchaseClaim};
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::part::{SUPPLIER_ATTEMPTS, SUPPLIER_BREAKER, SUPPLIER_ITEM, SUPPLIER_OUTCOME};
use crate::observe::span::{Span, Status};
use crate::policy::breaker::{Breaker, Call, State};
use crate::policy::bulkhead::Bulkhead;
use crate::policy::retry_budget::RetryBudget;
use crate::policy::{backoff, random};
use crate::settings::runtime::Settings;
use crate::settings::supply::SupplySettings;

/// What an attempt needs at least: with less, it would fail whatever the supplier does.
const ATTEMPT_MIN: Duration = Duration::from_millis(5);

/// Why nothing was delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("the supplier does not sell {0}")]
    NotSold(String),
    /// It will not, however often it is asked.
    #[error("the supplier refused it: {0}")]
    Refused(String),
    #[error("the supplier is not asked for now, since it failed too often (the circuit breaker is open)")]
    BreakerOpen,
    #[error("too many calls to the supplier are under way (the bulkhead is full)")]
    Full,
    #[error("the supplier did not deliver: {0}")]
    Failed(String),
    /// It might have, later: nothing is said against it.
    #[error("there was no time left to wait for the supplier")]
    NoTime,
}

/// What an instance has asked since the start, and how its guards stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Figures {
    pub breaker: State,
    /// Calls under way.
    pub calls: u64,
    pub asked: u64,
    pub attempts: u64,
    pub delivered: u64,
    pub failed: u64,
    /// Refused before a call went out.
    pub breaker_refused: u64,
    pub bulkhead_refused: u64,
}

/// What stands between this instance and the supplier.
#[derive(Debug, Default)]
struct Guards {
    breaker: Breaker,
    budget: RetryBudget,
    bulkhead: Bulkhead,
    random: u64,
    asked: u64,
    attempts: u64,
    delivered: u64,
    failed: u64,
    breaker_refused: u64,
    bulkhead_refused: u64,
}

#[derive(Debug)]
pub struct Caller {
    client: Client,
    /// Where deliveries are asked for.
    url: String,
    settings: Settings,
    guards: Mutex<Guards>,
    since: Tick,
}

impl Caller {
    /// `origin`: `http://supplier.roundtrip.test:1234`. The seed repeats the waits.
    pub fn new(client: Client, origin: &str, settings: Settings, seed: u64) -> Self {
        let guards = Mutex::new(Guards { random: seed, ..Guards::default() });
        Self { client, url: format!("{origin}/deliveries"), settings, guards, since: Tick::now() }
    }

    pub fn figures(&self) -> Figures {
        let mode = self.settings.snapshot().supply.breaker.mode;
        let now = self.now();
        let mut guards = self.guards();
        guards.breaker.advance(now);
        Figures {
            breaker: guards.breaker.state(mode),
            calls: guards.bulkhead.inside(),
            asked: guards.asked,
            attempts: guards.attempts,
            delivered: guards.delivered,
            failed: guards.failed,
            breaker_refused: guards.breaker_refused,
            bulkhead_refused: guards.bulkhead_refused,
        }
    }

    /// A random number, from the seed.
    pub fn draw(&self) -> u64 {
        let mut guards = self.guards();
        guards.random = guards.random.wrapping_add(random::STEP);
        random::split_mix(guards.random)
    }

    /// Asks for a delivery until `deadline` at the latest.
    pub async fn ask(&self, span: &Span, claim: &PurchaseClaim, deadline: Instant) -> Result<Delivered, AskError> {
        let rules = self.settings.snapshot().supply.clone();
        let ask = span.child(Hop::Service, "Ask the supplier");
        let mut attempts = 0;
        let result = match self.enter(&ask, &rules) {
            Ok(_inside) => self.attempts(&ask, claim, &rules, deadline, &mut attempts).await,
            Err(refused) => Err(refused),
        };
        {
            let mut guards = self.guards();
            match &result {
                Ok(_) => guards.delivered += 1,
                Err(AskError::Failed(_)) => guards.failed += 1,
                Err(AskError::BreakerOpen) => guards.breaker_refused += 1,
                Err(AskError::Full) => guards.bulkhead_refused += 1,
                Err(AskError::NotSold(_) | AskError::Refused(_) | AskError::NoTime) => {}
            }
        }
        if result.is_err() {
            ask.status(Status::Error);
        }
        ask.attribute(SUPPLIER_ITEM, || claim.item.clone())
            .attribute("roundtrip.supplier.quantity", || claim.quantity)
            .attribute(SUPPLIER_ATTEMPTS, || attempts)
            .attribute(SUPPLIER_OUTCOME, || match &result {
                Ok(_) => "delivered".to_owned(),
                Err(error) => error.to_string(),
            });
        result
    }

    /// Through the breaker and into the bulkhead, or not.
    fn enter(&self, ask: &Span, rules: &SupplySettings) -> Result<Inside<'_>, AskError> {
        let now = self.now();
        let mut guards = self.guards();
        guards.asked += 1;
        guards.breaker.advance(now);
        let state = guards.breaker.state(rules.breaker.mode);
        let permitted = guards.breaker.permits(&rules.breaker);
        let entered = permitted && guards.bulkhead.enter(rules.calls);
        let inside = guards.bulkhead.inside();
        if entered {
            guards.budget.deposit(&rules.retry_budget, now);
        }
        drop(guards);
        ask.attribute(SUPPLIER_BREAKER, || state.id())
            .attribute("roundtrip.supplier.calls", || inside)
            .attribute("roundtrip.supplier.calls_max", || rules.calls);
        match (permitted, entered) {
            (false, _) => Err(AskError::BreakerOpen),
            (true, false) => Err(AskError::Full),
            (true, true) => Ok(Inside(self)),
        }
    }

    async fn attempts(
        &self,
        ask: &Span,
        claim: &PurchaseClaim,
        rules: &SupplySettings,
        deadline: Instant,
        attempts: &mut u32,
    ) -> Result<Delivered, AskError> {
        let mut last = AskError::NoTime;
        loop {
            if left(deadline) < ATTEMPT_MIN {
                return Err(last);
            }
            // A trial that failed, or calls of others, may have opened it since.
            let trial = self.begin(rules).ok_or(AskError::BreakerOpen)?;
            *attempts += 1;
            let result = self.attempt(ask, claim, rules, deadline, trial).await;
            match result {
                Err(failed @ AskError::Failed(_)) => last = failed,
                // Cut off: what the attempts before it met with says more.
                Err(AskError::NoTime) => return Err(last),
                ended => return ended,
            }
            let wait = backoff::wait(*attempts, self.draw());
            let in_time = left(deadline) >= wait + ATTEMPT_MIN;
            if u64::from(*attempts) >= rules.attempts || !in_time || !self.may_retry(rules) {
                return Err(last);
            }
            let _wait = ask.child(Hop::Service, "Wait before another attempt");
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(
        &self,
        ask: &Span,
        claim: &PurchaseClaim,
        rules: &SupplySettings,
        deadline: Instant,
        mut trial: Trial<'_>,
    ) -> Result<Delivered, AskError> {
        let (span, started) = (ask.child(Hop::Service, "Send it to the supplier"), Tick::now());
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let outgoing = Outgoing {
            method: "POST".to_owned(),
            headers: vec![header("content-type", "application/json"), header("idempotency-key", &claim.key)],
            body: json!({ "item": claim.item, "quantity": claim.quantity }).to_string().into(),
            timeout: rules.timeout.min(left(deadline)),
            probe: false,
            within: Some(span.trace().context()),
            ..Outgoing::get(self.url.clone())
        };
        let result = match self.client.send(outgoing).await {
            Ok(Answer { status, body, part, .. }) => {
                span.adopt(part.spans, Hop::Service);
                read(&claim.item, status, &body)
            }
            Err(failure) => {
                span.adopt(failure.part.spans.clone(), Hop::Service);
                if left(deadline).is_zero() {
                    // It was cut off by whoever asks: the trial ends untold.
                    span.status(Status::Error);
                    return Err(AskError::NoTime);
                }
                Err(AskError::Failed(failure.message))
            }
        };
        let failed = matches!(result, Err(AskError::Failed(_)));
        trial.ended(rules, Call { failed, took: Tick::now().since(started), trial: trial.is_trial });
        if result.is_err() {
            span.status(Status::Error);
        }
        result
    }

    /// A call begins, if the breaker lets it.
    fn begin(&self, rules: &SupplySettings) -> Option<Trial<'_>> {
        let now = self.now();
        let mut guards = self.guards();
        guards.breaker.advance(now);
        if !guards.breaker.permits(&rules.breaker) {
            return None;
        }
        guards.attempts += 1;
        Some(Trial { caller: self, is_trial: guards.breaker.claim(), told: false })
    }

    fn may_retry(&self, rules: &SupplySettings) -> bool {
        self.guards().budget.withdraw(&rules.retry_budget, self.now())
    }

    fn now(&self) -> Duration {
        Tick::now().since(self.since)
    }

    /// Counters and plain states: a panic elsewhere leaves none half-written.
    fn guards(&self) -> MutexGuard<'_, Guards> {
        self.guards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// What the supplier's answer means.
fn read(item: &str, status: u16, body: &[u8]) -> Result<Delivered, AskError> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    match status {
        200 | 201 => {
            let cost = value.get("price_cents").and_then(Value::as_i64).filter(|cents| *cents >= 0);
            let delivered = text("delivery").zip(cost);
            let delivered = delivered.map(|(delivery, cents)| Delivered { delivery, cost: Money::from_cents(cents) });
            delivered.ok_or_else(|| AskError::Failed("its answer makes no sense".to_owned()))
        }
        404 if text("type").is_some_and(|kind| kind.ends_with("/not-sold")) => Err(AskError::NotSold(item.to_owned())),
        // It may answer otherwise next time.
        408 | 421 | 429 | 500.. => {
            Err(AskError::Failed(text("detail").unwrap_or_else(|| format!("it answered {status}"))))
        }
        _ => Err(AskError::Refused(text("detail").unwrap_or_else(|| format!("it answered {status}")))),
    }
}

/// A place in the bulkhead, given back when dropped.
struct Inside<'a>(&'a Caller);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.guards().bulkhead.leave();
    }
}

/// An attempt that the breaker let through. Dropped before it ended, it told nothing.
struct Trial<'a> {
    caller: &'a Caller,
    is_trial: bool,
    told: bool,
}

impl Trial<'_> {
    fn ended(&mut self, rules: &SupplySettings, call: Call) {
        self.told = true;
        let now = self.caller.now();
        let mut guards = self.caller.guards();
        let before = guards.breaker.state(rules.breaker.mode);
        guards.breaker.record(call, &rules.breaker, now);
        let after = guards.breaker.state(rules.breaker.mode);
        drop(guards);
        if before != after {
            log::info!(target: "supply", "the breaker before the supplier: {} → {}", before.id(), after.id());
        }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if self.is_trial && !self.told {
            self.caller.guards().breaker.release();
        }
    }
}
