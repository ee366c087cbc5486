//! The business: what the restaurant does, step by step, whoever asks. No HTTP above, no SQL below.

mod error;
pub mod faults;
mod keys;
pub mod kitchen;
mod ledger;
mod menu;
mod orders;
mod people;
pub mod supply;

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::domain::kitchen::Queue;
use crate::observe::hop::Hop;
use crate::observe::span::{Span, Status};
use crate::settings::runtime::Settings;
use crate::store::bistro::Bistro;
use crate::store::cache::MenuCache;
use crate::store::hasher::Hasher;
pub use error::ServiceError;
use supply::Supply;

/// One instance's business. The database and the hasher are shared, the cache is its own.
#[derive(Debug, Clone)]
pub struct Service {
    bistro: Bistro,
    hasher: Hasher,
    cache: MenuCache,
    settings: Settings,
    /// None: nothing is bought.
    supply: Option<Supply>,
    /// The kitchen's queue as last read, and at which change.
    queue: Arc<ArcSwapOption<(u64, Arc<Queue>)>>,
}

impl Service {
    pub fn new(bistro: Bistro, hasher: Hasher, cache: MenuCache, settings: Settings) -> Self {
        Self { bistro, hasher, cache, settings, supply: None, queue: Arc::default() }
    }

    /// With somebody who buys what an order lacks.
    pub fn with_supply(self, supply: Supply) -> Self {
        Self { supply: Some(supply), ..self }
    }

    /// Why it can't do its work now.
    pub fn unready(&self) -> Vec<String> {
        self.bistro.usage().troubles()
    }
}

/// Carries out `work` in a span of the service named `name`.
async fn step<T, E>(span: &Span, name: &'static str, work: impl AsyncFnOnce(&Span) -> Result<T, E>) -> Result<T, E> {
    let step = span.child(Hop::Service, name);
    let result = work(&step).await;
    if result.is_err() {
        step.status(Status::Error);
    }
    result
}
