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

/// Loads a stack's configuration again. Its settings are changed by the console, which writes each of them down.
#[derive(Debug)]
pub struct Reloader {
    stack: Arc<Stack>,
    source: Source,
    started_with: Startup,
}

impl Reloader {
    pub fn new(stack: Arc<Stack>, source: Source, started_with: Startup) -> Self {
        Self { stack, source, started_with }
    }

    /// What is written now, checked.
    pub async fn read(&self) -> Result<Startup, ReloadError> {
        let source = self.source.clone();
        let read = tokio::task::spawn_blocking(move || source.read()).await;
        Ok(read.map_err(|error| ReloadError::Unread(error.to_string()))??)
    }

    /// Serves its pools and routes from the next request on.
    pub async fn serve(&self, startup: &Startup) -> Result<Loaded, ReloadError> {
        self.stack.replace_site(&startup.site).await?;
        Ok(Loaded {
            pools: startup.site.pools.len() + usize::from(startup.site.has_restaurant()),
            routes: startup.site.routes.len().max(1),
            needs_restart: self.started_with.needs_restart(startup),
        })
    }
}
