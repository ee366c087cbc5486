//! From what was written to what runs: pools of upstreams, and the edge's routes to them.

use std::net::SocketAddr;

use super::StackError;
use crate::balancer::{Balancer, UpstreamConfig};
use crate::edge::limits::EdgeLimits;
use crate::edge::site::{PathRule, Route, Rules, Site};
use crate::settings::runtime::Settings;
use crate::settings::site::{PoolPlan, RESTAURANT, RoutePlan, SitePlan};
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
    pub async fn pools(&self, plan: &SitePlan, running: &Pools) -> Result<Pools, StackError> {
        let mut pools = Pools::new();
        if plan.has_restaurant() {
            pools.push((RESTAURANT.to_owned(), self.pool(RESTAURANT, self.own_upstreams(), running)));
        }
        for pool in &plan.pools {
            pools.push((pool.name.clone(), self.pool(&pool.name, foreign_upstreams(pool).await?, running)));
        }
        Ok(pools)
    }

    fn pool(&self, name: &str, upstreams: Vec<UpstreamConfig>, running: &Pools) -> Balancer {
        match running.iter().find(|(other, _)| other == name) {
            Some((_, balancer)) => balancer.clone(),
            None => Balancer::new(upstreams, self.settings.clone(), self.hop_secret.clone()),
        }
    }

    fn own_upstreams(&self) -> Vec<UpstreamConfig> {
        let upstream = |(id, address): &(String, SocketAddr)| UpstreamConfig {
            id: id.clone(),
            address: *address,
            own: true,
            health_path: None,
        };
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

/// Whether the edge would take `plan`: what [`Ground::site`] checks, without starting anything.
pub fn check(plan: &SitePlan) -> Result<(), StackError> {
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
        route(PathRule::Exact("/api/v1/session".to_owned()), Rules { tells_times: false, ..rules.clone() }),
        route(PathRule::Exact("/api/v1/orders".to_owned()), Rules { idempotency_key_counts: true, ..rules.clone() }),
        route(PathRule::Prefix("/".to_owned()), rules.clone()),
    ]
}

async fn foreign_upstreams(pool: &PoolPlan) -> Result<Vec<UpstreamConfig>, StackError> {
    let mut upstreams = Vec::with_capacity(pool.upstreams.len());
    for upstream in &pool.upstreams {
        let mut found = tokio::net::lookup_host((upstream.url.host.as_str(), upstream.url.port))
            .await
            .map_err(|error| StackError::Site(format!("{}: {error}", upstream.url)))?;
        let address = found.next().ok_or_else(|| StackError::Site(format!("{} has no address", upstream.url)))?;
        upstreams.push(UpstreamConfig {
            id: upstream.id.clone(),
            address,
            own: false,
            health_path: pool.health_path.clone(),
        });
    }
    Ok(upstreams)
}
