//! Spans while a request is under way.
//!
//! [`Trace::start`] opens one side's part and returns its first span; [`Span::child`] opens the next.
//! A span ends when it is dropped. One allocation a part; names are static; attributes are computed
//! only for a request that is recorded in full (a probe).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clock::Tick;
use super::hop::Hop;
use super::ids::{SpanId, TraceId};

/// Spans a part has room for before its vector grows: a request passed on takes 8, a placed order about 20.
/// Room for more would be more than the allocator has at hand (glibc keeps pieces of up to 1,032 bytes).
const SPANS_EXPECTED: usize = 10;
/// More than this in one part are not kept: the ring is bounded by spans, too.
pub(super) const SPANS_MAX: usize = 512;

/// Which way the work faces: to the data, back to the client, or after the answer left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    #[default]
    Out,
    Back,
    After,
}

/// How a span ended. `Skipped`: named because it was considered, but not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Ok,
    Error,
    Skipped,
}

/// A finished (or still open: `end` before `start`) span.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub id: SpanId,
    pub parent: Option<SpanId>,
    pub hop: Hop,
    pub name: std::borrow::Cow<'static, str>,
    pub start: Tick,
    pub end: Tick,
    pub direction: Direction,
    pub status: Status,
    /// The key of the fault that struck here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<std::borrow::Cow<'static, str>>,
    pub attributes: Vec<(std::borrow::Cow<'static, str>, Value)>,
}

/// What came with a request: whose trace it is and how much of it is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    pub trace_id: TraceId,
    /// The span on the other side of the socket that this part hangs beneath.
    pub parent: Option<SpanId>,
    /// Joins the parts of one request: the id of our own root span, since anybody can send any trace id.
    pub key: SpanId,
    /// Record headers, SQL, candidates and the like. Only a signed probe turns this on.
    pub detail: bool,
    /// Answer from the source, not from a cache. Only a signed probe turns this on.
    pub bypass_caches: bool,
}

impl Context {
    /// The context of a request that came without one.
    pub fn new_root() -> Self {
        Self { trace_id: TraceId::random(), parent: None, key: SpanId::random(), detail: false, bypass_caches: false }
    }
}

#[derive(Debug)]
struct Shared {
    context: Context,
    first: SpanId,
    spans: Mutex<Vec<Record>>,
}

impl Shared {
    /// A panic elsewhere never costs the trace: its spans are plain values.
    fn spans(&self) -> MutexGuard<'_, Vec<Record>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One side's part of a trace, under construction. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Trace(Arc<Shared>);

impl Trace {
    /// Opens a part whose first span starts at `start`.
    pub fn start(context: Context, first: SpanId, hop: Hop, name: &'static str, start: Tick) -> Span {
        let trace = Trace(Arc::new(Shared { context, first, spans: Mutex::new(Vec::with_capacity(SPANS_EXPECTED)) }));
        trace.open(context.parent, hop, name, start)
    }

    pub fn context(&self) -> Context {
        self.0.context
    }

    /// Takes the spans out; the last call of a part. What is still open ends now.
    pub fn finish(&self) -> Vec<Record> {
        let mut spans = std::mem::take(&mut *self.0.spans());
        let now = Tick::now();
        for span in &mut spans {
            if span.end < span.start {
                span.end = now;
            }
        }
        spans
    }

    /// Time spent in the leaf spans of each hop so far, for `Server-Timing`.
    pub fn time_by_hop(&self) -> Vec<(Hop, std::time::Duration)> {
        let spans = self.0.spans();
        let leaf = |span: &&Record| !spans.iter().any(|other| other.parent == Some(span.id));
        let mut times: Vec<(Hop, std::time::Duration)> = Vec::with_capacity(4);
        for span in spans.iter().filter(leaf) {
            let spent = if span.end < span.start { Tick::now().since(span.start) } else { span.end.since(span.start) };
            match times.iter_mut().find(|(hop, _)| *hop == span.hop) {
                Some((_, sum)) => *sum += spent,
                None => times.push((span.hop, spent)),
            }
        }
        times
    }

    fn open(&self, parent: Option<SpanId>, hop: Hop, name: &'static str, start: Tick) -> Span {
        let mut spans = self.0.spans();
        let index = spans.len();
        if index < SPANS_MAX {
            spans.push(Record {
                id: self.0.first.offset(index),
                parent,
                hop,
                name: name.into(),
                start,
                end: Tick::default(),
                direction: Direction::Out,
                status: Status::Ok,
                fault: None,
                attributes: Vec::new(),
            });
        }
        drop(spans);
        Span { trace: self.clone(), index }
    }
}

/// A piece of work being timed. Ends when dropped.
#[derive(Debug)]
pub struct Span {
    trace: Trace,
    index: usize,
}

impl Span {
    /// Opens a span beneath this one, now.
    pub fn child(&self, hop: Hop, name: &'static str) -> Span {
        self.child_at(hop, name, Tick::now())
    }

    /// Opens a span beneath this one that began at `start`.
    pub fn child_at(&self, hop: Hop, name: &'static str, start: Tick) -> Span {
        self.trace.open(Some(self.id()), hop, name, start)
    }

    /// Records a span beneath this one whose times are known already.
    pub fn record(&self, hop: Hop, name: &'static str, start: Tick, end: Tick) -> Span {
        let span = self.child_at(hop, name, start);
        span.change(|record| record.end = end.max(start));
        span
    }

    pub fn id(&self) -> SpanId {
        self.trace.0.first.offset(self.index)
    }

    /// Hangs what another part of the same trace recorded beneath this span, as time of `hop`: what a hop does
    /// to call another service is that hop's time, whatever it is made of.
    pub fn adopt(&self, spans: Vec<Record>, hop: Hop) {
        let parent = self.id();
        let mut own = self.trace.0.spans();
        let room = SPANS_MAX.saturating_sub(own.len());
        own.extend(spans.into_iter().take(room).map(|span| Record {
            hop,
            parent: span.parent.or(Some(parent)),
            ..span
        }));
    }

    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Whether attributes are recorded for this request.
    pub fn detailed(&self) -> bool {
        self.trace.0.context.detail
    }

    /// Whether this request asked to be answered from the source.
    pub fn bypass_caches(&self) -> bool {
        self.trace.0.context.bypass_caches
    }

    /// Adds an attribute (OpenTelemetry's names), computed only when this request is recorded in full.
    pub fn attribute<V: Into<Value>>(&self, key: &'static str, value: impl FnOnce() -> V) -> &Self {
        if self.detailed() {
            let value = value().into();
            self.change(|record| record.attributes.push((key.into(), value)));
        }
        self
    }

    pub fn direction(&self, direction: Direction) -> &Self {
        self.change(|record| record.direction = direction);
        self
    }

    pub fn status(&self, status: Status) -> &Self {
        self.change(|record| record.status = status);
        self
    }

    /// A fault struck here; kept for every request, not only for those recorded in full.
    pub fn fault(&self, key: &'static str) -> &Self {
        self.change(|record| record.fault = Some(key.into()));
        self
    }

    /// Ends the span now. Dropping does the same; this says it.
    pub fn end(self) {}

    /// Ends the span at a moment already measured.
    pub fn end_at(self, end: Tick) {
        self.change(|record| record.end = end.max(record.start));
    }

    fn change(&self, with: impl FnOnce(&mut Record)) {
        if let Some(record) = self.trace.0.spans().get_mut(self.index) {
            with(record);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.change(|record| {
            if record.end < record.start {
                record.end = Tick::now();
            }
        });
    }
}
