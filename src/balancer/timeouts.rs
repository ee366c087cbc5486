//! How long an upstream is waited for.

use std::time::Duration;

/// Bounds of one balancer.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From the end of the upload to the answer's head.
    pub head: Duration,
    /// Between two pieces of an answer's body.
    pub between_bytes: Duration,
    /// Between two pieces of a stream of events, which is silent while nothing happens.
    pub between_events: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            between_bytes: Duration::from_secs(30),
            between_events: Duration::from_secs(5 * 60),
        }
    }
}
