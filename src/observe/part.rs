//! What each side of a socket hands to the recorder when it is done with a request.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::clock::Tick;
use super::failure::Failure;
use super::ids::{SpanId, TraceId};
use super::metrics::requests::Key;
use super::span::Record;

/// The statements that a step of the data hop ran, each with how often.
pub const STATEMENT_RUNS: &str = "roundtrip.data.runs";
/// On a step and on the root: reads that this request ran so often that one statement should do (N+1).
pub const REPEATED_READS: &str = "roundtrip.data.repeated";

/// The client's part. Its first span is the journey's root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientPart {
    pub trace_id: TraceId,
    /// The root span's id, which the signed probe header carried.
    pub key: SpanId,
    #[serde(with = "time::serde::rfc3339")]
    pub sent_at: OffsetDateTime,
    pub method: String,
    pub path: String,
    #[serde(rename = "as")]
    pub sent_as: Option<String>,
    /// Whether the connection was a new one.
    pub fresh: bool,
    pub bypass_caches: bool,
    /// 0 when no answer came.
    pub status: u16,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub spans: Vec<Record>,
}

/// The edge's part: it lists its attempts, so that completeness is known.
#[derive(Debug, Clone)]
pub struct EdgePart {
    pub trace_id: TraceId,
    pub key: SpanId,
    /// Whether a client's part with the same key will follow (a signed probe).
    pub probe: bool,
    pub started_at: OffsetDateTime,
    pub method: String,
    pub path: String,
    pub status: u16,
    /// Why it failed; None: it did not.
    pub failure: Option<Failure>,
    /// Until its answer was over. A stream or a tunnel goes on for as long as its client likes: of these, until the
    /// answer's head.
    pub took: Duration,
    /// Under what it was counted; None for what the edge did on its own account.
    pub counted: Option<Key>,
    /// Instances of ours that answered, each of which writes a part.
    pub instance_parts: usize,
    /// The upstream that answered, if it is somebody's own service: it writes no part.
    pub your_service: Option<String>,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub spans: Vec<Record>,
}

/// An instance's part.
#[derive(Debug, Clone)]
pub struct InstancePart {
    pub key: SpanId,
    /// The role of whoever sent it; None: nobody asked.
    pub role: Option<&'static str>,
    pub spans: Vec<Record>,
}

/// What the DNS server did with one query. Joined to the client's span by source port and query id.
#[derive(Debug, Clone)]
pub struct DnsPart {
    pub source_port: u16,
    pub query_id: u16,
    pub start: Tick,
    pub end: Tick,
    /// The key of the fault that struck.
    pub fault: Option<&'static str>,
    pub attributes: Vec<(Cow<'static, str>, Value)>,
}

/// Work that no request waits for, whole: its trace has one side.
#[derive(Debug, Clone)]
pub struct WorkPart {
    pub trace_id: TraceId,
    pub started_at: OffsetDateTime,
    /// What it was about, such as a ticket's number.
    pub subject: String,
    /// Its first span names it and says how it ended.
    pub spans: Vec<Record>,
}

/// One side's part.
#[derive(Debug, Clone)]
pub enum Part {
    Client(ClientPart),
    Edge(EdgePart),
    Instance(InstancePart),
    Dns(DnsPart),
    Work(WorkPart),
}

/// Attribute of a client's DNS span with which the server's record is found.
pub const DNS_QUERY_ID: &str = "dns.id";
/// Likewise: the port the query was sent from.
pub const DNS_SOURCE_PORT: &str = "network.local.port";
/// The edge's span of one attempt at an upstream.
pub const FORWARD: &str = "Forward to an instance";
/// Attribute of the edge's choosing span: the candidates (a list of [`super::journey::Candidate`]).
pub const CANDIDATES: &str = "roundtrip.balancer.candidates";
/// Attributes of a cache's span: the data layer's, or with [`CACHE_WHERE`] the edge's.
pub const CACHE_KEY: &str = "roundtrip.cache.key";
pub const CACHE_HIT: &str = "roundtrip.cache.hit";
pub const CACHE_BYPASSED: &str = "roundtrip.cache.bypassed";
pub const CACHE_WHERE: &str = "roundtrip.cache.where";
/// Attributes of the service's span that queues a ticket.
pub const QUEUE_TICKET: &str = "roundtrip.queue.ticket";
pub const QUEUE_WAITING: &str = "roundtrip.queue.waiting";
/// Attributes of the service's span in which the supplier is asked.
pub const SUPPLIER_ITEM: &str = "roundtrip.supplier.item";
pub const SUPPLIER_OUTCOME: &str = "roundtrip.supplier.outcome";
pub const SUPPLIER_ATTEMPTS: &str = "roundtrip.supplier.attempts";
pub const SUPPLIER_BREAKER: &str = "roundtrip.supplier.breaker";
