//! The first and the last to see a request in an instance: checks that it is from our edge and that it
//! may act for the person whose cookie it carries, opens the instance's part of the trace, and
//! sends that off when the answer is made.

use std::cell::Cell;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use super::{Shared, State, answer, faults};
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::ids::SpanId;
use crate::observe::part::{InstancePart, Part};
use crate::observe::span::{Context, Direction, Span, Trace};
use crate::web::cookie;
use crate::web::origin::{Provenance, may_act};
use crate::web::probe::{HOP, HopClaim};
use crate::web::problem::Problem;
use crate::web::respond::{self, header};
use crate::web::traceparent::{NAME as TRACEPARENT, TraceParent};

/// The first span of an instance's part, for the handler's to hang beneath; and when it began.
pub struct Root {
    pub span: Span,
    pub started: Tick,
    /// When a handler refused: what follows is writing the problem document.
    pub refused_at: Cell<Option<Tick>>,
    /// Of whoever sent it, once somebody asked.
    pub role: Cell<Option<&'static str>>,
}

pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Tick::now();
    let Some(state) = request.app_data::<web::Data<State>>().cloned() else {
        return Err(actix_web::error::ErrorInternalServerError("no state"));
    };
    let claim = header(request.headers(), HOP).and_then(|value| HopClaim::verify(value, &state.hop_secret));
    let Some(claim) = claim else {
        let problem = Problem::new(
            Hop::Api,
            403,
            "not-from-the-edge",
            "Not from the edge",
            "This instance answers only to its own edge. Send the request there.",
        );
        return Ok(finish_headers(request.into_response(respond::problem(&problem))));
    };
    let span = open(&request, &claim, started, &state);
    let root = Shared::new(Root { span, started, refused_at: Cell::default(), role: Cell::default() });
    request.extensions_mut().insert(Shared::clone(&root));

    let response = if forged(&request) {
        let problem = Problem::new(
            Hop::Api,
            403,
            "cross-origin",
            "Not from this page",
            "A request that changes something must come from this site's own pages. Reload the page and try again.",
        );
        request.into_response(respond::problem(&problem))
    } else if let Some(instead) = faults::instead(&request, &state, &root.span).await {
        request.into_response(instead)
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let mut response = finish_headers(response);
    if let Some(at) = root.refused_at.get() {
        let writing = root.span.record(Hop::Api, answer::WRITING, at, Tick::now());
        writing.direction(Direction::Back);
    }
    root.span.attribute("http.response.status_code", || response.status().as_u16());
    let trace = root.span.trace().clone();
    if !response.request().path().ends_with("/session")
        && let Ok(value) = HeaderValue::from_str(&server_timing(&trace))
    {
        response.headers_mut().insert(HeaderName::from_static("server-timing"), value);
    }
    response.request().extensions_mut().remove::<Shared<Root>>();
    let role = root.role.get();
    drop(root);
    state.recorder.submit(Part::Instance(InstancePart { key: claim.key, role, spans: trace.finish() }));
    Ok(response)
}

/// The instance's part, beneath the edge's attempt that the `traceparent` names.
fn open(request: &ServiceRequest, claim: &HopClaim, started: Tick, state: &State) -> Span {
    let parent = header(request.headers(), TRACEPARENT).and_then(TraceParent::parse);
    let context = Context {
        parent: parent.map(|parent| parent.parent),
        key: claim.key,
        detail: claim.detail,
        bypass_caches: claim.bypass_caches,
        ..parent.map_or_else(Context::new_root, |parent| Context { trace_id: parent.trace_id, ..Context::new_root() })
    };
    let span = Trace::start(context, SpanId::random(), Hop::Api, "Answer the request", started);
    span.attribute("roundtrip.instance", || state.home.instance())
        .attribute("service.version", || state.home.version())
        .attribute("http.request.method", || request.method().as_str())
        .attribute("url.path", || request.path());
    span
}

/// Whether somebody else's page sent this with our visitor's cookie.
fn forged(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    let own_origin = format!("https://{}", header(headers, "host").unwrap_or_default());
    !may_act(Provenance {
        method: request.method().as_str(),
        has_cookie: header(headers, "cookie").is_some_and(|cookies| cookies.contains(cookie::BISTRO)),
        sec_fetch_site: header(headers, "sec-fetch-site"),
        origin: header(headers, "origin"),
        own_origin: &own_origin,
    })
}

fn finish_headers(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    respond::finish(response.headers_mut());
    response
}

/// `Server-Timing` (W3C), so that the browser's own network panel shows the hops.
fn server_timing(trace: &Trace) -> String {
    let entries = trace.time_by_hop().into_iter();
    entries
        .map(|(hop, time)| format!("{};dur={:.3}", hop.id(), time.as_secs_f64() * 1e3))
        .collect::<Vec<_>>()
        .join(", ")
}
