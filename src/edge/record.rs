//! One exchange, from the request's head to the answer's last byte: its spans, its facts, and the one part
//! that the recorder gets of it, however it ends.

use std::fmt::{Display, Write as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderValue, REFERER, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Version};
use time::OffsetDateTime;

use super::Shared;
use super::body::Progress;
use super::connection::ConnInfo;
use super::offer::Offer;
use super::site::Rules;
use crate::balancer::answer::Answer;
use crate::observe::clock::Tick;
use crate::observe::failure::Failure;
use crate::observe::hop::Hop;
use crate::observe::ids::{SpanId, TraceId};
use crate::observe::log::access::Entry;
use crate::observe::metrics::Served;
use crate::observe::part::{EdgePart, Part};
use crate::observe::span::{Context, Direction, Span, Status, Trace};
use crate::web::probe::{self, Probe};
use crate::web::traceparent::{self, TraceParent};

/// The client left before its answer was complete (nginx's status; never sent).
const CLIENT_GONE: u16 = 499;
/// The edge closed the connection without an answer (nginx's status; never sent).
const NO_ANSWER: u16 = 444;
/// What the times of four hops take, written out.
const SERVER_TIMING_BYTES: usize = 96;

/// Who gave the answer.
#[derive(Debug)]
pub enum By {
    Edge,
    /// An instance of ours, by its id: it writes a part of this trace.
    Instance(String),
    /// An upstream of somebody's own, by its id.
    YourService(String),
}

impl By {
    pub fn of(answer: &Answer) -> Self {
        let id = answer.upstream.clone();
        if answer.own { By::Instance(id) } else { By::YourService(id) }
    }
}

#[derive(Debug)]
pub struct Exchange {
    shared: Arc<Shared>,
    info: Arc<ConnInfo>,
    /// Whether it is over, and its part submitted.
    over: bool,
    root: Span,
    /// The last leaf, from the head's handing over on.
    sending: Option<Span>,
    started: Tick,
    started_at: OffsetDateTime,
    probe: bool,
    tells_times: bool,
    method: String,
    path: String,
    status: u16,
    instance_parts: usize,
    your_service: Option<String>,
    /// The route that it took, if that leads to somebody's own service.
    route: Option<Arc<str>>,
    /// Who answered, if it was an instance of ours.
    instance: Option<String>,
    /// What the edge's cache did; None: it was not asked.
    cache: Option<&'static str>,
    client: IpAddr,
    version: Version,
    referrer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    upload: Option<Arc<Progress>>,
    response_bytes: u64,
    /// It got no answer, or one that broke off.
    broken: Option<Failure>,
    /// A stream or a tunnel, which ends when its client likes: until its head was on its way.
    until_head: Option<Duration>,
}

impl Exchange {
    pub fn begin(shared: &Arc<Shared>, info: &Arc<ConnInfo>, request: &Parts, started: Tick) -> Self {
        let started_at = OffsetDateTime::now_utc();
        let first = SpanId::random();
        let (context, probe) = context(&request.headers, first, started_at, shared);
        let root = Trace::start(context, first, Hop::Http, "Serve the request", started);
        let streams = info.begin();
        if let Some(handshake) = info.first_handshake() {
            handshake.record(&root);
        }
        root.attribute("http.request.method", || request.method.as_str())
            .attribute("url.path", || request.uri.path())
            .attribute("network.peer.address", || info.peer.ip().to_string())
            .attribute("network.protocol.version", || protocol_version(request.version));
        if request.version == Version::HTTP_2 {
            root.attribute("roundtrip.http.streams", || streams);
        }
        Self {
            shared: Arc::clone(shared),
            info: Arc::clone(info),
            over: false,
            root,
            sending: None,
            started,
            started_at,
            probe,
            tells_times: false,
            method: request.method.as_str().to_owned(),
            path: request.uri.path().to_owned(),
            status: CLIENT_GONE,
            instance_parts: 0,
            your_service: None,
            route: None,
            instance: None,
            cache: None,
            client: info.peer.ip(),
            version: request.version,
            referrer: request.headers.get(REFERER).cloned(),
            user_agent: request.headers.get(USER_AGENT).cloned(),
            upload: None,
            response_bytes: 0,
            broken: None,
            until_head: None,
        }
    }

    pub fn root(&self) -> &Span {
        &self.root
    }

    /// Who the client is, where a proxy of ours stands before us.
    pub fn client_is(&mut self, client: IpAddr) {
        self.client = client;
        self.root.attribute("client.address", || client.to_string());
    }

    /// Its answer, as something that waits for the client.
    pub fn offer(&self) -> Arc<Offer> {
        self.info.offer()
    }

    /// What the edge's cache did, in the words of `Cache-Status`; None: it was not asked.
    pub fn cache_did(&mut self, what: Option<&'static str>) {
        self.cache = what;
    }

    pub fn uploads(&mut self, progress: Arc<Progress>) {
        self.upload = Some(progress);
    }

    /// Whether the client's body was read to its end.
    pub fn has_read_upload(&self) -> bool {
        self.upload.as_ref().is_some_and(|upload| upload.has_ended())
    }

    /// The route is known, and with it what may be told.
    pub fn takes(&mut self, rules: &Rules) {
        self.tells_times = rules.tells_times;
        self.route.clone_from(&rules.counted_as);
    }

    /// Whether times may be told: not before the route is known, and not if its rules forbid it.
    pub fn tells_times(&self) -> bool {
        self.tells_times
    }

