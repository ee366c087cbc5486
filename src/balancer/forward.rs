//! One request to one upstream after another, until one answers.
//!
//! What may be sent again is decided from what is known, never hoped: anything of which nothing was
//! written; a safe request without a body also when the connection broke before the first byte of an
//! answer (RFC 9110, section 9.2.2). Each instance is chosen at most once; one whose
//! kept connection turns out dead is asked again over a new one.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Response};

use super::Balancer;
use super::answer::{Answer, AnswerBody, patience};
use super::connection::{Connection, SendError};
use super::failure::Failure;
use super::timeouts::Timeouts;
use super::upload::{Progress, Upload};
use super::upstream::{InFlight, Upstream};
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::part::{CANDIDATES, FORWARD};
use crate::observe::span::{Span, Status};
use crate::web::probe::{self, HopClaim};
use crate::web::traceparent::{self, TraceParent};

/// Instances asked for one request.
const ATTEMPTS_MAX: usize = 3;

const TRACEPARENT: HeaderName = HeaderName::from_static(traceparent::NAME);
const HOP: HeaderName = HeaderName::from_static(probe::HOP);

/// A request that is still whole after a failed attempt, so that another may have it.
type Whole = Option<Box<Request<Upload>>>;

impl Balancer {
    /// Sends `request` (target in origin-form, `Host` set, hop-by-hop fields gone) and returns as soon as
    /// an answer's head is there. Spans hang beneath `parent`. Dropping the future ends the work upstream.
    pub async fn forward(&self, request: Request<Upload>, parent: &Span) -> Result<Answer, Failure> {
        let mut request = request;
        let mut tried: Vec<usize> = Vec::with_capacity(ATTEMPTS_MAX);
        let mut failure = Failure::NoneLeft;
        while tried.len() < ATTEMPTS_MAX {
            let choosing = parent.child(Hop::Balancer, "Choose an instance");
            let Some(choice) = self.choose(&tried, parent.detailed()) else {
                choosing.status(Status::Error);
                break;
            };
            describe(&choosing, &choice);
            choosing.end();
            tried.push(choice.position);

            let span = parent.child(Hop::Balancer, FORWARD);
            let upstream = &choice.upstream;
            span.attribute("roundtrip.instance", || upstream.id.clone())
                .attribute("roundtrip.balancer.attempt", || tried.len())
                .attribute("server.address", || upstream.address().to_string());
            match self.attempt(upstream, request, &span).await {
                Ok(answer) => return Ok(answer),
                Err((failed, whole)) => {
                    span.status(Status::Error).attribute("error.type", || failed.kind());
                    failure = match (failure, failed) {
                        // That one may have begun is what the client needs to know.
                        (broken @ Failure::Broken { .. }, Failure::Unreachable { .. }) => broken,
                        (_, Failure::Unreachable { .. }) => Failure::Unreachable { tried: tried.len() },
                        (_, other) => other,
                    };
                    match whole {
                        Some(whole) => request = *whole,
                        None => break,
                    }
                }
            }
        }
        Err(failure)
    }

    /// Asks one upstream: over a kept connection, and if that turns out dead, over a new one.
    async fn attempt(
        &self,
        upstream: &Arc<Upstream>,
        mut request: Request<Upload>,
        span: &Span,
    ) -> Result<Answer, (Failure, Whole)> {
        self.address_to(upstream, &mut request, span);
        let in_flight = InFlight::new(upstream);
        let (started, timeouts) = (Tick::now(), &self.0.timeouts);
        if let Some(connection) = upstream.pool.take() {
            let found = Tick::now();
            span.record(Hop::Balancer, "Take a kept connection", started, found);
            span.attribute("http.connection.reused", || true);
            let (spare, progress) = (copy(&request), request.body().progress());
            request = match (exchange(connection, request, upstream, &progress, timeouts.head).await, spare) {
                (Ok((connection, response)), _) => {
                    return Ok(accept(connection, response, in_flight, &progress, timeouts));
                }
                (Err(Failed::Unsent(whole)), _) => *whole,
                // It was closed while the request was on its way: so are the others, most likely.
                (Err(Failed::Broken(_)), Some(spare)) => *spare,
                (Err(failed), _) => return Err(blame(failed, upstream, &progress, started, None)),
            };
            upstream.pool.clear();
            span.record(Hop::Balancer, "Find the kept connection closed", found, Tick::now()).status(Status::Error);
        }
        let opening = span.child(Hop::Balancer, "Open a connection");
        span.attribute("http.connection.reused", || false);
        let connection = match Connection::open(upstream.address()).await {
            Ok(connection) => connection,
            Err(error) => {
                opening.status(Status::Error).attribute("error.message", || error.to_string());
                upstream.connect_failed(Tick::now().since(started));
                return Err((Failure::Unreachable { tried: 1 }, Some(Box::new(request))));
            }
        };
        opening.end();
        let (spare, progress) = (copy(&request), request.body().progress());
        match exchange(connection, request, upstream, &progress, timeouts.head).await {
            Ok((connection, response)) => Ok(accept(connection, response, in_flight, &progress, timeouts)),
            Err(failed) => Err(blame(failed, upstream, &progress, started, spare)),
        }
    }

