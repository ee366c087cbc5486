//! One attempt: one upstream, over a kept connection, and if that turns out dead, over a new one.

use std::error::Error;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response};

use super::answer::{Answer, AnswerBody, is_event_stream};
use super::connection::{ConnectError, Connection, SendError};
use super::distance;
use super::failure::Failure;
use super::in_flight::InFlight;
use super::upgrade::Switched;
use super::upload::{Progress, Replay, Upload};
use super::upstream::{Outcome, Upstream};
use super::{Balancer, expect, framing, upgrade};
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::span::{Span, Status};
use crate::settings::balancer::BalancerSettings;
use crate::web::probe::{self, HopClaim};
use crate::web::traceparent::{self, TraceParent};

const TRACEPARENT: HeaderName = HeaderName::from_static(traceparent::NAME);
const HOP: HeaderName = HeaderName::from_static(probe::HOP);

/// How long an attempt may take.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    pub rules: &'a BalancerSettings,
    /// Until the request's deadline; None without one.
    pub left: Option<Duration>,
    /// What a byte takes to the upstream or back.
    pub one_way: Duration,
}

impl Bounds<'_> {
    fn at_most(&self, patience: Duration) -> Duration {
        self.left.map_or(patience, |left| left.min(patience))
    }

    /// Whether an attempt gets less time than a first one would: being late then is no upstream's fault.
    fn cuts(&self, patience: Duration) -> bool {
        self.left.is_some_and(|left| left < patience.min(self.rules.timeouts.deadline))
    }
}

/// An attempt without an answer.
pub struct Lost {
    pub failure: Failure,
    /// The request's body, if nothing of the request was written.
    pub whole: Option<Upload>,
    /// Time that counts against the deadline.
    pub spent: Duration,
}

impl Balancer {
    /// Asks one upstream. With the answer comes the time that counts against the deadline.
    pub(super) async fn attempt(
        &self,
        head: &Parts,
        mut upload: Upload,
        mut in_flight: InFlight,
        replay: Option<&Replay>,
        bounds: Bounds<'_>,
        span: &Span,
    ) -> Result<(Answer, Duration), Lost> {
        let upstream = std::sync::Arc::clone(in_flight.upstream());
        let started = Tick::now();
        if let Some(connection) = upstream.pool.take() {
            let found = Tick::now();
            span.record(Hop::Balancer, "Take a kept connection", started, found);
            span.attribute("http.connection.reused", || true);
            let progress = upload.progress();
            let request = self.addressed(head, upload, &upstream, span);
            upload = match Box::pin(exchange(connection, request, &upstream, &progress, bounds)).await {
                Ok((connection, response)) => {
                    distance::record(bounds.one_way, span, found, Tick::now());
                    return Ok(accept(connection, response, in_flight, &progress, started, bounds));
                }
                Err(Failed::Unsent(whole)) => whole,
                Err(failed) => match (failed, replay.and_then(Replay::again)) {
                    // It was closed while the request was on its way (RFC 9112, section 9.3.1): so are the
                    // others, most likely.
                    (Failed::Closed(_), Some(again)) => again,
                    (failed, _) => return Err(blame(failed, &mut in_flight, &progress, started, bounds)),
                },
            };
            upstream.pool.clear();
            span.record(Hop::Balancer, "Find the kept connection closed", found, Tick::now()).status(Status::Error);
        }
        distance::there_and_back(bounds.one_way, span).await;
        let opening = span.child(Hop::Balancer, "Open a connection");
        span.attribute("http.connection.reused", || false);
        let (target, addresses) = upstream.place();
        let patience = bounds.at_most(bounds.rules.timeouts.connect);
        // In a box, for it is large, and most requests find a connection.
        let connection = match Box::pin(Connection::open(&target, &addresses, patience)).await {
            Ok(connection) => connection,
            Err(error) => {
                opening.status(Status::Error).attribute("error.message", || error.to_string());
                return Err(not_connected(error, upload, &mut in_flight, started, bounds));
            }
        };
        opening.end();
        let opened = Tick::now();
        let progress = upload.progress();
        let request = self.addressed(head, upload, &upstream, span);
        match Box::pin(exchange(connection, request, &upstream, &progress, bounds)).await {
            Ok((connection, response)) => {
                distance::record(bounds.one_way, span, opened, Tick::now());
                Ok(accept(connection, response, in_flight, &progress, started, bounds))
            }
            Err(failed) => Err(blame(failed, &mut in_flight, &progress, started, bounds)),
        }
    }

