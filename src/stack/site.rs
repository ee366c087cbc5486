//! From what was written to what runs: pools of upstreams, and the edge's routes to them.

use std::net::SocketAddr;
use std::sync::Arc;

use super::StackError;
use crate::balancer::target::Target;
use crate::balancer::{Balancer, PoolRules, UpstreamConfig};
use crate::edge::limit::LimitRule;
use crate::edge::limits::EdgeLimits;
use crate::edge::site::{PathRule, Route, Rules, Site};
use crate::settings::runtime::Settings;
use crate::settings::site::{PoolPlan, RESTAURANT, RoutePlan, SitePlan, UpstreamPlan};
use crate::tls::upstream_config;
use crate::web::host::HostList;

/// What every pool is made with.
#[derive(Debug, Clone)]
pub struct Ground {
    pub settings: Settings,
    pub hop_secret: String,
    /// The restaurant's instances; empty without one.
    pub instances: Vec<(String, SocketAddr)>,
    /// The names of this machine and of the app, on the ports that are bound.
    pub hosts: HostList,
}

/// A pool by its name.
pub type Pools = Vec<(String, Balancer)>;

impl Ground {
    /// The pools of `plan`. A pool that is in `running` already goes on: its upstreams that stay keep their
    /// connections and what is known of them.
    pub fn pools(&self, plan: &SitePlan, running: &Pools) -> Result<Pools, StackError> {
        let mut upstreams = Vec::with_capacity(plan.pools.len() + 1);
        if plan.has_restaurant() {
            upstreams.push((RESTAURANT.to_owned(), PoolRules::default(), self.own_upstreams()));
        }
        for pool in &plan.pools {
            let rules = PoolRules { policy: pool.policy, without_breaker: !pool.breaker };
            upstreams.push((pool.name.clone(), rules, foreign_upstreams(pool)?));
        }
        // From here on nothing can fail: either every pool changes or none.
        let pool = |(name, rules, upstreams): (String, PoolRules, Vec<UpstreamConfig>)| {
            let balancer = self.pool(&name, upstreams, running);
            balancer.set_own_rules(rules);
            (name, balancer)
        };
        Ok(upstreams.into_iter().map(pool).collect())
    }

    fn pool(&self, name: &str, upstreams: Vec<UpstreamConfig>, running: &Pools) -> Balancer {
        match running.iter().find(|(other, _)| other == name) {
            Some((_, balancer)) => {
                balancer.set_upstreams(upstreams);
                balancer.clone()
            }
            None => Balancer::new(upstreams, self.settings.clone(), self.hop_secret.clone()),
        }
    }

    fn own_upstreams(&self) -> Vec<UpstreamConfig> {
        let upstream =
            |(id, address): &(String, SocketAddr)| UpstreamConfig { own: true, ..UpstreamConfig::new(id, *address) };
        self.instances.iter().map(upstream).collect()
    }

    /// The edge's view of `plan`.
    pub fn site(&self, plan: &SitePlan, pools: &Pools) -> Result<Site, StackError> {
        let hosts = self.hosts.clone().and_anywhere(&plan.hosts);
        let mut routes = Vec::new();
        if plan.routes.is_empty() {
            let rules = Rules::strict(&EdgeLimits::default());
            routes.extend(restaurant(None, balancer(pools, RESTAURANT)?, &rules));
        }
        for route in &plan.routes {
            let balancer = balancer(pools, &route.pool)?;
            let own = route.pool == RESTAURANT;
            let rules = if own { Rules::strict(&EdgeLimits::default()) } else { Rules::transparent() };
            let rules = rules.with_plan(route).map_err(|error| StackError::Site(error.to_string()))?;
            if own && route.path == "/" {
                routes.extend(restaurant(route.host.as_deref(), balancer, &rules));
            } else {
                routes.push(Route {
                    host: route.host.clone(),
                    path: PathRule::Prefix(route.path.clone()),
                    balancer: balancer.clone(),
                    rules,
                });
            }
        }
        Ok(Site::new(hosts, plan.trusted_proxies.clone(), routes))
    }
}

/// Whether `plan` would be served, without starting anything.
pub fn check(plan: &SitePlan) -> Result<(), StackError> {
    plan.pools.iter().try_for_each(|pool| foreign_upstreams(pool).map(drop))?;
    let rules = |route: &RoutePlan| Rules::transparent().with_plan(route).map(drop);
    plan.routes.iter().try_for_each(rules).map_err(|error| StackError::Site(error.to_string()))
}

fn balancer<'a>(pools: &'a Pools, name: &str) -> Result<&'a Balancer, StackError> {
    let found = pools.iter().find(|(other, _)| other == name);
    found.map(|(_, balancer)| balancer).ok_or_else(|| StackError::Site(format!("there is no pool '{name}'")))
}

/// The restaurant's routes, with rules of their own where secrets are checked and where an order may be
/// sent twice.
fn restaurant(host: Option<&str>, balancer: &Balancer, rules: &Rules) -> [Route; 3] {
    let route =
        |path: PathRule, rules: Rules| Route { host: host.map(str::to_owned), path, balancer: balancer.clone(), rules };
    [
        route(
            PathRule::Exact("/api/v1/session".to_owned()),
            Rules { tells_times: false, limit: LimitRule::SignIn, ..rules.clone() },
        ),
        route(PathRule::Exact("/api/v1/orders".to_owned()), Rules { idempotency_key_counts: true, ..rules.clone() }),
        route(PathRule::Prefix("/".to_owned()), rules.clone()),
    ]
}

/// The upstreams of a pool that somebody wrote. Blocks while it reads certificates.
fn foreign_upstreams(pool: &PoolPlan) -> Result<Vec<UpstreamConfig>, StackError> {
    let bad = |why: String| StackError::Site(format!("pool '{}': {why}", pool.name));
    let sealed = pool.upstreams.iter().any(|upstream| upstream.url.https);
    let trust = match sealed || pool.ca.is_some() {
        true => Some(upstream_config(pool.ca.as_deref()).map_err(|error| bad(error.to_string()))?),
        false => None,
    };
    let upstream = |upstream: &UpstreamPlan| {
        let (host, port) = (upstream.url.host.clone(), upstream.url.port);
        let target = match &trust {
            Some(trust) if upstream.url.https => {
                Target::tls(host, port, Arc::clone(trust)).map_err(|error| bad(error.to_string()))?
            }
            _ => Target::plain(host, port),
        };
        Ok(UpstreamConfig {
            id: upstream.id.clone(),
            target,
            own: false,
            health_path: pool.health_path.clone(),
            weight: upstream.weight,
        })
    };
    pool.upstreams.iter().map(upstream).collect()
}
