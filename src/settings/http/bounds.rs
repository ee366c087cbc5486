//! What one client of the edge may cost: connections, time and bytes.

use std::time::Duration;

use crate::observe::hop::Hop;
use crate::settings::row::{Field, Row};
use crate::settings::runtime::Snapshot;

/// A connection keeps those that it began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub connections_max: u64,
    pub connections_per_address_max: u64,
    /// From one address of this machine: load is sent from here, and nobody else is kept out by it.
    pub connections_of_loopback_max: u64,
    pub handshake_timeout: Duration,
    /// From the first byte of a request's head to its last.
    pub head_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// A client that takes nothing of its answer for so long is cut.
    pub take_timeout: Duration,
    pub target_bytes_max: u64,
    pub head_bytes_max: u64,
    pub fields_max: u64,
    /// Of a request's body, where its route does not say.
    pub body_bytes_max: u64,
    /// How long a request's body may keep us waiting in all.
    pub body_timeout: Duration,
    /// How long it may before its rate counts.
    pub body_grace: Duration,
    /// Bytes a second.
    pub body_rate_min: u64,
    pub h2_streams_max: u64,
    pub h2_stream_window: u64,
    pub h2_connection_window: u64,
    /// Streams a client may reset before they are accepted (rapid reset, CVE-2023-44487).
    pub h2_pending_resets_max: u64,
    /// Requests of one h2 connection that its client may give up in all before it has to make a new one.
    pub h2_given_up_max: u64,
    /// How long a connection that speaks another protocol may be silent both ways.
    pub tunnel_idle_timeout: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connections_max: 1_024,
            connections_per_address_max: 64,
            connections_of_loopback_max: 512,
            handshake_timeout: seconds(3),
            head_timeout: seconds(5),
            idle_timeout: seconds(15),
            take_timeout: seconds(30),
            target_bytes_max: 8 * 1024,
            head_bytes_max: 16 * 1024,
            fields_max: 64,
            body_bytes_max: 256 * 1024,
            body_timeout: seconds(20),
            body_grace: seconds(5),
            // As httpd's mod_reqtimeout has it.
            body_rate_min: 500,
            h2_streams_max: 100,
            h2_stream_window: 64 * 1024,
            h2_connection_window: 1024 * 1024,
            h2_pending_resets_max: 20,
            h2_given_up_max: 200,
            tunnel_idle_timeout: seconds(5 * 60),
        }
    }
}

const HTTP: &[&str] = &["layer.http", "sec.network"];
const NETWORK: &[&str] = &["sec.network", "operations"];

/// As many as a system commonly has ports to answer from.
const CONNECTIONS_MAX: u64 = 65_535;
const HOUR: u64 = 3_600;
/// RFC 9113, section 6.9.2: what a window is before anybody speaks of it.
const WINDOW_MIN: u64 = 65_535;
const WINDOW_MAX: u64 = 16 * 1024 * 1024;

