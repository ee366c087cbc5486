//! One request: check, forward, answer.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderName, HeaderValue,
    RETRY_AFTER, SET_COOKIE, STRICT_TRANSPORT_SECURITY, UPGRADE, VIA,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};

use super::Shared;
use super::body::{self, EdgeBody, Progress, Trouble, UploadBody};
use super::cache::{self, CacheStatus, Refused, Source};
use super::check;
use super::compress::Wish;
use super::connection::ConnInfo;
use super::faults::{Reset, Strikes};
use super::form::{self, Form};
use super::framing::Mark;
use super::headers;
use super::hsts;
use super::limit::{self, Asker, Standing, TooMany};
use super::origin;
use super::record::{self, By, Exchange};
use super::refusal::Refusal;
use super::site::{BodyBounds, Route, Rules, Site};
use super::sticky;
use super::tunnel::Tunnel;
use super::verdict::{Verdict, Watch};
use crate::balancer::Caller;
use crate::balancer::answer::is_event_stream;
use crate::balancer::failure::Failure;
use crate::balancer::upload::Upload;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::span::Status;
use crate::web::headers::{ALWAYS, API_CSP};
use crate::web::problem::{self, Problem};

/// Answers one request. Dropped when the client leaves, and the work upstream with it. `watch`: what is
/// known of the connection's bytes, in HTTP/1.1.
pub async fn answer(
    shared: Arc<Shared>,
    info: Arc<ConnInfo>,
    watch: Option<Watch>,
    verdict: Verdict,
    mut request: Request<Incoming>,
) -> Result<Response<EdgeBody>, Reset> {
    let started = Tick::now();
    let switching = watch.clone().filter(|_| matches!(verdict, Verdict::Marked(Mark::Upgrade)));
    if request.method() == Method::CONNECT || request.headers().contains_key(UPGRADE) {
        // Whether it may or not, hyper leaves it to us to close the connection from here on.
        info.switches(hyper::upgrade::on(&mut request));
    }
    let (mut head, incoming) = request.into_parts();
    let mut incoming = Some(incoming).filter(|incoming| !incoming.is_end_stream());
    let has_body = incoming.is_some();
    let version = head.version;
    let expects = version == Version::HTTP_11 && head.headers.contains_key(EXPECT);
    let mut exchange = Exchange::begin(&shared, &info, &head, started);
    let serving = Serving { generation: shared.cache.generation(), site: shared.site.load_full() };
    let mut standing = Standing::default();
    let mut promise = None;
    let answered = match prepare(&mut head, verdict, &serving, &shared, &info, &mut exchange, started) {
        Err(refusal) => Err(refusal),
        Ok(mut way) => {
            exchange.takes(&way.route.rules);
            promise = way.promise.take();
            match count(&head, &way, &shared, &exchange) {
                Err(TooMany { problem, standing: used_up }) => {
                    standing = used_up;
                    Err(Refusal { problem, close: false })
                }
                Ok(counted) => {
                    standing = counted;
                    forward(head, incoming.take(), expects, &way, &shared, &info, &mut exchange).await
                }
            }
        }
    };
    if let Some(watch) = switching {
        watch.decide(answered.as_ref().is_ok_and(|found| found.answer.switched.is_some()));
    }
    let read = match (&watch, incoming) {
        (Some(watch), Some(incoming)) => !expects && watch.body_has_come() && body::read_over(incoming).await,
        (Some(_), None) => !has_body || exchange.has_read_upload(),
        // A stream of h2 ends by itself.
        (None, _) => true,
    };
    let struck = Strikes::drawn(&shared.settings, exchange.path(), exchange.root());
    if struck.reset.is_some() {
        exchange.reset();
        if version < Version::HTTP_2 {
            // In h2 it is the stream that ends so; the connection carries others.
            info.levers().reset();
        }
        return Err(Reset);
    }
    let mut response = match answered {
        Ok(found) => pass_on(found, &shared, &info, exchange),
        Err(refusal) => refuse(refusal, version, exchange),
    };
    if !read {
        // RFC 9112, section 9.3: what is left of the request would be read as the next one.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    standing.tell(response.headers_mut());
    if let Some(promise) = promise {
        // Whoever the answer is from: the operator's word goes before an upstream's.
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, promise);
    }
    struck.apply(&mut response, version, info.levers()).await;
    Ok(response)
}

