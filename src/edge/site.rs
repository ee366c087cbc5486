//! What an edge serves: the hosts it answers to, and which pool of upstreams a request goes to by which
//! rules. A value: a new configuration is a new site, and the old one goes with its last request.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::cache::rule::CacheRule;
use super::limit::{By, LimitRule};
use crate::balancer::Balancer;
use crate::settings::http::bounds::Bounds;
use crate::settings::site::{LimitBy, LimitPlan, RoutePlan};
use crate::web::host::{self, HostList};

/// All of it.
#[derive(Debug, Default)]
pub struct Site {
    /// The authorities it answers to; others get 421.
    pub hosts: HostList,
    /// Proxies whose word about a request's origin is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    routes: Vec<Route>,
}

/// Where some of the requests go.
#[derive(Debug, Clone)]
pub struct Route {
    /// None: any of the site's hosts.
    pub host: Option<String>,
    pub path: PathRule,
    /// What the pool behind it is called.
    pub pool: String,
    pub balancer: Balancer,
    pub rules: Rules,
}

/// Which paths a route is for. Compared after percent-decoding: what the application reads as the same path
/// must not slip past a rule (RFC 3986, section 6.2.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRule {
    Exact(String),
    /// `/api` is for `/api` and `/api/x`, and not for `/apix`; `/` is for everything.
    Prefix(String),
}

/// How the body of a route's requests is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyRule {
    /// None: as `patience` has it.
    pub bytes_max: Option<u64>,
    pub patience: Patience,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// As the settings of the house say.
    House,
    /// Only what crawls is cut.
    Long,
}

/// What one body may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyBounds {
    pub bytes_max: u64,
    /// How long it may keep us waiting in all.
    pub timeout: Duration,
    /// How long it may before its rate counts.
    pub grace: Duration,
    /// Bytes a second.
    pub rate_min: u64,
}

/// Before the rate of a body counts, where nothing else bounds it.
const LONG_GRACE: Duration = Duration::from_secs(20);

/// What the edge does with the requests of a route and their answers.
#[derive(Debug, Clone)]
pub struct Rules {
    pub cache: CacheRule,
    pub body: BodyRule,
    /// Whether `Server-Timing` may be told: not where a secret is checked, since times tell about secrets.
    pub tells_times: bool,
    /// Whether a POST with an `Idempotency-Key` may be sent again.
    pub idempotency_key_counts: bool,
    pub limit: LimitRule,
    /// Whether public answers are compressed for clients that take it.
    pub compress: bool,
    /// Set on requests on their way to the upstream, replacing what was there.
    pub request_headers: Vec<(HeaderName, HeaderValue)>,
    /// Set on answers on their way to the client, likewise.
    pub response_headers: Vec<(HeaderName, HeaderValue)>,
    /// What its requests are counted as; None: by the application's own routes.
    pub counted_as: Option<Arc<str>>,
}

impl Rules {
    /// For an application that we know: its bodies are small.
    pub fn strict() -> Self {
        Self {
            cache: CacheRule::default(),
            body: BodyRule { bytes_max: None, patience: Patience::House },
            tells_times: true,
            idempotency_key_counts: false,
            limit: LimitRule::House,
            compress: true,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            counted_as: None,
        }
    }

    /// What a body may cost on a connection that has these bounds.
    pub fn body(&self, bounds: &Bounds) -> BodyBounds {
        let own = self.body.bytes_max;
        let rate_min = bounds.body_rate_min;
        match self.body.patience {
            Patience::House => BodyBounds {
                bytes_max: own.unwrap_or(bounds.body_bytes_max),
                timeout: bounds.body_timeout,
                grace: bounds.body_grace,
                rate_min,
            },
            Patience::Long => {
                BodyBounds { bytes_max: own.unwrap_or(u64::MAX), timeout: Duration::MAX, grace: LONG_GRACE, rate_min }
            }
        }
    }

    /// For somebody's own service: nothing is refused or changed but what HTTP requires.
    pub fn transparent() -> Self {
        Self {
            cache: CacheRule::default(),
            body: BodyRule { bytes_max: None, patience: Patience::Long },
            tells_times: true,
            idempotency_key_counts: false,
            limit: LimitRule::Off,
            compress: false,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            counted_as: None,
        }
    }
}

/// Fields that a route may not set: they belong to the connection, to the message's framing, or to us.
const NOT_TO_BE_SET: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "server-timing",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "cache-status",
];

/// A route of `roundtrip.toml` whose header can't be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header '{name}: {value}' can't be set: {why}")]
pub struct BadField {
    name: String,
    value: String,
    why: &'static str,
}

/// Fields as they were written, checked.
pub fn fields(written: &[(String, String)]) -> Result<Vec<(HeaderName, HeaderValue)>, BadField> {
    let field = |(name, value): &(String, String)| {
        let bad = |why| BadField { name: name.clone(), value: value.clone(), why };
        let field_name = HeaderName::try_from(name.as_str()).map_err(|_| bad("that is no name of a field"))?;
        if NOT_TO_BE_SET.contains(&field_name.as_str()) || field_name.as_str().starts_with("roundtrip-") {
            return Err(bad("the proxy itself decides about it"));
        }
        let value = HeaderValue::try_from(value.as_str()).map_err(|_| bad("a value is one line of visible text"))?;
        Ok((field_name, value))
    };
    written.iter().map(field).collect()
}

