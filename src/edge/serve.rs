//! One request: check, forward, answer.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Uri, Version};

use super::Shared;
use super::body::{EdgeBody, Progress, Trouble, UploadBody};
use super::check::{self, Refusal};
use super::connection::ConnInfo;
use super::framing::HeadFacts;
use super::headers::{self, Origin};
use super::hsts::Promise;
use super::record::{self, Exchange};
use crate::balancer::answer::Answer;
use crate::balancer::failure::Failure;
use crate::balancer::upload::Upload;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::span::{Direction, Span, Status};
use crate::web::headers::{ALWAYS, API_CSP};
use crate::web::problem::{self, Problem};

/// Answers one request. Dropped when the client leaves, and the work upstream with it.
pub async fn answer(
    shared: Arc<Shared>,
    info: Arc<ConnInfo>,
    facts: Option<HeadFacts>,
    request: Request<Incoming>,
) -> Result<Response<EdgeBody>, Infallible> {
    let started = Tick::now();
    let (mut head, incoming) = request.into_parts();
    let version = head.version;
    let promise = Promise::to(&head, &info, &shared);
    let mut exchange = Exchange::begin(&shared, &info, &head, started);
    if let Err(refusal) = prepare(&mut head, facts, &shared, &info, exchange.root(), started) {
        return Ok(promise.keep(refuse(refusal, version, exchange)));
    }
    let (upload, progress) = if incoming.is_end_stream() {
        (Upload::Empty, None)
    } else {
        let (body, progress) = UploadBody::new(incoming, &shared.limits);
        exchange.uploads(Arc::clone(&progress));
        (Upload::stream(body), Some(progress))
    };
    Ok(promise.keep(forward(head, upload, progress, &shared, version, exchange).await))
}

async fn forward(
    head: Parts,
    upload: Upload,
    progress: Option<Arc<Progress>>,
    shared: &Shared,
    version: Version,
    exchange: Exchange,
) -> Response<EdgeBody> {
    match shared.balancer.forward(Request::from_parts(head, upload), exchange.root()).await {
        Ok(answer) => pass_on(answer, &shared.via, exchange),
        Err(failure) => refuse(refusal(&failure, progress.as_deref(), shared), version, exchange),
    }
}

/// The leaf "Check the request": the rules, then the head as the upstream is to see it.
fn prepare(
    head: &mut Parts,
    facts: Option<HeadFacts>,
    shared: &Shared,
    info: &ConnInfo,
    root: &Span,
    started: Tick,
) -> Result<(), Refusal> {
    let checking = root.child_at(Hop::Http, "Check the request", started);
    let authority = check::check(head, facts, &shared.hosts, &shared.limits, &shared.via).inspect_err(|refusal| {
        checking.status(Status::Error).attribute("error.type", || refusal.problem.kind.clone());
    })?;
    checking.attribute("server.address", || authority.clone());
    let origin = Origin {
        peer: info.peer.ip(),
        authority: &authority,
        secure: info.secure,
        version: head.version,
        via: &shared.via,
    };
    let traced = record::trace_parent(&head.headers).is_some();
    headers::to_upstream(&mut head.headers, origin, traced);
    // RFC 9112, section 3.2.1: to an origin server, origin-form.
    head.uri = head.uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
    head.version = Version::HTTP_11;
    Ok(())
}

/// A failure to forward, as the client reads it: its own fault if its body was at fault.
fn refusal(failure: &Failure, progress: Option<&Progress>, shared: &Shared) -> Refusal {
    match progress.and_then(Progress::trouble) {
        Some(Trouble::TooLarge) => check::too_large(&shared.limits),
        Some(Trouble::TooSlow) => check::too_slow(&shared.limits),
        None => Refusal { problem: Box::new(failure.problem()), close: matches!(failure, Failure::Upload) },
    }
}

/// The upstream's answer; only Via and Server-Timing are added.
fn pass_on(answer: Answer, via: &str, mut exchange: Exchange) -> Response<EdgeBody> {
    let Answer { mut head, body, head_at, own, .. } = answer;
    let passing = exchange.root().child_at(Hop::Balancer, "Pass the answer on", head_at);
    passing.direction(Direction::Back);
    headers::strip_hop_by_hop(&mut head.headers);
    headers::append_via(&mut head.headers, head.version, via);
    head.version = Version::HTTP_11;
    passing.end();
    if exchange.tells_times() {
        headers::prepend_server_timing(&mut head.headers, &exchange.server_timing());
    }
    exchange.head_sent(head.status.as_u16(), own);
    Response::from_parts(head, EdgeBody::stream(body, exchange))
}

/// An answer of our own: a problem document.
fn refuse(refusal: Refusal, version: Version, mut exchange: Exchange) -> Response<EdgeBody> {
    let Refusal { problem, close } = refusal;
    let timing = exchange.tells_times().then(|| exchange.server_timing());
    exchange.head_sent(problem.status, false);
    let mut response = Response::new(EdgeBody::whole(Bytes::from(problem.to_json()), exchange));
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(problem::MEDIA_TYPE));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert("content-security-policy", HeaderValue::from_static(API_CSP));
    for (name, value) in ALWAYS {
        fields.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    explain(&problem, fields);
    if let Some(timing) = timing {
        headers::prepend_server_timing(fields, &timing);
    }
    // h2 has no such field: there, a refused body is a reset stream.
    if close && version < Version::HTTP_2 {
        fields.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Fields that a status comes with.
fn explain(problem: &Problem, fields: &mut hyper::HeaderMap) {
    if let Some(seconds) = problem.retry_after_s {
        fields.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.status == 405 {
        // RFC 9110, section 15.5.6, wants the list; what the upstream takes only it knows.
        fields.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
}
