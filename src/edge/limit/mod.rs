//! How often somebody may ask: token buckets by session, token, address and route.
//!
//! Whoever is counted is kept as a hash: a session or a token is never stored as it came.

pub mod faults;
mod standing;
mod table;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hyper::Method;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap};
use hyper::http::request::Parts;

use super::site::{PathRule, Route};
use crate::observe::hop::Hop;
use crate::observe::span::{Span, Status};
use crate::policy::token_bucket::{Quota, client_network};
use crate::settings::http::limit::LimitSettings;
use crate::web::cookie;
use standing::Count;
pub use standing::{Standing, TooMany};
use table::{Key, Table};

/// Sessions or tokens that may be busy behind one address: as many as in the limits of the house.
const SHARING_MAX: u64 = 20;

/// How the requests of a route are limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitRule {
    /// Not at all.
    Off,
    /// By a rule of this route's own.
    Own { requests: u64, window: Duration, by: By },
    /// By session and by address, as the settings say; requests from this machine only if they say so.
    House,
    /// POST tries a password: by address, this machine's too. Anything else as [`LimitRule::House`].
    SignIn,
}

/// Whose requests are counted together. Where a request has no session or token its address is counted:
/// whoever leaves the field out must not get more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Address,
    /// The value of the cookie of this name.
    Session(String),
    /// The value of `Authorization`.
    Token,
    /// Everybody's, of this route.
    Route,
}

/// A request, as far as it is counted.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    /// The client's, not a proxy's.
    pub address: IpAddr,
}

impl<'a> Asker<'a> {
    pub fn new(request: &'a Parts, address: IpAddr) -> Self {
        Self { method: &request.method, headers: &request.headers, address: address.to_canonical() }
    }

    fn session(&self, name: &str) -> Option<&'a str> {
        self.headers.get(COOKIE).and_then(|value| cookie::find(value.to_str().ok()?, name))
    }
}

/// Everybody who was counted. Each table is bounded by itself, so that one who invents sessions pushes no
/// address out.
#[derive(Debug, Default)]
pub struct Limiter {
    sessions: Table,
    addresses: Table,
    sign_ins: Table,
    own: Table,
    tiny: Table,
}

impl Limiter {
    /// The leaf "Count against the limits", where the route has any that hold for this request. Err: it is
    /// one too many.
    pub fn count(
        &self,
        route: &Route,
        asker: Asker<'_>,
        settings: &LimitSettings,
        root: &Span,
    ) -> Result<Standing, TooMany> {
        let now = Instant::now();
        let house = settings.enabled && (settings.loopback || !asker.address.is_loopback());
        let span = || root.child(Hop::Http, "Count against the limits");
        let (span, counts) = match &route.rules.limit {
            LimitRule::SignIn if asker.method == Method::POST && settings.enabled => {
                (span(), vec![self.sign_ins.count("sign-in", by_address(asker), settings.sign_in, now)])
            }
            LimitRule::House | LimitRule::SignIn if house => (span(), self.house(asker, settings, now)),
            LimitRule::Off | LimitRule::House | LimitRule::SignIn => return Ok(Standing::default()),
            LimitRule::Own { requests, window, by } => {
                let quota = Quota { tokens: *requests, window: *window, burst: *requests };
                (span(), self.own(route, by, asker, quota, now))
            }
        };
        let standing = Standing::of(counts);
        standing.show(&span);
        standing.admitted().inspect_err(|_| {
            span.status(Status::Error);
        })
    }

    /// By a route's own rule. Who invents sessions or tokens has a full bucket each time: their address is
    /// counted, too.
    fn own(&self, route: &Route, by: &By, asker: Asker<'_>, quota: Quota, now: Instant) -> Vec<Count> {
        let (name, key) = own(route, by, asker);
        let mut counts = vec![self.own.count(name, key, quota, now)];
        if matches!(name, "session" | "token") && counts.iter().all(|count| count.outcome.admitted) {
            let all = |count: u64| count.saturating_mul(SHARING_MAX);
            let quota = Quota { tokens: all(quota.tokens), burst: all(quota.burst), ..quota };
            let network = client_network(asker.address).to_string();
            let key = key_of(route, "behind", network.as_bytes());
            counts.push(self.addresses.count("address", key, quota, now));
        }
        counts
    }

    /// The session first: what it is refused does not count against the others behind its address.
    fn house(&self, asker: Asker<'_>, settings: &LimitSettings, now: Instant) -> Vec<Count> {
        let session = asker.session(cookie::BISTRO);
        let session = session.map(|session| Key::of(&[b"session", session.as_bytes()]));
        let mut counts = Vec::with_capacity(2);
        counts.extend(session.map(|key| self.sessions.count("session", key, settings.session, now)));
        if counts.iter().all(|count| count.outcome.admitted) {
            counts.push(self.addresses.count("address", by_address(asker), settings.address, now));
        }
        counts
    }
}

fn by_address(asker: Asker<'_>) -> Key {
    Key::of(&[b"address", client_network(asker.address).to_string().as_bytes()])
}

/// The name of what is counted, and its key: that of a route's own rule is about that route alone.
fn own(route: &Route, by: &By, asker: Asker<'_>) -> (&'static str, Key) {
    let network = client_network(asker.address).to_string();
    let (name, value) = match by {
        By::Session(cookie) => asker.session(cookie).map(|session| ("session", session.as_bytes())),
        By::Token => asker.headers.get(AUTHORIZATION).map(|token| ("token", token.as_bytes())),
        By::Route => Some(("route", &b""[..])),
        By::Address => None,
    }
    .unwrap_or(("address", network.as_bytes()));
    (name, key_of(route, name, value))
}

/// Of `value`, at this route alone.
fn key_of(route: &Route, name: &str, value: &[u8]) -> Key {
    let (exact, path) = match &route.path {
        PathRule::Exact(path) => (&b"exact"[..], path),
        PathRule::Prefix(path) => (&b"prefix"[..], path),
    };
    let host = route.host.as_deref().unwrap_or_default();
    Key::of(&[name.as_bytes(), host.as_bytes(), exact, path.as_bytes(), value])
}
