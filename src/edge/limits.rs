//! What one client may cost.

use std::time::Duration;

/// Bounds of one edge.
#[derive(Debug, Clone)]
pub struct EdgeLimits {
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    /// From one address of this machine: load is sent from here, and nobody else is kept out by it.
    pub connections_of_loopback_max: usize,
    pub handshake_timeout: Duration,
    /// From the first byte of a request's head to its last.
    pub head_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// How long a request's body may keep us waiting in all.
    pub body_timeout: Duration,
    /// How long it may before its rate counts.
    pub body_grace: Duration,
    /// A client that takes nothing of its answer for so long is cut.
    pub take_timeout: Duration,
    pub target_bytes_max: usize,
    pub head_bytes_max: usize,
    pub fields_max: usize,
    pub body_bytes_max: u64,
    pub h2_streams_max: u32,
    pub h2_stream_window: u32,
    pub h2_connection_window: u32,
    /// Streams a client may reset before they are accepted (rapid reset, CVE-2023-44487).
    pub h2_pending_resets_max: usize,
    /// Requests of one h2 connection that its client may give up in all before it has to make a new one.
    pub h2_given_up_max: usize,
    /// How long a connection that speaks another protocol may be silent both ways.
    pub tunnel_idle_timeout: Duration,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            connections_per_address_max: 64,
            connections_of_loopback_max: 512,
            handshake_timeout: Duration::from_secs(3),
            head_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(20),
            body_grace: Duration::from_secs(5),
            take_timeout: Duration::from_secs(30),
            target_bytes_max: 8 * 1024,
            head_bytes_max: 16 * 1024,
            fields_max: 64,
            body_bytes_max: 256 * 1024,
            h2_streams_max: 100,
            h2_stream_window: 64 * 1024,
            h2_connection_window: 1024 * 1024,
            h2_pending_resets_max: 20,
            h2_given_up_max: 200,
            tunnel_idle_timeout: Duration::from_secs(5 * 60),
        }
    }
}