    /// The times so far, as `Server-Timing` says them (milliseconds).
    pub fn server_timing(&self) -> String {
        let mut text = String::with_capacity(SERVER_TIMING_BYTES);
        for (hop, time) in self.root.trace().time_by_hop() {
            let between = if text.is_empty() { "" } else { ", " };
            let us = (time.as_nanos() + 500) / 1_000;
            // Writing to a string does not fail.
            let _ = write!(text, "{between}{};dur={}.{:03}", hop.id(), us / 1_000, us % 1_000);
        }
        text
    }

    /// The head is on its way. `endless`: what follows goes on for as long as the client likes.
    pub fn head_sent(&mut self, status: u16, by: By, endless: bool) {
        self.status = status;
        match by {
            By::Edge => {}
            By::Instance(id) => {
                self.instance_parts = 1;
                self.instance = Some(id);
            }
            By::YourService(id) => self.your_service = Some(id),
        }
        self.root.attribute("http.response.status_code", || status);
        if status >= 500 {
            self.root.status(Status::Error);
        }
        let sending = self.root.child(Hop::Http, "Send the answer");
        sending.direction(if endless { Direction::After } else { Direction::Back });
        self.until_head = endless.then(|| Tick::now().since(self.started));
        self.sending = Some(sending);
    }

    pub fn count(&mut self, bytes: usize) {
        self.response_bytes += bytes as u64;
    }

    /// The answer broke off in the middle: the upstream's, and so ours.
    pub fn truncated(&mut self, error: &dyn Display) {
        self.broken = Some(Failure::BrokenOff);
        self.root.status(Status::Error).attribute("error.type", || "truncated");
        let trace_id = self.root.trace().context().trace_id;
        log::info!(target: "edge", trace_id:%; "{} {}: the answer broke off: {error}", self.method, self.path);
    }

    /// All of the answer has been handed over.
    pub fn delivered(mut self) {
        self.close(true);
    }

    /// It gets no answer, on purpose.
    pub fn reset(mut self) {
        (self.status, self.broken) = (NO_ANSWER, Some(Failure::NoAnswer));
        self.root.status(Status::Error).attribute("error.type", || "reset");
        self.close(true);
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    fn close(&mut self, complete: bool) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        if !complete && self.broken.is_none() {
            self.info.given_up();
            // It is the client that ends a stream.
            if self.until_head.is_none() {
                self.status = CLIENT_GONE;
                self.root.status(Status::Error).attribute("error.type", || "client_gone");
            }
        }
        let Context { trace_id, key, .. } = self.root.trace().context();
        let now = Tick::now();
        let took = self.until_head.unwrap_or_else(|| now.since(self.started));
        let request_bytes = self.upload.as_ref().map_or(0, |upload| upload.bytes());
        let counted = self.shared.recorder.metrics().served(&Served {
            method: &self.method,
            path: &self.path,
            route: self.route.as_ref(),
            status: self.status,
            failure: self.failure(),
            took,
            request_bytes,
            response_bytes: self.response_bytes,
        });
        self.shared.recorder.access().record(now, self.failure(), || self.logged(now, trace_id));
        self.shared.recorder.submit(Part::Edge(EdgePart {
            trace_id,
            key,
            probe: self.probe,
            started_at: self.started_at,
            method: std::mem::take(&mut self.method),
            path: std::mem::take(&mut self.path),
            status: self.status,
            failure: self.failure(),
            took,
            counted: Some(counted),
            instance_parts: self.instance_parts,
            your_service: self.your_service.take(),
            request_bytes,
            response_bytes: self.response_bytes,
            // The root and what is still being sent end with this, at one moment.
            spans: self.root.trace().finish(),
        }));
        self.info.end();
    }
}

impl Exchange {
    fn failure(&self) -> Option<Failure> {
        self.broken.or(Failure::of_status(self.status))
    }

    fn logged(&self, now: Tick, trace_id: TraceId) -> Entry<'_> {
        Entry {
            client: self.client,
            started_at: self.started_at,
            method: &self.method,
            path: &self.path,
            version: protocol_version(self.version),
            status: self.status,
            failure: self.failure(),
            bytes: self.response_bytes,
            took: now.since(self.started),
            referrer: self.referrer.as_ref().map(HeaderValue::as_bytes),
            user_agent: self.user_agent.as_ref().map(HeaderValue::as_bytes),
            trace_id,
            upstream: self.instance.as_deref().or(self.your_service.as_deref()),
            cache: self.cache,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.close(false);
    }
}

/// Whose trace it is, and whether a probe of ours asks for a full recording. An outsider's sampled flag
/// buys nothing.
fn context(headers: &HeaderMap, first: SpanId, now: OffsetDateTime, shared: &Shared) -> (Context, bool) {
    let parent = trace_parent(headers);
    let trace_id = parent.map_or_else(TraceId::random, |parent| parent.trace_id);
    let claim = headers.get(probe::PROBE).and_then(|value| value.to_str().ok());
    let now_unix_s = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    let probe = claim.and_then(|claim| Probe::verify(claim, trace_id, now_unix_s, &shared.probe_key));
    let context = Context {
        trace_id,
        parent: parent.map(|parent| parent.parent),
        key: probe.map_or(first, |probe| probe.key),
        detail: probe.is_some(),
        bypass_caches: probe.is_some_and(|probe| probe.bypass_caches),
    };
    (context, probe.is_some())
}

/// The one valid `traceparent`; two are none (W3C Trace Context, section 3.2).
pub fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all(traceparent::NAME).iter();
    let (first, second) = (values.next()?, values.next());
    if second.is_some() { None } else { TraceParent::parse(first.to_str().ok()?) }
}

fn protocol_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
