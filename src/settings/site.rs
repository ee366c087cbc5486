//! What the edge is to serve, as somebody wrote it: `--upstream`, and the tables of `roundtrip.toml`.
//!
//! Everything is checked here, before anything starts or is changed: what comes out is a [`SitePlan`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;

use super::balancer::BalancerPolicy;
use super::startup::{BadConfiguration, did_you_mean};

/// The pool that is the restaurant's instances.
pub const RESTAURANT: &str = "bistro";
/// The pool that `--upstream` makes.
pub const UPSTREAM: &str = "upstream";
/// Bounds of a file that was written by hand, or by a script gone wrong.
const POOLS_MAX: usize = 64;
const UPSTREAMS_MAX: usize = 256;
const ROUTES_MAX: usize = 256;
/// The largest share of an upstream beside the others.
pub const WEIGHT_MAX: u32 = 256;

/// The keys of `roundtrip.toml` that are tables or lists of the site.
pub const KEYS: [&str; 4] = ["hosts", "trusted-proxies", "pool", "route"];

/// As written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SiteFile {
    hosts: Vec<String>,
    trusted_proxies: Vec<IpNet>,
    pool: BTreeMap<String, PoolFile>,
    route: Vec<RouteFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PoolFile {
    upstreams: Vec<UpstreamFile>,
    policy: Option<String>,
    health_path: Option<String>,
    /// A file of certificates that upstreams with https are checked against, besides the system's.
    ca: Option<PathBuf>,
    #[serde(default)]
    breaker: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum UpstreamFile {
    Url(String),
    Weighted { url: String, weight: u32 },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RouteFile {
    host: Option<String>,
    #[serde(default = "root")]
    path: String,
    pool: String,
    cache: Option<CacheFile>,
    limit: Option<LimitPlan>,
    body_bytes_max: Option<u64>,
    compress: Option<bool>,
    #[serde(default)]
    request_headers: BTreeMap<String, String>,
    #[serde(default)]
    response_headers: BTreeMap<String, String>,
}

fn root() -> String {
    "/".to_owned()
}

/// `cache = false`, or what differs from the default.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum CacheFile {
    Enabled(bool),
    Rule(CachePlan),
}

/// How the answers of a route are cached.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CachePlan {
    pub enabled: bool,
    /// Seconds that an answer is fresh for when it says nothing itself.
    pub default_ttl: Option<u64>,
    pub object_bytes_max: Option<u64>,
}

impl Default for CachePlan {
    fn default() -> Self {
        Self { enabled: true, default_ttl: None, object_bytes_max: None }
    }
}

/// How many requests a route takes from one caller.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LimitPlan {
    pub requests: u64,
    pub seconds: u64,
    #[serde(default)]
    pub by: LimitBy,
}

/// Who counts as one caller: `by = "address"`, or `by = { cookie = "sid" }`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitBy {
    #[default]
    Address,
    /// Whoever has the same `Authorization`.
    Token,
    /// Everybody together.
    Route,
    /// Whoever has the same value of this cookie.
    Cookie(String),
}

