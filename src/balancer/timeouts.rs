//! How long an upstream is waited for.

use std::time::Duration;

/// Bounds of one balancer.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From the end of the upload to the answer's head.
    pub head: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { head: Duration::from_secs(15) }
    }
}
