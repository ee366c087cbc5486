//! One request: the steps in their order, and the record of each.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant as Moment;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::http::response;
use hyper::{Request, Version};
use hyper_util::rt::TokioIo;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::faults::{Conditions, Cut};
use super::pool::Link;
use super::url::Url;
use super::{Answer, BODY_BYTES_MAX, Connection, Failure, Inner, Outgoing, Trouble, USER_AGENT, connect, head};
use crate::observe::assemble::WAIT_FOR_ANSWER;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::ids::{SpanId, TraceId};
use crate::observe::part::ClientPart;
use crate::observe::redact;
use crate::observe::span::{Context, Direction, Span, Status, Trace};
use crate::observe::tap::{Passed, Tap};
use crate::web::list;

const SEND: &str = "Send the request";

/// An answer, before it is joined with the record.
struct Came {
    head: response::Parts,
    body: Bytes,
}

/// Sends `outgoing` and records how it went.
pub(super) async fn send(client: &Inner, outgoing: Outgoing) -> Result<Answer, Failure> {
    let (start, sent_at) = (Tick::now(), OffsetDateTime::now_utc());
    let key = SpanId::random();
    let within = outgoing.within;
    let context = Context {
        trace_id: within.map_or_else(TraceId::random, |within| within.trace_id),
        parent: None,
        key,
        detail: within.map_or(client.detail, |within| within.detail),
        bypass_caches: outgoing.bypass_caches,
    };
    let root = Trace::start(context, key, Hop::Client, "Request", start);
    let mut run = Run::new(client, &outgoing, &root, start);
    let parsed = Url::parse(&outgoing.url).map_err(|bad| Trouble::new(Hop::Client, format!("{bad}.")));
    let result = match &parsed {
        Ok(url) => run.go(url).await,
        Err(trouble) => Err(trouble.clone()),
    };
    let (at, fresh, sent, received) = (run.at, run.fresh, run.sent, run.received);
    if let Ok(url) = &parsed {
        run.describe(url);
    }
    let status = result.as_ref().map_or(0, |came| came.head.status.as_u16());
    root.attribute("url.full", || outgoing.url.clone())
        .attribute("http.request.method", || outgoing.method.clone())
        .attribute("user_agent.original", || USER_AGENT);
    match &result {
        Ok(_) => {
            root.attribute("http.response.status_code", || status);
        }
        Err(trouble) => {
            root.status(Status::Error).attribute("error.message", || trouble.message.clone());
        }
    }
    let trace = root.trace().clone();
    root.end_at(at);
    let part = ClientPart {
        trace_id: context.trace_id,
        key,
        sent_at,
        method: outgoing.method.clone(),
        path: parsed.map_or_else(|_| outgoing.url.clone(), |url| url.target),
        sent_as: outgoing.sent_as.clone(),
        fresh,
        bypass_caches: outgoing.bypass_caches,
        status,
        request_bytes: sent,
        response_bytes: received,
        spans: trace.finish(),
    };
    match result {
        Ok(Came { head, body }) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
            Ok(Answer { status, headers: headers.collect(), body, part })
        }
        Err(Trouble { hop, message }) => Err(Failure { hop, message, part: Box::new(part) }),
    }
}

/// Opens a connection to be kept, unless one is there.
pub(super) async fn open(client: &Inner, url: &str) -> Result<(), String> {
    let outgoing = Outgoing::get(url);
    let parsed = Url::parse(url).map_err(|bad| bad.to_string())?;
    let origin = parsed.origin();
    let link = match client.pool.take(&origin, Moment::now()) {
        Some(link) => link,
        None => {
            // Timed like any other, for nobody: the request that follows is the one to be looked at.
            let root = Trace::start(Context::new_root(), SpanId::random(), Hop::Client, "Open", Tick::now());
            let mut run = Run::new(client, &outgoing, &root, Tick::now());
            run.under_conditions(&parsed);
            run.dial(&parsed).await.map_err(|trouble| trouble.message)?.0
        }
    };
    client.pool.keep(&origin, link);
    Ok(())
}

/// One request under way.
struct Run<'a> {
    client: &'a Inner,
    outgoing: &'a Outgoing,
    root: &'a Span,
    deadline: Instant,
    /// Where the last leaf ended: the next begins there.
    at: Tick,
    fresh: bool,
    sent: u64,
    received: u64,
    /// The far and the near end of the connection.
    ends: Option<(SocketAddr, SocketAddr)>,
    /// What our DNS said of the host.
    resolved: Option<IpAddr>,
    conditions: Conditions<'a>,
}

impl<'a> Run<'a> {
    fn new(client: &'a Inner, outgoing: &'a Outgoing, root: &'a Span, at: Tick) -> Self {
        let deadline = Instant::now() + outgoing.timeout;
        Self {
            client,
            outgoing,
            root,
            deadline,
            at,
            fresh: false,
            sent: 0,
            received: 0,
            ends: None,
            resolved: None,
            conditions: Conditions::default(),
        }
    }

    fn under_conditions(&mut self, url: &Url) {
        self.conditions = Conditions::drawn(self.client.settings.as_ref(), &url.target, self.outgoing.body.len());
    }

