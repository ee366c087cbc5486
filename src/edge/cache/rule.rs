//! What a route says about caching.

use std::time::Duration;

/// One route's rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRule {
    pub enabled: bool,
    /// How long a response is fresh that says nothing about it. None: as RFC 9111 guesses.
    pub default_ttl: Option<Duration>,
    /// Larger bodies are not kept. None: as `http.cache.object_bytes` says.
    pub max_object_bytes: Option<u64>,
}

impl Default for CacheRule {
    fn default() -> Self {
        Self { enabled: true, default_ttl: None, max_object_bytes: None }
    }
}
