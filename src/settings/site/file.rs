//! The tables of `roundtrip.toml` as they are written, and what each comes to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;

use super::url::UpstreamUrl;
use super::{CachePlan, LimitPlan, PoolPlan, RESTAURANT, RoutePlan, UpstreamPlan, WEIGHT_MAX};
use crate::settings::balancer::BalancerPolicy;
use crate::settings::startup::{BadConfiguration, did_you_mean};

const UPSTREAMS_MAX: usize = 256;

/// As written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SiteFile {
    pub(super) hosts: Vec<String>,
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) pool: BTreeMap<String, PoolFile>,
    pub(super) route: Vec<RouteFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct PoolFile {
    pub(super) upstreams: Vec<UpstreamFile>,
    pub(super) policy: Option<String>,
    pub(super) health_path: Option<String>,
    /// A file of certificates that upstreams with https are checked against, besides the system's.
    pub(super) ca: Option<PathBuf>,
    #[serde(default)]
    pub(super) breaker: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum UpstreamFile {
    Url(String),
    Weighted { url: String, weight: u32 },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RouteFile {
    host: Option<String>,
    #[serde(default = "root")]
    path: String,
    pool: String,
    cache: Option<CacheFile>,
    limit: Option<LimitPlan>,
    body_bytes_max: Option<u64>,
    compress: Option<bool>,
    /// Whether the application does the same thing once for each `Idempotency-Key`.
    #[serde(default)]
    idempotency_key: bool,
    #[serde(default)]
    request_headers: BTreeMap<String, String>,
    #[serde(default)]
    response_headers: BTreeMap<String, String>,
}

pub(super) fn root() -> String {
    "/".to_owned()
}

/// `cache = false`, or what differs from the default.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum CacheFile {
    Enabled(bool),
    Rule(CachePlan),
}

/// `id_prefix` and a number make an upstream's id.
pub(super) fn pool_plan(name: &str, id_prefix: &str, pool: PoolFile) -> Result<PoolPlan, BadConfiguration> {
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

pub(super) fn route_plan(route: RouteFile, pools: &[PoolPlan]) -> Result<RoutePlan, String> {
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
        idempotency_key: route.idempotency_key,
        request_headers: route.request_headers.into_iter().collect(),
        response_headers: route.response_headers.into_iter().collect(),
    })
}