    async fn go(&mut self, url: &Url) -> Result<Came, Trouble> {
        let build = self.root.child_at(Hop::Client, "Build the request", self.at);
        self.under_conditions(url);
        let context = self.root.trace().context();
        let probe_key = self.client.probe_key.as_ref().filter(|_| self.outgoing.probe);
        let request = head::request(self.outgoing, url, &context, probe_key);
        let origin = url.origin();
        let kept = match self.outgoing.connection {
            Connection::Kept => self.client.pool.take(&origin, Moment::now()),
            Connection::Fresh => None,
        };
        self.at = Tick::now();
        if request.is_err() {
            build.status(Status::Error);
        }
        build.end_at(self.at);
        let request = request?;
        let (mut link, came) = match kept {
            Some(link) => {
                let again = request.clone();
                match self.on_kept(url, link, request).await? {
                    Some(done) => done,
                    None => self.on_fresh(url, again).await?,
                }
            }
            None => self.on_fresh(url, request).await?,
        };
        if stays_open(&came.head) {
            link.rested = Moment::now();
            self.client.pool.keep(&origin, link);
        }
        Ok(came)
    }

    /// None: the server had closed the connection before it read the request, which may be sent again.
    async fn on_kept(
        &mut self,
        url: &Url,
        mut link: Link,
        request: Request<Full<Bytes>>,
    ) -> Result<Option<(Link, Came)>, Trouble> {
        self.ends = Some((link.peer, link.local));
        // What our DNS said when the connection was made.
        let named = url.host.parse::<IpAddr>().is_err() && self.client.resolver.asks_dns();
        self.resolved = named.then(|| link.peer.ip());
        match self.exchange(&mut link, request, true).await {
            Ok(came) => Ok(Some((link, came))),
            Err(Broken { unread: true, .. }) => Ok(None),
            Err(Broken { trouble, .. }) => Err(trouble),
        }
    }

    async fn on_fresh(&mut self, url: &Url, request: Request<Full<Bytes>>) -> Result<(Link, Came), Trouble> {
        self.fresh = true;
        let (mut link, sealed) = self.dial(url).await?;
        let exchanged = self.exchange(&mut link, request, false).await;
        if let Some(sealed) = sealed {
            sealed.describe();
        }
        exchanged.map(|came| (link, came)).map_err(|broken| broken.trouble)
    }

