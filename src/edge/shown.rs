//! What an edge serves, as its owner reads it: the routes in the order in which they are asked.

use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;

use super::limit::{By, LimitRule};
use super::site::{PathRule, Route, Site};
use crate::observe::redact;
use crate::settings::http::bounds::Bounds;

#[derive(Debug, Serialize)]
pub struct SiteShown {
    /// Names with their ports, and names that are answered to on any.
    hosts: Vec<String>,
    trusted_proxies: Vec<String>,
    routes: Vec<RouteShown>,
}

#[derive(Debug, Serialize)]
struct RouteShown {
    /// None: any of the hosts.
    host: Option<String>,
    path: String,
    /// Whether it is for this path alone, and not for those beneath.
    exact: bool,
    pool: String,
    policy: &'static str,
    cache: CacheShown,
    limit: LimitShown,
    /// None: no bound.
    body_bytes_max: Option<u64>,
    compress: bool,
    idempotency_key: bool,
    tells_times: bool,
    /// Their names alone: an upstream may ask for a key that nobody else is to read.
    request_headers: Vec<String>,
    response_headers: Vec<FieldShown>,
}

#[derive(Debug, Serialize)]
struct CacheShown {
    enabled: bool,
    default_ttl_s: Option<u64>,
    object_bytes_max: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum LimitShown {
    Off,
    House,
    SignIn,
    Own { requests: u64, seconds: u64, by: ByShown },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum ByShown {
    Address,
    Token,
    Route,
    Cookie(String),
}

#[derive(Debug, Serialize)]
struct FieldShown {
    name: String,
    /// Without what a trace would not show either.
    value: String,
}

impl SiteShown {
    /// `bounds`: those that a connection would begin with now.
    pub fn new(site: &Site, bounds: &Bounds) -> Self {
        let mut hosts: Vec<String> = site.hosts.names().map(str::to_owned).collect();
        hosts.sort();
        hosts.dedup();
        Self {
            hosts,
            trusted_proxies: site.trusted_proxies.iter().map(ToString::to_string).collect(),
            routes: site.routes().iter().map(|route| route_shown(route, bounds)).collect(),
        }
    }
}

fn route_shown(route: &Route, bounds: &Bounds) -> RouteShown {
    let Route { host, path, pool, balancer, rules } = route;
    let (path, exact) = match path {
        PathRule::Exact(path) => (path, true),
        PathRule::Prefix(path) => (path, false),
    };
    let bytes_max = rules.body(bounds).bytes_max;
    RouteShown {
        host: host.clone(),
        path: path.clone(),
        exact,
        pool: pool.clone(),
        policy: balancer.policy().id(),
        cache: CacheShown {
            enabled: rules.cache.enabled,
            default_ttl_s: rules.cache.default_ttl.map(|ttl| ttl.as_secs()),
            object_bytes_max: rules.cache.max_object_bytes,
        },
        limit: limit_shown(&rules.limit),
        body_bytes_max: (bytes_max < u64::MAX).then_some(bytes_max),
        compress: rules.compress,
        idempotency_key: rules.idempotency_key_counts,
        tells_times: rules.tells_times,
        request_headers: rules.request_headers.iter().map(|(name, _)| name.to_string()).collect(),
        response_headers: fields_shown(&rules.response_headers),
    }
}

fn limit_shown(rule: &LimitRule) -> LimitShown {
    match rule {
        LimitRule::Off => LimitShown::Off,
        LimitRule::House => LimitShown::House,
        LimitRule::SignIn => LimitShown::SignIn,
        LimitRule::Own { requests, window, by } => {
            let by = match by {
                By::Address => ByShown::Address,
                By::Token => ByShown::Token,
                By::Route => ByShown::Route,
                By::Session(cookie) => ByShown::Cookie(cookie.clone()),
            };
            LimitShown::Own { requests: *requests, seconds: window.as_secs(), by }
        }
    }
}

fn fields_shown(fields: &[(HeaderName, HeaderValue)]) -> Vec<FieldShown> {
    let shown = |(name, value): &(HeaderName, HeaderValue)| FieldShown {
        name: name.to_string(),
        value: redact::header(name.as_str(), &String::from_utf8_lossy(value.as_bytes())),
    };
    fields.iter().map(shown).collect()
}