/// What is served. The cache's generation is older than the site, or as old: an old site's answer is never
/// kept for a new one.
struct Serving {
    generation: u64,
    site: Arc<Site>,
}

/// Where a request goes, and for whom.
struct Way<'a> {
    generation: u64,
    route: &'a Route,
    client: IpAddr,
    promise: Option<HeaderValue>,
}

/// An answer, and what became of the request on the way to it.
struct Found<'a> {
    answer: cache::Found,
    rules: &'a Rules,
    wish: Option<Wish>,
}

/// Whether the client may ask once more.
fn count(head: &Parts, way: &Way<'_>, shared: &Shared, exchange: &Exchange) -> Result<Standing, TooMany> {
    let (asker, root) = (Asker::new(head, way.client), exchange.root());
    if let Some(tiny) = limit::faults::tiny(&shared.settings, head.uri.path()) {
        return shared.limiter.count_tiny(asker, tiny, root);
    }
    let limits = &shared.settings.snapshot().http.limit;
    shared.limiter.count(way.route, asker, limits, root)
}

async fn forward<'a>(
    mut head: Parts,
    incoming: Option<Incoming>,
    expects: bool,
    way: &Way<'a>,
    shared: &Shared,
    info: &ConnInfo,
    exchange: &mut Exchange,
) -> Result<Found<'a>, Refusal> {
    let rules = &way.route.rules;
    let wish = rules.compress.then(|| Wish::of(&head));
    let body = rules.body(&info.bounds);
    let (upload, progress) = upload(incoming, expects, body);
    if let Some(progress) = &progress {
        exchange.uploads(Arc::clone(progress));
    }
    let caller = Caller {
        sticky: sticky::take(&mut head.headers, info.origin.is_secure()),
        idempotency_key_counts: rules.idempotency_key_counts,
        ..Caller::at(way.client)
    };
    let source = Source {
        balancer: &way.route.balancer,
        caller: &caller,
        rule: &rules.cache,
        via: &shared.via,
        secure: info.origin.is_secure(),
        request_headers: &rules.request_headers,
        generation: way.generation,
        recorder: &shared.recorder,
    };
    match shared.cache.answer(&source, head, upload, exchange.root()).await {
        Ok(answer) => Ok(Found { answer, rules, wish }),
        Err(Refused::Failed(failure)) => Err(refusal(&failure, progress.as_deref(), body.bytes_max)),
        Err(Refused::NotCached) => Err(check::not_cached()),
    }
}

/// The client's body, if it has one.
fn upload(incoming: Option<Incoming>, expects: bool, bounds: BodyBounds) -> (Upload, Option<Arc<Progress>>) {
    let Some(incoming) = incoming else { return (Upload::Empty, None) };
    let (body, progress) = UploadBody::new(incoming, bounds);
    let upload = Upload::stream(body);
    (if expects { upload.held_back() } else { upload }, Some(progress))
}