    /// Looks up the name and opens a connection. Its facts are for describing once the request is over.
    async fn dial(&mut self, url: &Url) -> Result<(Link, Option<connect::Sealed>), Trouble> {
        let (client, outgoing) = (self.client, self.outgoing);
        let named = (url.host.as_str(), url.port);
        let found =
            client.resolver.look_up(self.root, &mut self.at, named, self.deadline, outgoing.bypass_caches).await?;
        self.resolved = found.addresses.first().copied().filter(|_| found.by_dns);
        let config = if outgoing.resume { &client.tls.resuming } else { &client.tls.anew };
        let patience = (&self.conditions, self.deadline);
        let connected = connect::open(self.root, &mut self.at, url, &found.addresses, config, patience).await?;
        let (stream, scissors) = Cut::new(connected.stream);
        let (stream, tap) = Tap::new(stream);
        let made = http1::Builder::new().handshake(TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(|error| Trouble::new(Hop::Http, error.to_string()))?;
        // It ends when the sender is dropped or the server closes; its error reaches the sender.
        tokio::spawn(connection);
        let (peer, local) = (connected.peer, connected.local);
        self.ends = Some((peer, local));
        let length = connected.length;
        let link = Link { sender, tap, length, scissors, peer, local, requests: 0, rested: Moment::now() };
        Ok((link, connected.sealed))
    }

    /// The root's facts, said when the request is over, so that saying them costs no step its time.
    fn describe(&self, url: &Url) {
        if let Some((peer, local)) = self.ends {
            self.root
                .attribute("network.peer.address", || peer.ip().to_string())
                .attribute("network.peer.port", || peer.port())
                .attribute("network.local.address", || local.ip().to_string())
                .attribute("network.local.port", || local.port())
                .attribute("network.protocol.name", || "http")
                .attribute("network.protocol.version", || "1.1");
        }
        self.root.attribute("roundtrip.curl", || {
            head::curl(self.outgoing, url, self.resolved, self.client.ca_path.as_deref())
        });
    }

    /// Sends on `link` and reads the whole answer.
    async fn exchange(&mut self, link: &mut Link, request: Request<Full<Bytes>>, kept: bool) -> Result<Came, Broken> {
        link.requests += 1;
        link.tap.reset(self.root.detailed());
        link.length.set(self.conditions.one_way());
        link.scissors.set(self.conditions.hang_up);
        let mut unsent = false;
        let came = tokio::time::timeout_at(self.deadline, async {
            // The task that drives a kept connection may have to look at it once more.
            let _ = link.sender.ready().await;
            let answer = link.sender.try_send_request(request).await.map_err(|mut error| {
                unsent = error.take_message().is_some();
                Cause::Http(error.into_error())
            })?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(Cause::of_body)?;
            Ok(Came { head, body: body.to_bytes() })
        });
        let came = came.await.unwrap_or(Err(Cause::Late));
        let end = Tick::now();
        let passed = link.tap.take();
        self.sent += passed.bytes_written;
        self.received += passed.bytes_read;
        let repeatable =
            unsent || matches!(self.outgoing.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE");
        if link.scissors.have_cut() {
            return Err(self.hung_up(&passed, end));
        }
        let unread = kept && repeatable && passed.bytes_read == 0 && matches!(came, Err(Cause::Http(_)));
        let version = came.as_ref().ok().map(|came| came.head.version);
        self.record(link, &passed, end, version, unread);
        came.map_err(|cause| Broken { trouble: Trouble::new(Hop::Http, cause.explain(self.outgoing)), unread })
    }

    /// The request was broken off by us, on purpose.
    fn hung_up(&mut self, passed: &Passed, end: Tick) -> Broken {
        let (start, sent) = (self.at, passed.last_write.unwrap_or(end).clamp(self.at, end));
        self.at = end;
        self.record_sending(passed, start, sent);
        let message = self.conditions.hung_up(self.root, sent, end);
        Broken { trouble: Trouble::new(Hop::Client, message), unread: false }
    }

    fn record_sending(&self, passed: &Passed, start: Tick, sent: Tick) -> Span {
        let send = self.root.record(Hop::Http, SEND, start, sent);
        send.attribute("http.request.raw", || redact::message(&passed.written))
            .attribute("http.request.size", || passed.bytes_written);
        send
    }

    /// The leaves of an exchange, each beginning where the one before ended; `version` is known when it
    /// went well.
    fn record(&mut self, link: &Link, passed: &Passed, end: Tick, version: Option<Version>, unread: bool) {
        let start = self.at;
        self.at = end;
        let answered = passed.first_read.map(|read| read.clamp(start, end));
        let sent = match passed.last_write {
            Some(last) if !unread => last.clamp(start, answered.unwrap_or(end)),
            _ => answered.unwrap_or(end),
        };
        let send = self.record_sending(passed, start, sent);
        send.attribute("http.connection.reused", || !self.fresh)
            .attribute("http.connection.requests", || link.requests);
        if unread || passed.last_write.is_none() {
            send.status(Status::Error);
            if unread {
                send.attribute(
                    "error.message",
                    || "The server had closed this kept connection; sent again on a new one",
                );
            }
            return;
        }
        let arrived = self.conditions.out(self.root, sent, answered.unwrap_or(end));
        let left = answered.map(|answered| self.conditions.back(self.root, arrived, answered));
        let wait = self.root.record(Hop::Http, WAIT_FOR_ANSWER, arrived, left.unwrap_or(end));
        let Some(answered) = answered else {
            wait.status(Status::Error);
            return;
        };
        let read = self.root.record(Hop::Client, "Read the answer", answered, end);
        read.direction(Direction::Back)
            .attribute("http.response.raw", || redact::message(&passed.read))
            .attribute("http.response.size", || passed.bytes_read);
        match version {
            Some(version) => {
                read.attribute("http.version", || if version == Version::HTTP_10 { "1.0" } else { "1.1" });
            }
            None => {
                read.status(Status::Error);
            }
        }
    }
}

/// An exchange that failed.
struct Broken {
    trouble: Trouble,
    /// On a kept connection, without a byte of answer, and the request may be sent again (RFC 9112,
    /// section 9.3.1; RFC 9110, section 9.2.2).
    unread: bool,
}

enum Cause {
    Late,
    TooLong,
    Http(hyper::Error),
}

impl Cause {
    fn of_body(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        match error.downcast::<LengthLimitError>() {
            Ok(_) => Cause::TooLong,
            Err(error) => match error.downcast::<hyper::Error>() {
                Ok(error) => Cause::Http(*error),
                // Limited passes on nothing but these two.
                Err(_) => Cause::Late,
            },
        }
    }

    fn explain(&self, outgoing: &Outgoing) -> String {
        match self {
            Cause::Late => {
                format!("No answer within {:?}. The server is slow or stuck: look where it waits.", outgoing.timeout)
            }
            Cause::TooLong => {
                format!("The answer is longer than {} MiB, which is not read.", BODY_BYTES_MAX / (1024 * 1024))
            }
            Cause::Http(error) if error.is_incomplete_message() => {
                "The server closed the connection before its answer was complete. Look at its log.".to_owned()
            }
            Cause::Http(error) if error.is_parse() => {
                format!("What came back is not HTTP/1.1 ({error}). Check the port, and http or https.")
            }
            Cause::Http(error) => format!("The connection broke ({error}). Send it again."),
        }
    }
}

/// Whether the server will take another request on this connection (RFC 9112, section 9.3).
fn stays_open(head: &response::Parts) -> bool {
    let options = head.headers.get_all(hyper::header::CONNECTION);
    let mut options = options.iter().flat_map(|value| list::tokens(value.as_bytes()));
    let close = options.any(|option| option.eq_ignore_ascii_case(b"close"));
    head.version == Version::HTTP_11 && !close && head.status != hyper::StatusCode::SWITCHING_PROTOCOLS
}