/// Ranges leave out what would make the edge useless, and what it could not bear from many clients at once.
pub static ROWS: &[Row] = &[
    row(
        "http.connections.max",
        "Connections that the edge takes at once; another is closed. Holds for new connections.",
        NETWORK,
        count(|values| &mut values.http.bounds.connections_max, 1, CONNECTIONS_MAX, "connections"),
    ),
    row(
        "http.connections.per_address_max",
        "Connections that one address may have at once. A trusted proxy may have as many as there are. Holds for new \
         connections.",
        NETWORK,
        count(|values| &mut values.http.bounds.connections_per_address_max, 1, CONNECTIONS_MAX, "connections"),
    ),
    row(
        "http.connections.of_loopback_max",
        "Connections that one address of this machine may have at once: load is sent from here. Holds for new \
         connections.",
        NETWORK,
        count(|values| &mut values.http.bounds.connections_of_loopback_max, 1, CONNECTIONS_MAX, "connections"),
    ),
    row(
        "http.idle_timeout",
        "How long a connection may be silent between two requests before it is closed. Holds for new connections.",
        HTTP,
        seconds(|values| &mut values.http.bounds.idle_timeout, HOUR),
    ),
    row(
        "http.take_timeout",
        "How long a client may take nothing of its answer before it is cut. Holds for new connections.",
        HTTP,
        seconds(|values| &mut values.http.bounds.take_timeout, HOUR),
    ),
    row(
        "http.target.bytes_max",
        "The longest target (path and query) of a request; a longer one gets 414. Holds for new connections.",
        HTTP,
        count(|values| &mut values.http.bounds.target_bytes_max, 256, 16 * 1024, "bytes"),
    ),
    row(
        "http.head.timeout",
        "How long the head of a request may take to come, in HTTP/1.1; then it gets 408. Holds for new connections.",
        HTTP,
        seconds(|values| &mut values.http.bounds.head_timeout, 120),
    ),
    row(
        "http.head.bytes_max",
        "The largest head of a request; a larger one gets 431. Holds for new connections.",
        HTTP,
        count(|values| &mut values.http.bounds.head_bytes_max, 1024, 32 * 1024, "bytes"),
    ),
    row(
        "http.head.fields_max",
        "Fields that the head of a request may have; more of them get 431. Holds for new connections.",
        HTTP,
        count(|values| &mut values.http.bounds.fields_max, 16, 256, "fields"),
    ),
    row(
        "http.body.bytes_max",
        "The largest body of a request to the restaurant that the edge passes on; a larger one gets 413. The \
         restaurant itself takes 64 KiB. A route of roundtrip.toml may say otherwise, and a service of your own has no \
         bound unless its route says so. Holds for new connections.",
        HTTP,
        count(|values| &mut values.http.bounds.body_bytes_max, 1024, 1024 * 1024 * 1024, "bytes"),
    ),
    row(
        "http.body.timeout",
        "How long a request's body may keep the restaurant waiting in all; then it gets 408. Holds for new \
         connections.",
        HTTP,
        seconds(|values| &mut values.http.bounds.body_timeout, HOUR),
    ),
    row(
        "http.body.grace",
        "How long a request's body may keep the restaurant waiting before its rate counts. Holds for new connections.",
        HTTP,
        seconds(|values| &mut values.http.bounds.body_grace, HOUR),
    ),
    row(
        "http.body.rate_min",
        "A body that comes more slowly than this gets 408, before a service of your own too. Holds for new \
         connections.",
        HTTP,
        count(|values| &mut values.http.bounds.body_rate_min, 1, 1_000_000, "bytes/s"),
    ),
    row(
        "http.h2.streams_max",
        "Requests that may be under way at once on one connection of h2; another is refused. Holds for new \
         connections.",
        HTTP,
        count(|values| &mut values.http.bounds.h2_streams_max, 1, 1_000, "streams"),
    ),
    row(
        "http.h2.stream_window",
        "Bytes of one upload that may be on their way before the edge has taken them, in h2. Holds for new \
         connections.",
        HTTP,
        count(|values| &mut values.http.bounds.h2_stream_window, WINDOW_MIN, WINDOW_MAX, "bytes"),
    ),
    row(
        "http.h2.connection_window",
        "The same for all uploads of one connection together. Holds for new connections.",
        HTTP,
        count(|values| &mut values.http.bounds.h2_connection_window, WINDOW_MIN, WINDOW_MAX, "bytes"),
    ),
    row(
        "http.h2.resets_max",
        "Streams that a client of h2 may open and reset before the edge has looked at them (rapid reset). One more \
         ends the connection. Holds for new connections.",
        NETWORK,
        count(|values| &mut values.http.bounds.h2_pending_resets_max, 1, 1_000, "streams"),
    ),
    row(
        "http.h2.given_up_max",
        "Requests that a client may give up on one connection before it has to make a new one. Holds for new \
         connections.",
        NETWORK,
        count(|values| &mut values.http.bounds.h2_given_up_max, 1, 100_000, "requests"),
    ),
    row(
        "http.tunnel.idle_timeout",
        "How long a WebSocket, or another protocol that was agreed on, may be silent both ways. Holds for new \
         connections.",
        HTTP,
        seconds(|values| &mut values.http.bounds.tunnel_idle_timeout, 24 * HOUR),
    ),
];

/// The handshake is the edge's to wait for, and the TLS station's on the line.
pub static TLS_ROWS: &[Row] = &[Row {
    key: "tls.handshake_timeout",
    hop: Hop::Tls,
    help: "How long a client's TLS handshake may take before its connection is closed. Holds for new connections.",
    lessons: &["layer.tls", "sec.network"],
    field: seconds(|values| &mut values.http.bounds.handshake_timeout, 60),
}];

const fn row(key: &'static str, help: &'static str, lessons: &'static [&'static str], field: Field) -> Row {
    Row { key, hop: Hop::Http, help, lessons, field }
}

const fn count(field: fn(&mut Snapshot) -> &mut u64, min: u64, max: u64, unit: &'static str) -> Field {
    Field::Count { field, min, max, unit: Some(unit) }
}

const fn seconds(field: fn(&mut Snapshot) -> &mut Duration, max: u64) -> Field {
    Field::Seconds { field, min: 1, max }
}
