//! Journeys as OTLP, the protocol of OpenTelemetry, says them. Pure: journeys in, bytes out.
//!
//! Exported is what is kept ([`super::kept`]), so a sample. Ids stay as they are: a trace that somebody else began goes
//! on here. Names and attributes follow the semantic conventions for HTTP; what they have no name for is `roundtrip.…`.

pub mod proto;

use std::sync::Arc;

use prost::Message as _;
use serde_json::Value;

use super::hop::Hop;
use super::ids::{SpanId, TraceId};
use super::journey::{Journey, JourneySpan};
use super::metrics::requests::{OTHER_METHOD, known_method};
use super::part::FORWARD;
use super::span::Status;
use proto::{
    Any, AnyValue, ArrayValue, Code, ExportRequest, KeyValue, KeyValueList, Kind, Resource, ResourceSpans, Scope,
    ScopeSpans, Span,
};

/// The version of the semantic conventions that the names are from.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.27.0";
const NAME: &str = "roundtrip";
/// A longer text of one attribute is cut: raw heads and bodies are for the console.
const TEXT_CHARS_MAX: usize = 4_096;
/// Characters of a method that somebody made up.
const METHOD_CHARS_MAX: usize = 32;
const METHOD: &str = "http.request.method";
/// The edge's root.
const SERVE: &str = "Serve the request";

/// The body of one export. `instance` tells apart the processes of this name.
pub fn request(journeys: &[Arc<Journey>], instance: &str) -> Vec<u8> {
    let attributes = vec![
        text("service.name", NAME),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("service.instance.id", instance),
    ];
    let scope = Scope { name: NAME.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let spans = journeys.iter().flat_map(|journey| spans(journey)).collect();
    let request = ExportRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans }],
            schema_url: SCHEMA_URL.to_owned(),
        }],
    };
    request.encode_to_vec()
}

fn spans(journey: &Journey) -> impl Iterator<Item = Span> {
    let began = u64::try_from(journey.summary.sent_at.unix_timestamp_nanos()).unwrap_or_default();
    let nanos = |us: f64| (us.max(0.0) * 1_000.0).round() as u64;
    journey.spans.iter().map(move |span| {
        let start = began.saturating_add(nanos(span.start_us));
        let kind = kind(journey, span);
        Span {
            trace_id: trace_bytes(journey.summary.trace_id),
            span_id: span_bytes(span.id),
            parent_span_id: span.parent.or(journey.outer).map(span_bytes).unwrap_or_default(),
            name: name(journey, span, kind),
            kind: kind.into(),
            start_time_unix_nano: start,
            end_time_unix_nano: start.saturating_add(nanos(span.duration_us)),
            attributes: attributes(journey, span),
            status: Some(status(span)),
        }
    })
}

/// Which side of a call it is.
fn kind(journey: &Journey, span: &JourneySpan) -> Kind {
    let parent = || journey.spans.iter().find(|other| Some(other.id) == span.parent);
    match (span.hop, span.name.as_str()) {
        (Hop::Client, _) if span.parent.is_none() => Kind::Client,
        (Hop::Http, SERVE) => Kind::Server,
        (_, FORWARD) => Kind::Client,
        (Hop::Api, _) if parent().is_some_and(|parent| parent.name == FORWARD) => Kind::Server,
        _ => Kind::Internal,
    }
}

/// Spans of HTTP are named by method and route; ours say what is done, in words of which there are few.
fn name(journey: &Journey, span: &JourneySpan, kind: Kind) -> String {
    let summary = &journey.summary;
    match kind {
        Kind::Server | Kind::Client => {
            // The conventions want `HTTP` for a method that somebody made up.
            let method = match known_method(&summary.method) {
                OTHER_METHOD => "HTTP",
                known => known,
            };
            let route = summary.route.as_ref().filter(|_| kind == Kind::Server);
            route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
        }
        Kind::Unspecified | Kind::Internal => span.name.clone(),
    }
}

fn status(span: &JourneySpan) -> proto::Status {
    let message = ["error.message", "error.type"].iter().find_map(|key| span.attributes.get(*key)?.as_str());
    match span.status {
        Status::Error => proto::Status { message: message.unwrap_or_default().to_owned(), code: Code::Error.into() },
        Status::Ok | Status::Skipped => proto::Status { message: String::new(), code: Code::Unset.into() },
    }
}

fn attributes(journey: &Journey, span: &JourneySpan) -> Vec<KeyValue> {
    // A method is told below, by a name of which there are few.
    let own = span.attributes.iter().filter(|(key, _)| *key != METHOD);
    let mut all: Vec<KeyValue> =
        own.map(|(key, value)| KeyValue { key: key.clone(), value: Some(any(value)) }).collect();
    let mut add = |key: &str, value: Any| {
        if key == METHOD || !span.attributes.contains_key(key) {
            all.push(KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) });
        }
    };
    add("roundtrip.hop", Any::Text(span.hop.id().to_owned()));
    let summary = &journey.summary;
    let whole = span.name == SERVE || span.parent.is_none();
    if whole || span.attributes.contains_key(METHOD) {
        let known = known_method(&summary.method);
        add(METHOD, Any::Text(known.to_owned()));
        if known != summary.method {
            let original = summary.method.chars().take(METHOD_CHARS_MAX).collect();
            add("http.request.method_original", Any::Text(original));
        }
    }
    if whole {
        // A light recording has these on its journey alone.
        add("url.path", Any::Text(summary.path.split('?').next().unwrap_or_default().to_owned()));
        if summary.status > 0 {
            add("http.response.status_code", Any::Integer(summary.status.into()));
        }
        if let Some(route) = &summary.route {
            add("http.route", Any::Text(route.clone()));
        }
    }
    if span.parent.is_none() {
        add("roundtrip.kept", Any::Text(journey.summary.kept.id().to_owned()));
    }
    if let Some(fault) = &span.fault {
        add("roundtrip.fault", Any::Text(fault.clone()));
    }
    if span.status == Status::Skipped {
        add("roundtrip.skipped", Any::Flag(true));
    }
    all
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(Any::Text(value.to_owned())) }) }
}

fn any(value: &Value) -> AnyValue {
    let value = match value {
        Value::Null => None,
        Value::Bool(flag) => Some(Any::Flag(*flag)),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Some(Any::Integer(integer)),
            None => number.as_f64().map(Any::Number),
        },
        Value::String(text) => Some(Any::Text(text.chars().take(TEXT_CHARS_MAX).collect())),
        Value::Array(items) => Some(Any::List(ArrayValue { values: items.iter().map(any).collect() })),
        Value::Object(members) => {
            let pairs = members.iter().map(|(key, value)| KeyValue { key: key.clone(), value: Some(any(value)) });
            Some(Any::Map(KeyValueList { values: pairs.collect() }))
        }
    };
    AnyValue { value }
}

fn trace_bytes(id: TraceId) -> Vec<u8> {
    id.to_bytes().to_vec()
}

fn span_bytes(id: SpanId) -> Vec<u8> {
    id.to_bytes().to_vec()
}
