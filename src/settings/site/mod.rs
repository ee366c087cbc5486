//! What the edge is to serve, as somebody wrote it: `--upstream`, and the tables of `roundtrip.toml`.
//!
//! Everything is checked here, before anything starts or is changed: what comes out is a [`SitePlan`].

mod file;
mod url;

use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;

use super::balancer::BalancerPolicy;
use super::startup::BadConfiguration;
pub use file::SiteFile;
use file::{PoolFile, UpstreamFile, pool_plan, root, route_plan};
pub use url::UpstreamUrl;
use url::is_host;

/// The pool that is the restaurant's instances.
pub const RESTAURANT: &str = "bistro";
/// The pool that `--upstream` makes.
pub const UPSTREAM: &str = "upstream";
/// Bounds of a file that was written by hand, or by a script gone wrong.
const POOLS_MAX: usize = 64;
const ROUTES_MAX: usize = 256;
/// The largest share of an upstream beside the others.
pub const WEIGHT_MAX: u32 = 256;

/// The keys of `roundtrip.toml` that are tables or lists of the site.
pub const KEYS: [&str; 4] = ["hosts", "trusted-proxies", "pool", "route"];

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
    /// Whether a POST with an `Idempotency-Key` may be sent again.
    pub idempotency_key: bool,
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
            idempotency_key: false,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
        }
    }
}

fn bad<T>(reason: impl Into<String>) -> Result<T, BadConfiguration> {
    Err(BadConfiguration(reason.into()))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
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
