//! The configuration, loaded again while the stack runs: checked first, then served, or nothing is changed.

use std::sync::Arc;

use serde::Serialize;

use super::{Stack, StackError};
use crate::settings::startup::{BadConfiguration, Source, Startup};

/// What was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loaded {
    pub pools: usize,
    pub routes: usize,
    /// Keys whose new value counts from the next start only.
    pub needs_restart: Vec<&'static str>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error(transparent)]
    Bad(#[from] BadConfiguration),
    #[error(transparent)]
    Stack(#[from] StackError),
    #[error("the configuration could not be read: {0}")]
    Unread(String),
}

/// Loads a stack's configuration again, for the signal and the console alike.
#[derive(Debug)]
pub struct Reloader {
    stack: Arc<Stack>,
    source: Source,
    started_with: Startup,
    /// One at a time; held across awaits on purpose, which the async mutex is for.
    turn: tokio::sync::Mutex<()>,
}

impl Reloader {
    pub fn new(stack: Arc<Stack>, source: Source, started_with: Startup) -> Self {
        Self { stack, source, started_with, turn: tokio::sync::Mutex::new(()) }
    }

    /// On behalf of `who`.
    pub async fn reload(&self, who: &str) -> Result<Loaded, ReloadError> {
        let _turn = self.turn.lock().await;
        let source = self.source.clone();
        let read = tokio::task::spawn_blocking(move || source.read()).await;
        let startup = read.map_err(|error| ReloadError::Unread(error.to_string()))??;
        self.stack.replace_site(&startup.site).await?;
        let settings = startup.settings.iter().map(|(key, value)| (key.as_str(), value));
        // They were checked when they were read.
        self.stack.change_settings(who, settings).map_err(|refused| {
            ReloadError::Unread(refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        Ok(Loaded {
            pools: startup.site.pools.len() + usize::from(startup.site.has_restaurant()),
            routes: startup.site.routes.len().max(1),
            needs_restart: self.started_with.needs_restart(&startup),
        })
    }
}