/// The leaf "Check the request": the rules, the route, then the head as the upstream is to see it.
fn prepare<'a>(
    head: &mut Parts,
    verdict: Verdict,
    serving: &'a Serving,
    shared: &Shared,
    info: &ConnInfo,
    exchange: &mut Exchange,
    started: Tick,
) -> Result<Way<'a>, Refusal> {
    let Serving { generation, site } = serving;
    let checking = exchange.root().child_at(Hop::Http, "Check the request", started);
    let mark = if let Verdict::Marked(mark) = verdict { Some(mark) } else { None };
    let checked = check::check(head, verdict, &site.hosts, &info.bounds, &shared.via.name).and_then(|authority| {
        // What `check` takes is text.
        let name = authority.to_str().unwrap_or_default();
        let route = site.route(name, head.uri.path()).ok_or_else(|| check::no_route(name, head.uri.path()))?;
        check::announced_body(head, &route.rules.body(&info.bounds))?;
        if head.method == Method::OPTIONS && !headers::count_forward(&mut head.headers) {
            return Err(check::no_further());
        }
        Ok((authority, route))
    });
    let (authority, route) = checked.inspect_err(|refusal| {
        checking.status(Status::Error).attribute("error.type", || refusal.problem.kind.clone());
    })?;
    checking.attribute("server.address", || authority.to_str().unwrap_or_default().to_owned());
    let (peer, fields) = (info.peer.ip(), &mut head.headers);
    let client = origin::client(peer, fields, site);
    exchange.client_is(client);
    if let Some(rule) = shared.settings.snapshot().http.firewall.refuses(client) {
        checking.status(Status::Error).attribute("error.type", || "firewall");
        return Err(check::not_let_in(client, &rule));
    }
    let promise = hsts::promise(&site.hosts, authority.to_str().unwrap_or_default(), info.origin.is_secure());
    let trusted = site.trusts(peer);
    let traced = record::trace_parent(fields).is_some();
    let protocols = headers::upgrade(fields).filter(|_| mark == Some(Mark::Upgrade));
    headers::to_upstream(fields, trusted, traced);
    info.origin.tell(fields, &authority, trusted);
    fields.append(VIA, shared.via.received(head.version));
    if let Some(protocols) = protocols {
        headers::set_upgrade(fields, protocols);
    }
    // RFC 9112, sections 3.2.1 and 3.2.4: to an origin server, origin-form; or `*`.
    head.uri = match mark {
        Some(Mark::Asterisk) => Uri::from_static("*"),
        _ => head.uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from),
    };
    head.version = Version::HTTP_11;
    Ok(Way { generation: *generation, route, client, promise })
}

/// A failure to forward, as the client reads it: its own fault if its body was at fault.
fn refusal(failure: &Failure, progress: Option<&Progress>, bytes_max: u64) -> Refusal {
    match progress.and_then(Progress::trouble) {
        Some(Trouble::TooLarge) => check::too_large(bytes_max),
        Some(Trouble::TooSlow) => check::too_slow(),
        None => Refusal { problem: Box::new(failure.problem()), close: matches!(failure, Failure::Upload) },
    }
}

/// An answer as its client gets it: with a sticky cookie, our times and what the route's rules say.
fn pass_on(found: Found<'_>, shared: &Shared, info: &ConnInfo, mut exchange: Exchange) -> Response<EdgeBody> {
    let Found { answer, rules, wish } = found;
    let cache::Found { mut head, mut body, by, stick_to, switched, kept, cached } = answer;
    exchange.cache_did(cached.map(CacheStatus::id));
    headers::set_all(&mut head.headers, &rules.response_headers);
    if let Some(cookie) = stick_to.and_then(|token| sticky::set(&token, info.origin.is_secure())) {
        head.headers.append(SET_COOKIE, cookie);
    }
    let form = wish.filter(|_| switched.is_none()).and_then(|wish| {
        wish.apply(&mut head, body.length(), &shared.settings.snapshot().http.compress, |coding| {
            form::encoded(coding, &body, kept.as_ref(), shared)
        })
    });
    let encoder = match form {
        Some(Form::Whole(bytes)) => {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            body = cache::Body::Whole(bytes);
            None
        }
        Some(Form::OnItsWay(encoder)) => Some(encoder),
        None => None,
    };
    exchange.root().attribute("http.response.header.content-encoding", || {
        head.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("identity")
    });
    if exchange.tells_times() {
        headers::prepend_server_timing(&mut head.headers, &exchange.server_timing());
    }
    let endless = switched.is_some() || is_event_stream(&head.headers);
    exchange.head_sent(head.status.as_u16(), by, endless);
    let Some(upstream) = switched else {
        return Response::from_parts(head, EdgeBody::of(body, encoder, exchange));
    };
    let response = Response::from_parts(head, EdgeBody::nothing(exchange.offer()));
    info.agreed(Tunnel { upstream, exchange });
    response
}

/// An answer of our own: a problem document.
fn refuse(refusal: Refusal, version: Version, mut exchange: Exchange) -> Response<EdgeBody> {
    let Refusal { problem, close } = refusal;
    let timing = exchange.tells_times().then(|| exchange.server_timing());
    exchange.head_sent(problem.status, By::Edge, false);
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
