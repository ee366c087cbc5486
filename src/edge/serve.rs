//! One request: check, forward, answer.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, SET_COOKIE,
};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Uri, Version};

use super::Shared;
use super::body::{EdgeBody, Progress, Trouble, UploadBody};
use super::cache::{Found, Refused, Source};
use super::check::{self, Refusal};
use super::compress::Wish;
use super::connection::ConnInfo;
use super::framing::HeadFacts;
use super::headers::{self, Origin};
use super::limit::{Asker, TooMany};
use super::record::{self, By, Exchange};
use super::site::{Route, Rules, Site};
use super::sticky;
use crate::balancer::Caller;
use crate::balancer::failure::Failure;
use crate::balancer::upload::Upload;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::span::{Span, Status};
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
    let mut exchange = Exchange::begin(&shared, &info, &head, started);
    let site = shared.site.load_full();
    let route = match prepare(&mut head, facts, &site, &shared, &info, exchange.root(), started) {
        Ok(route) => route,
        Err(refusal) => return Ok(refuse(refusal, version, exchange)),
    };
    exchange.takes(&route.rules);
    let asker = Asker::new(&head, info.peer.ip());
    let counted = shared.limiter.count(route, asker, &shared.settings.snapshot().http_limit, exchange.root());
    let standing = match counted {
        Ok(standing) => standing,
        Err(TooMany { problem, standing }) => {
            let mut response = refuse(Refusal { problem, close: false }, version, exchange);
            standing.tell(response.headers_mut());
            return Ok(response);
        }
    };
    let wish = route.rules.compress.then(|| Wish::of(&head));
    let (upload, progress) = if incoming.is_end_stream() {
        (Upload::Empty, None)
    } else {
        let (body, progress) = UploadBody::new(incoming, &route.rules);
        exchange.uploads(Arc::clone(&progress));
        (Upload::stream(body), Some(progress))
    };
    let caller = Caller {
        sticky: sticky::take(&mut head.headers, info.secure),
        idempotency_key_counts: route.rules.idempotency_key_counts,
        ..Caller::at(info.peer.ip().to_canonical())
    };
    let source = Source {
        balancer: &route.balancer,
        caller: &caller,
        rule: &route.rules.cache,
        via: &shared.via,
        secure: info.secure,
        recorder: &shared.recorder,
    };
    let found = shared.cache.answer(&source, Request::from_parts(head, upload), exchange.root()).await;
    let mut response = match found {
        Ok(found) => pass_on(found, &shared, &route.rules, wish, exchange),
        Err(Refused::Failed(failure)) => {
            refuse(refusal(&failure, progress.as_deref(), &route.rules), version, exchange)
        }
        Err(Refused::NotCached) => refuse(check::not_cached(), version, exchange),
    };
    standing.tell(response.headers_mut());
    Ok(response)
}

/// The leaf "Check the request": the rules, the route, then the head as the upstream is to see it.
fn prepare<'a>(
    head: &mut Parts,
    facts: Option<HeadFacts>,
    site: &'a Site,
    shared: &Shared,
    info: &ConnInfo,
    root: &Span,
    started: Tick,
) -> Result<&'a Route, Refusal> {
    let checking = root.child_at(Hop::Http, "Check the request", started);
    let checked = check::check(head, facts, &site.hosts, &shared.limits, &shared.via).and_then(|authority| {
        let route = site.route(&authority, head.uri.path());
        let route = route.ok_or_else(|| check::no_route(&authority, head.uri.path()))?;
        check::announced_body(head, &route.rules)?;
        Ok((authority, route))
    });
    let (authority, route) = checked.inspect_err(|refusal| {
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
    headers::set_all(&mut head.headers, &route.rules.request_headers);
    // RFC 9112, section 3.2.1: to an origin server, origin-form.
    head.uri = head.uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
    head.version = Version::HTTP_11;
    Ok(route)
}

/// A failure to forward, as the client reads it: its own fault if its body was at fault.
fn refusal(failure: &Failure, progress: Option<&Progress>, rules: &Rules) -> Refusal {
    match progress.and_then(Progress::trouble) {
        Some(Trouble::TooLarge) => check::too_large(rules),
        Some(Trouble::TooSlow) => check::too_slow(rules),
        None => Refusal { problem: Box::new(failure.problem()), close: matches!(failure, Failure::Upload) },
    }
}

/// An answer as the client gets it: with a sticky cookie, our times, what the route's rules say, and compressed
/// if that is wished for.
fn pass_on(
    found: Found,
    shared: &Shared,
    rules: &Rules,
    wish: Option<Wish>,
    mut exchange: Exchange,
) -> Response<EdgeBody> {
    let Found { mut head, body, by, stick_to } = found;
    headers::set_all(&mut head.headers, &rules.response_headers);
    if let Some(cookie) = stick_to.and_then(|token| sticky::set(&token, exchange.secure())) {
        head.headers.append(SET_COOKIE, cookie);
    }
    let encoder = wish.and_then(|wish| {
        wish.apply(&mut head, body.length(), &shared.settings.snapshot().http_compress, &shared.encoders)
    });
    if exchange.tells_times() {
        headers::prepend_server_timing(&mut head.headers, &exchange.server_timing());
    }
    exchange.head_sent(head.status.as_u16(), by);
    exchange.root().attribute("http.response.header.content-encoding", || {
        head.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("identity")
    });
    Response::from_parts(head, EdgeBody::of(body, encoder, exchange))
}

/// An answer of our own: a problem document.
fn refuse(refusal: Refusal, version: Version, mut exchange: Exchange) -> Response<EdgeBody> {
    let Refusal { problem, close } = refusal;
    let timing = exchange.tells_times().then(|| exchange.server_timing());
    exchange.head_sent(problem.status, By::Edge);
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