fn limit(plan: &LimitPlan) -> LimitRule {
    let by = match &plan.by {
        LimitBy::Address => By::Address,
        LimitBy::Token => By::Token,
        LimitBy::Route => By::Route,
        LimitBy::Cookie(name) => By::Session(name.clone()),
    };
    LimitRule::Own { requests: plan.requests, window: Duration::from_secs(plan.seconds), by }
}

impl Rules {
    /// What a route of `roundtrip.toml` says, on top of these rules.
    pub fn with_plan(self, plan: &RoutePlan) -> Result<Self, BadField> {
        let cache = CacheRule {
            enabled: plan.cache.enabled,
            default_ttl: plan.cache.default_ttl.map(Duration::from_secs),
            max_object_bytes: plan.cache.object_bytes_max,
        };
        Ok(Self {
            cache,
            body: BodyRule { bytes_max: plan.body_bytes_max, ..self.body },
            limit: plan.limit.as_ref().map_or(self.limit, limit),
            compress: plan.compress.unwrap_or(self.compress),
            idempotency_key_counts: self.idempotency_key_counts || plan.idempotency_key,
            request_headers: fields(&plan.request_headers)?,
            response_headers: fields(&plan.response_headers)?,
            ..self
        })
    }
}

impl Site {
    /// The most specific route goes first: a host before any host, then an exact path, then the longer one.
    pub fn new(hosts: HostList, trusted_proxies: Vec<ipnet::IpNet>, mut routes: Vec<Route>) -> Self {
        routes.sort_by_key(|route| {
            let (exact, length) = match &route.path {
                PathRule::Exact(path) => (true, path.len()),
                PathRule::Prefix(path) => (false, path.len()),
            };
            std::cmp::Reverse((route.host.is_some(), exact, length))
        });
        Self { hosts, trusted_proxies, routes }
    }

    /// The route of a request: `authority` as in `Host`, `path` as in the target.
    pub fn route(&self, authority: &str, path: &str) -> Option<&Route> {
        let host = host::host(authority);
        let path = normal(path);
        self.routes.iter().find(|route| {
            route.host.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(host)) && route.path.covers(&path)
        })
    }

    /// In the order in which they are asked.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|range| range.contains(&peer))
    }
}

/// A path as rules read it: decoded, without `.`, `..` and empty segments (RFC 3986, section 5.2.4; that `//` is
/// `/` is what most applications think). It goes upstream as it came. A slash that was encoded parts no
/// segments: `..` next to one leads nowhere.
fn normal(path: &str) -> Cow<'_, str> {
    if !path.contains('%') && !path.contains("//") && !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    let Some(rest) = path.strip_prefix('/') else { return percent_decode_str(path).decode_utf8_lossy() };
    let (mut kept, mut open) = (Vec::new(), false);
    for segment in rest.split('/') {
        let segment = percent_decode_str(segment).decode_utf8_lossy();
        open = matches!(&*segment, "" | "." | "..");
        match &*segment {
            ".." => drop(kept.pop()),
            _ if open => {}
            _ => kept.push(segment),
        }
    }
    let slash = if open && !kept.is_empty() { "/" } else { "" };
    Cow::Owned(format!("/{}{slash}", kept.join("/")))
}

impl PathRule {
    fn covers(&self, path: &str) -> bool {
        match self {
            PathRule::Exact(own) => own == path,
            PathRule::Prefix(own) => {
                let own = own.trim_end_matches('/');
                path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                    // OPTIONS * is about the server as a whole (RFC 9110, section 9.3.7).
                    || own.is_empty()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_read_without_detours() {
        for (path, read) in [
            ("/a/b", "/a/b"),
            ("//a///b", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/..", "/"),
            ("/%2e%2E/%61", "/a"),
            ("/a/x%2F..%2F..%2Fb", "/a/x/../../b"),
            ("/.a/..b", "/.a/..b"),
            ("*", "*"),
        ] {
            assert_eq!(normal(path), read, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_detour_is_left_in_a_path_without_encoded_ones(path in "/[a./]{0,20}") {
            let read = normal(&path).into_owned();
            prop_assert!(read.starts_with('/') && !read.contains("//"));
            prop_assert!(read.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert_eq!(&*normal(&read), &read);
        }
    }

    #[test]
    fn a_prefix_ends_at_a_slash_and_the_root_covers_everything() {
        let api = PathRule::Prefix("/api".to_owned());
        assert!(api.covers("/api") && api.covers("/api/") && api.covers("/api/x") && !api.covers("/apix"));
        let root = PathRule::Prefix("/".to_owned());
        assert!(root.covers("/") && root.covers("/x") && root.covers("*"));
        assert!(PathRule::Exact("/a".to_owned()).covers("/a") && !PathRule::Exact("/a".to_owned()).covers("/a/"));
    }
}