/// What the edge serves. Without a route, it is the restaurant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SitePlan {
    /// Further hosts that it answers to, on any port.
    pub hosts: Vec<String>,
    pub trusted_proxies: Vec<IpNet>,
    pub pools: Vec<PoolPlan>,
    pub routes: Vec<RoutePlan>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolPlan {
    pub name: String,
    pub upstreams: Vec<UpstreamPlan>,
    /// None: as the setting `balancer.policy` says.
    pub policy: Option<BalancerPolicy>,
    /// None: it is healthy if it accepts connections.
    pub health_path: Option<String>,
    pub ca: Option<PathBuf>,
    /// Whether a circuit breaker may answer in an upstream's place.
    pub breaker: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamPlan {
    /// What screens and traces call it; unlike any other of the site.
    pub id: String,
    pub url: UpstreamUrl,
    pub weight: u32,
}

/// Where an upstream is: `http://127.0.0.1:3000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamUrl {
    pub https: bool,
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePlan {
    pub host: Option<String>,
    pub path: String,
    pub pool: String,
    pub cache: CachePlan,
    pub limit: Option<LimitPlan>,
    pub body_bytes_max: Option<u64>,
    /// None: the restaurant's public answers are compressed, others are left as they are.
    pub compress: Option<bool>,
    pub request_headers: Vec<(String, String)>,
    pub response_headers: Vec<(String, String)>,
}

impl SitePlan {
    /// From `--upstream` and the file. What no route of the file is for goes to the upstreams.
    pub fn resolve(upstreams: &[String], file: SiteFile) -> Result<Self, BadConfiguration> {
        let mut pools = Vec::new();
        if !upstreams.is_empty() {
            let written = upstreams.iter().cloned().map(UpstreamFile::Url).collect();
            let pool = PoolFile { upstreams: written, policy: None, health_path: None, ca: None, breaker: false };
            pools.push(pool_plan(UPSTREAM, "u", pool)?);
        }
        if file.pool.len() > POOLS_MAX || file.route.len() > ROUTES_MAX {
            return bad(format!("at most {POOLS_MAX} pools and {ROUTES_MAX} routes are possible"));
        }
        for (name, pool) in file.pool {
            if name == RESTAURANT || (name == UPSTREAM && !pools.is_empty()) {
                return bad(format!("pool '{name}' is made by Roundtrip itself; choose another name"));
            }
            if !is_name(&name) {
                return bad(format!("pool '{name}': a name has letters, digits and dashes"));
            }
            pools.push(pool_plan(&name, &format!("{name}-"), pool)?);
        }
        let mut routes = Vec::with_capacity(file.route.len());
        for (index, route) in file.route.into_iter().enumerate() {
            routes.push(
                route_plan(route, &pools).map_err(|why| BadConfiguration(format!("route {}: {why}", index + 1)))?,
            );
        }
        let covered = routes.iter().any(|route: &RoutePlan| route.host.is_none() && route.path == "/");
        if !upstreams.is_empty() && !covered {
            routes.push(RoutePlan::all_to(UPSTREAM));
        }
        if routes.is_empty() && !pools.is_empty() {
            let [pool] = pools.as_slice() else {
                return bad("there are several pools and no route; add [[route]] tables that say what goes where");
            };
            routes.push(RoutePlan::all_to(&pool.name));
        }
        for (index, route) in routes.iter().enumerate() {
            if routes[..index].iter().any(|other| other.host == route.host && other.path == route.path) {
                return bad(format!("two routes are for {}{}", route.host.as_deref().unwrap_or("*"), route.path));
            }
        }
        let hosts = routes.iter().filter_map(|route| route.host.clone()).chain(file.hosts);
        let mut hosts: Vec<String> = hosts.map(|host| host.to_ascii_lowercase()).collect();
        hosts.sort();
        hosts.dedup();
        if let Some(host) = hosts.iter().find(|host| !is_host(host)) {
            return bad(format!("'{host}' is no name of a host; write it without scheme, port and path"));
        }
        Ok(Self { hosts, trusted_proxies: file.trusted_proxies, pools, routes })
    }

    /// Whether the restaurant is part of it.
    pub fn has_restaurant(&self) -> bool {
        self.routes.is_empty() || self.routes.iter().any(|route| route.pool == RESTAURANT)
    }
}

impl RoutePlan {
    fn all_to(pool: &str) -> Self {
        Self {
            host: None,
            path: root(),
            pool: pool.to_owned(),
            cache: CachePlan::default(),
            limit: None,
            body_bytes_max: None,
            compress: None,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
        }
    }
}

impl UpstreamUrl {
    /// Takes `http://host`, `http://host:port` and the same with https.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("upstream '{text}': {why}"));
        let (https, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return wrong("it must begin with http:// or https://"),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return wrong("a path can't be given; requests keep their own");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let port = match port.map(str::parse::<u16>) {
            None => {
                if https {
                    443
                } else {
                    80
                }
            }
            Some(Ok(port)) if port > 0 => port,
            Some(_) => return wrong("its port is not between 1 and 65535"),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let ipv6 = bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6());
        if ipv6 != host.starts_with('[') || !(ipv6 || is_host(bare)) {
            return wrong("it names no host");
        }
        Ok(Self { https, host: bare.to_ascii_lowercase(), port })
    }
}

impl std::fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

fn bad<T>(reason: impl Into<String>) -> Result<T, BadConfiguration> {
    Err(BadConfiguration(reason.into()))
}

fn pool_plan(name: &str, id_prefix: &str, pool: PoolFile) -> Result<PoolPlan, BadConfiguration> {
    let in_pool = |why: String| BadConfiguration(format!("pool '{name}': {why}"));
    if pool.upstreams.is_empty() || pool.upstreams.len() > UPSTREAMS_MAX {
        return Err(in_pool(format!("1 to {UPSTREAMS_MAX} upstreams are possible")));
    }
    let mut upstreams: Vec<UpstreamPlan> = Vec::with_capacity(pool.upstreams.len());
    for (index, written) in pool.upstreams.iter().cloned().enumerate() {
        let (url, weight) = match written {
            UpstreamFile::Url(url) => (url, 1),
            UpstreamFile::Weighted { url, weight } => (url, weight),
        };
        let url = UpstreamUrl::parse(&url).map_err(in_pool)?;
        if !(1..=WEIGHT_MAX).contains(&weight) {
            return Err(in_pool(format!("the weight of {url} is {weight}; 1 to {WEIGHT_MAX} are possible")));
        }
        if upstreams.iter().any(|other| other.url == url) {
            return Err(in_pool(format!("{url} is named twice; give it a weight instead")));
        }
        upstreams.push(UpstreamPlan { id: format!("{id_prefix}{}", index + 1), url, weight });
    }
    let policy = match &pool.policy {
        None => None,
        Some(id) => Some(BalancerPolicy::from_id(id).ok_or_else(|| {
            in_pool(format!("there is no policy '{id}'{}", did_you_mean(id, BalancerPolicy::CHOICES)))
        })?),
    };
    if pool.health_path.as_ref().is_some_and(|path| !path.starts_with('/')) {
        return Err(in_pool("health-path must begin with /".to_owned()));
    }
    let PoolFile { health_path, ca, breaker, .. } = pool;
    Ok(PoolPlan { name: name.to_owned(), upstreams, policy, health_path, ca, breaker })
}

fn route_plan(route: RouteFile, pools: &[PoolPlan]) -> Result<RoutePlan, String> {
    if !route.path.starts_with('/') {
        return Err(format!("path '{}' must begin with /", route.path));
    }
    let known: Vec<&str> = pools.iter().map(|pool| pool.name.as_str()).chain([RESTAURANT]).collect();
    if !known.contains(&route.pool.as_str()) {
        return Err(format!("there is no pool '{}'{}", route.pool, did_you_mean(&route.pool, &known)));
    }
    if route.limit.as_ref().is_some_and(|limit| limit.requests == 0 || limit.seconds == 0 || limit.seconds > 86_400) {
        return Err("a limit has at least 1 request, and 1 to 86400 seconds".to_owned());
    }
    let cache = match route.cache {
        None | Some(CacheFile::Enabled(true)) => CachePlan::default(),
        Some(CacheFile::Enabled(false)) => CachePlan { enabled: false, ..CachePlan::default() },
        Some(CacheFile::Rule(rule)) => rule,
    };
    Ok(RoutePlan {
        host: route.host.map(|host| host.to_ascii_lowercase()),
        path: route.path,
        pool: route.pool,
        cache,
        limit: route.limit,
        body_bytes_max: route.body_bytes_max,
        compress: route.compress,
        request_headers: route.request_headers.into_iter().collect(),
        response_headers: route.response_headers.into_iter().collect(),
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A DNS name or an address, as it may stand in a URL.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(upstreams: &[&str], file: &str) -> Result<SitePlan, String> {
        let upstreams: Vec<String> = upstreams.iter().map(|url| (*url).to_owned()).collect();
        let file = toml::from_str(file).map_err(|error| error.to_string())?;
        SitePlan::resolve(&upstreams, file).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_written_is_the_restaurant() {
        let plan = plan(&[], "").expect("fits");
        assert_eq!(plan, SitePlan::default());
        assert!(plan.has_restaurant());
    }

    #[test]
    fn upstreams_alone_take_everything() {
        let plan = plan(&["http://127.0.0.1:3000", "https://[::1]/"], "").expect("fits");
        assert!(!plan.has_restaurant());
        let ids: Vec<&str> = plan.pools[0].upstreams.iter().map(|upstream| upstream.id.as_str()).collect();
        assert_eq!(ids, ["u1", "u2"]);
        assert_eq!(plan.pools[0].upstreams[1].url.to_string(), "https://[::1]:443");
        assert_eq!(plan.routes, [RoutePlan::all_to(UPSTREAM)]);
    }

    #[test]
    fn a_file_says_what_goes_where() {
        let plan = plan(
            &[],
            r#"
            trusted-proxies = ["10.0.0.0/8"]
            [pool.shop]
            upstreams = ["http://127.0.0.1:3000", { url = "http://shop.internal:3001", weight = 3 }]
            policy = "round_robin"
            health-path = "/alive"
            [[route]]
            host = "Shop.example"
            path = "/api"
            pool = "shop"
            cache = { default-ttl = 5 }
            limit = { requests = 100, seconds = 60, by = { cookie = "sid" } }
            [[route]]
            pool = "bistro"
            cache = false
            "#,
        )
        .expect("fits");
        assert_eq!(plan.hosts, ["shop.example"]);
        assert_eq!((plan.pools[0].upstreams[1].weight, plan.pools[0].policy), (3, Some(BalancerPolicy::RoundRobin)));
        assert_eq!((plan.routes[0].cache.default_ttl, plan.routes[1].cache.enabled), (Some(5), false));
        let limit = plan.routes[0].limit.as_ref().expect("a limit");
        assert_eq!((limit.requests, &limit.by), (100, &LimitBy::Cookie("sid".into())));
        assert!(plan.has_restaurant());
    }

    #[test]
    fn what_no_route_is_for_goes_to_the_upstreams() {
        let file = "[pool.x]\nupstreams=['http://a']\n[[route]]\npool='x'\npath='/x'";
        let plan = plan(&["http://127.0.0.1:3000"], file).expect("fits");
        assert_eq!(plan.routes.iter().map(|route| route.pool.as_str()).collect::<Vec<_>>(), ["x", UPSTREAM]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (upstreams, file, says) in [
            (vec!["127.0.0.1:3000"], "", "must begin with http://"),
            (vec!["http://a/b"], "", "a path can't be given"),
            (vec!["http://a:0"], "", "its port"),
            (vec!["http://::1"], "", "names no host"),
            (vec!["http://user@a"], "", "names no host"),
            (vec!["http://a", "http://a:80"], "", "named twice"),
            (vec![], "[pool.shop]\nupstreams=[]", "1 to 256 upstreams"),
            (vec![], "[pool.bistro]\nupstreams=['http://a']", "made by Roundtrip itself"),
            (vec![], "[pool.a]\nupstreams=['http://a']\n[pool.b]\nupstreams=['http://b']", "no route"),
            (
                vec![],
                "[pool.shop]\nupstreams=['http://a']\n[[route]]\npool='shp'",
                "route 1: there is no pool 'shp'; did you mean 'shop'?",
            ),
            (vec![], "[pool.shop]\nupstreams=['http://a']\npolicy='round-robin'", "did you mean 'round_robin'?"),
            (vec![], "[[route]]\npool='bistro'\npath='x'", "must begin with /"),
            (vec![], "[[route]]\npool='bistro'\n[[route]]\npool='bistro'", "two routes"),
            (vec![], "hosts=['https://a']", "no name of a host"),
            (vec![], "[[route]]\npool='bistro'\nlimit={requests=0,seconds=1}", "a limit has"),
            (vec![], "[[route]]\npool='bistro'\ncolour=1", "unknown field"),
        ] {
            let error = plan(&upstreams, file).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }
}
