//! A trace that the console shows: the joined parts of one request, in microseconds.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::hop::Hop;
use super::ids::{SpanId, TraceId};
use super::kept::Why;
use super::span::{Direction, Status};

/// What a list of journeys shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    pub trace_id: TraceId,
    #[serde(with = "time::serde::rfc3339")]
    pub sent_at: OffsetDateTime,
    pub method: String,
    pub path: String,
    /// The role that a probe was sent as; of any other request, the role of whoever an instance found that it was
    /// from. None: nobody asked.
    #[serde(rename = "as")]
    pub sent_as: Option<String>,
    /// `fresh` or `kept`; None for a request that the console or `probe` did not send.
    pub connection: Option<String>,
    pub status: u16,
    pub total_us: f64,
    /// The furthest hop reached, where the answer turned back.
    pub turn: Hop,
    pub probe: bool,
    /// Keys of the faults that struck, each once, in the order of the way.
    #[serde(default)]
    pub faults: Vec<String>,
    /// What it was counted under: the template of the address, such as `/api/v1/menu/{id}`, or the route to somebody's
    /// own service. None: it took none that is known.
    #[serde(default)]
    pub route: Option<String>,
    /// Why it is kept.
    #[serde(default)]
    pub kept: Why,
}

/// One span, its times counted from the journey's start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JourneySpan {
    pub id: SpanId,
    pub parent: Option<SpanId>,
    pub hop: Hop,
    pub name: String,
    pub start_us: f64,
    pub duration_us: f64,
    pub direction: Direction,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    pub attributes: Map<String, Value>,
}

/// Time at one hop: the sum of its leaf spans.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct HopTime {
    pub us: f64,
    pub reached: bool,
}

/// [`HopTime`] of each hop, in the order of the way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HopTimes {
    pub client: HopTime,
    pub dns: HopTime,
    pub tls: HopTime,
    pub http: HopTime,
    pub balancer: HopTime,
    pub api: HopTime,
    pub service: HopTime,
    pub data: HopTime,
}

impl HopTimes {
    pub fn of_mut(&mut self, hop: Hop) -> &mut HopTime {
        match hop {
            Hop::Client => &mut self.client,
            Hop::Dns => &mut self.dns,
            Hop::Tls => &mut self.tls,
            Hop::Http => &mut self.http,
            Hop::Balancer => &mut self.balancer,
            Hop::Api => &mut self.api,
            Hop::Service => &mut self.service,
            Hop::Data => &mut self.data,
        }
    }
}

/// An instance as the balancer saw it when it chose.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Candidate {
    pub id: String,
    pub address: String,
    pub state: String,
    /// State of its circuit breaker.
    #[serde(default)]
    pub breaker: String,
    /// What slow start leaves of its weight.
    #[serde(default)]
    pub weight: f64,
    pub in_flight: u64,
    /// Peak-EWMA of its response time; None before its first answer.
    pub ewma_us: Option<f64>,
    /// What the policy compared (a rank or a debt: the highest is taken; a cost: the lowest); None where it
    /// compares nothing (round robin), or the instance was not drawn.
    pub score: Option<f64>,
    pub drawn: bool,
    pub chosen: bool,
    pub why: String,
}

/// The side stations that a request touched.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sides {
    /// The edge's own.
    pub edge_cache: Option<CacheSide>,
    /// The instance's.
    pub cache: Option<CacheSide>,
    pub queue: Option<QueueSide>,
    /// Asked while the request waited; the last time, if several.
    #[serde(default)]
    pub supplier: Option<SupplierSide>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CacheSide {
    pub asked: bool,
    pub hit: bool,
    pub bypassed: bool,
    pub us: f64,
    pub key: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueueSide {
    pub ticket: i64,
    pub waiting: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SupplierSide {
    pub item: String,
    /// `delivered`, or why not.
    pub outcome: String,
    pub attempts: i64,
    /// State of the circuit breaker before it.
    pub breaker: String,
    pub us: f64,
}

/// The whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Journey {
    #[serde(flatten)]
    pub summary: Summary,
    pub reason: String,
    pub request_bytes: u64,
    pub response_bytes: u64,
    /// `use` or `bypass`.
    pub caches: String,
    /// Whether every part that was expected came.
    pub complete: bool,
    /// Total less the sum of the leaf spans.
    pub unaccounted_us: f64,
    pub hops: HopTimes,
    pub instances: Vec<Candidate>,
    /// The id of the upstream that answered, if it is somebody's own service: one station, of which only
    /// the time is known.
    #[serde(default)]
    pub your_service: Option<String>,
    pub sides: Sides,
    /// The span of somebody else's that the request came from, if its `traceparent` named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outer: Option<SpanId>,
    /// Ordered by start, parents before children; the first is the root.
    pub spans: Vec<JourneySpan>,
}