    /// The request with what this upstream is to know: the span it works beneath, and to our own, whose request
    /// it is.
    fn addressed(&self, head: &Parts, upload: Upload, upstream: &Upstream, span: &Span) -> Request<Upload> {
        let context = span.trace().context();
        let mut request = Request::from_parts(head.clone(), upload);
        let headers = request.headers_mut();
        // The caller's flag is passed on for those behind us (W3C Trace Context, section 3.2.2.5); what we
        // record ourselves doesn't depend on it.
        let before = headers.get(TRACEPARENT).and_then(|value| TraceParent::parse(value.to_str().ok()?));
        let sampled = context.detail || before.is_some_and(|before| before.sampled);
        let parent = TraceParent { trace_id: context.trace_id, parent: span.id(), sampled };
        set(headers, TRACEPARENT, &parent.to_bytes());
        if upstream.own {
            let claim = HopClaim { key: context.key, detail: context.detail, bypass_caches: context.bypass_caches };
            set(headers, HOP, claim.to_header(self.0.hop_secret()).as_bytes());
        }
        expect::announce(&mut request);
        request
    }
}

fn set(headers: &mut hyper::HeaderMap, name: HeaderName, value: &[u8]) {
    // Hex, dots and dashes only; a secret that is no header value reaches nobody.
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
}

enum Failed {
    Unsent(Upload),
    /// Before a byte of an answer came.
    Closed(String),
    Broken(String),
    /// The request's body failed, not the upstream.
    Upload,
    TooSlow {
        waited: Duration,
    },
}

/// Sends at once, so that what is waited in has no room for the request.
fn exchange<'a>(
    mut connection: Connection,
    request: Request<Upload>,
    upstream: &'a Upstream,
    progress: &'a Progress,
    bounds: Bounds<'a>,
) -> impl Future<Output = Result<(Connection, Response<Incoming>), Failed>> + 'a {
    let switching = upgrade::is_asked(request.headers());
    connection.is_away(bounds.one_way);
    let sent = connection.send(request);
    async move {
        let patience = bounds.at_most(bounds.rules.timeouts.head);
        let overdue = progress.upstream_overdue(patience, bounds.left, connection.alarm());
        let sent = tokio::select! {
            biased;
            sent = sent => sent,
            () = overdue => return Err(Failed::TooSlow { waited: patience }),
        };
        judge(sent, switching, upstream).map(|response| (connection, response))
    }
}

fn judge(
    sent: Result<Response<Incoming>, SendError>,
    switching: bool,
    upstream: &Upstream,
) -> Result<Response<Incoming>, Failed> {
    match sent {
        Ok(response) if upgrade::is_unasked(&response, switching) => {
            Err(Failed::Broken("it switched protocols".into()))
        }
        Ok(response) => match framing::doubt(response.headers()) {
            Some(doubt) => Err(Failed::Broken(doubt.into())),
            None => Ok(response),
        },
        Err(SendError::Unsent(upload)) => Err(Failed::Unsent(upload)),
        // hyper calls an error of the body that it was given the user's.
        Err(SendError::Closed(error) | SendError::Broken(error)) if error.is_user() => Err(Failed::Upload),
        Err(SendError::Closed(error)) => Err(Failed::Closed(in_words(&error, upstream))),
        Err(SendError::Broken(error)) => Err(Failed::Broken(in_words(&error, upstream))),
    }
}

/// hyper says "connection error"; what kind of one, its source says.
fn in_words(error: &hyper::Error, upstream: &Upstream) -> String {
    let reason = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    log::debug!(target: "balancer", "{} broke off: {reason}", upstream.id());
    reason
}