    /// Writes what this upstream is to know: the span it works beneath, and to our own, whose request it is.
    fn address_to(&self, upstream: &Upstream, request: &mut Request<Upload>, span: &Span) {
        let context = span.trace().context();
        let headers = request.headers_mut();
        // The caller's flag is passed on for those behind us (W3C Trace Context, section 3.2.2.5); what we
        // record ourselves doesn't depend on it.
        let before = headers.get(TRACEPARENT).and_then(|value| TraceParent::parse(value.to_str().ok()?));
        let sampled = context.detail || before.is_some_and(|before| before.sampled);
        let parent = TraceParent { trace_id: context.trace_id, parent: span.id(), sampled };
        set(headers, TRACEPARENT, &parent.to_string());
        if upstream.own {
            let claim = HopClaim { key: context.key, detail: context.detail, bypass_caches: context.bypass_caches };
            set(headers, HOP, &claim.to_header(&self.0.hop_secret));
        } else {
            // A retry may go from an instance of ours to a foreign one.
            headers.remove(HOP);
        }
    }
}

fn set(headers: &mut hyper::HeaderMap, name: HeaderName, value: &str) {
    // Hex, dots and dashes only; a secret that is no header value reaches nobody.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn describe(choosing: &Span, choice: &super::choice::Choice) {
    if let Some(shown) = &choice.shown {
        choosing
            .attribute("roundtrip.balancer.policy", || choice.policy.id())
            .attribute(CANDIDATES, || serde_json::to_value(&shown.candidates).unwrap_or_default())
            .attribute("roundtrip.balancer.why", || shown.why.clone());
    }
}

enum Failed {
    Unsent(Box<Request<Upload>>),
    Broken(String),
    /// The request's body failed, not the upstream.
    Upload,
    TooSlow {
        waited: Duration,
    },
}

async fn exchange(
    mut connection: Connection,
    request: Request<Upload>,
    upstream: &Upstream,
    progress: &Progress,
    head_timeout: Duration,
) -> Result<(Connection, Response<hyper::body::Incoming>), Failed> {
    let sent = tokio::select! {
        biased;
        sent = connection.send(request) => sent,
        () = progress.clone().upstream_overdue(head_timeout) => {
            return Err(Failed::TooSlow { waited: head_timeout });
        }
    };
    match sent {
        // We ask for no upgrade, so 101 makes no sense (RFC 9110, section 15.2.2).
        Ok(response) if response.status().is_informational() => Err(Failed::Broken("it switched protocols".into())),
        Ok(response) => Ok((connection, response)),
        Err(SendError::Unsent(request)) => Err(Failed::Unsent(request)),
        // hyper calls an error of the body that it was given the user's.
        Err(SendError::Broken(error)) if error.is_user() => Err(Failed::Upload),
        Err(SendError::Broken(error)) => {
            log::debug!(target: "balancer", "{} broke off: {error}", upstream.id);
            Err(Failed::Broken(error.to_string()))
        }
    }
}

/// The answer, its cost noted: the time since the upstream had the whole request. An answer that came
/// before that says nothing about how fast it is. A gateway's error statuses count as failures of the
/// upstream's own; other statuses may be what the request deserves.
fn accept(
    connection: Connection,
    response: Response<hyper::body::Incoming>,
    in_flight: InFlight,
    progress: &Progress,
    timeouts: &Timeouts,
) -> Answer {
    let head_at = Tick::now();
    let (head, incoming) = response.into_parts();
    let upstream = Arc::clone(in_flight.upstream());
    let patience = patience(&head.headers, timeouts);
    if let Some(ended_at) = progress.ended_at() {
        upstream.answered(head_at.since(ended_at), !matches!(head.status.as_u16(), 502..=504));
    }
    Answer {
        head,
        body: AnswerBody::new(incoming, patience, connection, in_flight),
        head_at,
        own: upstream.own,
        upstream: upstream.id.clone(),
    }
}

fn blame(failed: Failed, upstream: &Upstream, progress: &Progress, started: Tick, spare: Whole) -> (Failure, Whole) {
    let took = Tick::now().since(progress.ended_at().unwrap_or(started));
    match failed {
        Failed::Unsent(whole) => {
            upstream.connect_failed(took);
            (Failure::Unreachable { tried: 1 }, Some(whole))
        }
        Failed::Broken(reason) => {
            upstream.failed(took);
            (Failure::Broken { upstream: upstream.id.clone(), reason }, spare)
        }
        Failed::Upload => (Failure::Upload, None),
        Failed::TooSlow { waited } => {
            upstream.failed(took);
            (Failure::TooSlow { upstream: upstream.id.clone(), waited }, None)
        }
    }
}

/// A second copy of what may be sent twice: a safe request without a body.
fn copy(request: &Request<Upload>) -> Whole {
    if !request.method().is_safe() || !request.body().is_empty() {
        return None;
    }
    let mut copy = Request::new(Upload::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(Box::new(copy))
}