/// Time that counts against the deadline: not while the client is waited for.
fn spent(progress: &Progress, started: Tick) -> Duration {
    let now = Tick::now();
    now.since(started).saturating_sub(progress.waited_for_client(now))
}

/// The answer, its cost noted: the time since the upstream had the whole request. An answer that came
/// before that says nothing about how fast it is.
fn accept(
    connection: Connection,
    mut response: Response<Incoming>,
    mut in_flight: InFlight,
    progress: &Progress,
    started: Tick,
    bounds: Bounds<'_>,
) -> (Answer, Duration) {
    let head_at = Tick::now();
    progress.answered();
    let upstream = std::sync::Arc::clone(in_flight.upstream());
    let rtt = progress.ended_at().map(|ended_at| head_at.since(ended_at));
    let events = is_event_stream(response.headers());
    match response.status().as_u16() {
        status @ 500.. => in_flight.ended(Outcome::Status(status), rtt.unwrap_or_default(), bounds.rules),
        status => {
            in_flight.answered(rtt);
            // What goes on for hours tells how it went when it begins: a trial is not to last as long.
            if events || status == 101 {
                in_flight.finished();
            }
        }
    }
    let (lease, switched) = match Switched::take(&mut response, connection, in_flight) {
        Ok(switched) => (None, Some(switched)),
        Err(lease) => (Some(lease), None),
    };
    let (head, incoming) = response.into_parts();
    let timeouts = &bounds.rules.timeouts;
    let patience = if events { timeouts.between_events } else { timeouts.between_bytes };
    let answer = Answer {
        head,
        body: AnswerBody::new(incoming, patience, lease),
        switched,
        head_at,
        own: upstream.own,
        upstream: upstream.id(),
        stick_to: None,
    };
    (answer, spent(progress, started))
}

fn not_connected(
    error: ConnectError,
    upload: Upload,
    in_flight: &mut InFlight,
    started: Tick,
    bounds: Bounds<'_>,
) -> Lost {
    let spent = Tick::now().since(started);
    let blameless = match error {
        ConnectError::Ours(_) => true,
        ConnectError::Late(_) => bounds.cuts(bounds.rules.timeouts.connect),
        ConnectError::Unreachable(_) | ConnectError::Certificate(_) => false,
    };
    if !blameless {
        in_flight.connect_failed(spent, &error.to_string(), bounds.rules);
    }
    let upstream = in_flight.upstream().id();
    let failure = match error {
        ConnectError::Unreachable(reason) | ConnectError::Late(reason) | ConnectError::Ours(reason) => {
            Failure::Unreachable { upstream, reason, tried: 1 }
        }
        ConnectError::Certificate(reason) => Failure::Certificate { upstream, reason },
    };
    Lost { failure, whole: Some(upload), spent }
}

fn blame(failed: Failed, in_flight: &mut InFlight, progress: &Progress, started: Tick, bounds: Bounds<'_>) -> Lost {
    let took = Tick::now().since(progress.ended_at().unwrap_or(started));
    let spent = spent(progress, started);
    let upstream = in_flight.upstream().id();
    let (failure, whole) = match failed {
        Failed::Unsent(whole) => {
            let reason = "the connection was closed as soon as it was open";
            in_flight.connect_failed(took, reason, bounds.rules);
            (Failure::Unreachable { upstream, reason: reason.to_owned(), tried: 1 }, Some(whole))
        }
        Failed::Closed(reason) | Failed::Broken(reason) => {
            in_flight.ended(Outcome::Broken, took, bounds.rules);
            (Failure::Broken { upstream, reason }, None)
        }
        Failed::Upload => (Failure::Upload, None),
        Failed::TooSlow { waited } => {
            if !bounds.cuts(bounds.rules.timeouts.head) {
                in_flight.ended(Outcome::TooSlow, took, bounds.rules);
            }
            (Failure::TooSlow { upstream, waited }, None)
        }
    };
    Lost { failure, whole, spent }
}
