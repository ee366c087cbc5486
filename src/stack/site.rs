//! From what was written to what runs: pools of upstreams, and the edge's routes to them.

use std::sync::Arc;

use super::StackError;
use super::maker::Running;
use crate::balancer::target::Target;
use crate::balancer::{Balancer, PoolRules, UpstreamConfig};
use crate::edge::limit::LimitRule;
use crate::edge::site::{PathRule, Route, Rules, Site};
use crate::observe::happening::Happenings;
use crate::settings::runtime::Settings;
use crate::settings::site::{PoolPlan, RESTAURANT, RoutePlan, SitePlan, UpstreamPlan};
use crate::tls::UpstreamTrust;
use crate::web::host::HostList;

/// What every pool is made with.
#[derive(Debug, Clone)]
pub struct Ground {
    pub settings: Settings,
    /// Where pools tell what happens to their upstreams.
    pub happenings: Happenings,
    pub hop_secret: String,
    /// The restaurant's instances; None without one. It is the same for as long as the stack runs, whether
    /// a route leads there or not.
    pub restaurant: Option<Balancer>,
    /// The names of this machine and of the app, on the ports that are bound.
    pub hosts: HostList,
    pub trust: UpstreamTrust,
}

/// A pool by its name.
pub type Pools = Vec<(String, Balancer)>;

/// What a pool is to be.
type Wanted = (String, PoolRules, Vec<UpstreamConfig>);

impl Ground {
    /// The pools of `plan`. A pool that is in `running` already goes on: its upstreams that stay keep their
    /// connections and what is known of them. Either every pool changes or none.
    pub async fn pools(&self, plan: &SitePlan, running: &Pools) -> Result<Pools, StackError> {
        check_routes(plan)?;
        let mut pools = Pools::with_capacity(plan.pools.len() + 1);
        if let (true, Some(restaurant)) = (plan.has_restaurant(), &self.restaurant) {
            pools.push((RESTAURANT.to_owned(), restaurant.clone()));
        }
        for (name, rules, upstreams) in self.wanted(plan).await? {
            let balancer = match running.iter().find(|(other, _)| *other == name) {
                Some((_, balancer)) => {
                    balancer.set_upstreams(upstreams);
                    balancer.clone()
                }
                None => {
                    let balancer = Balancer::new(upstreams, self.settings.clone(), self.hop_secret.clone());
                    balancer.report_to(&self.happenings);
                    balancer
                }
            };
            balancer.set_own_rules(rules);
            pools.push((name, balancer));
        }
        Ok(pools)
    }

    /// What somebody wrote, with the certificates that it names: files are read.
    async fn wanted(&self, plan: &SitePlan) -> Result<Vec<Wanted>, StackError> {
        let (plan, trust) = (plan.clone(), self.trust.clone());
        let read = tokio::task::spawn_blocking(move || {
            let wanted = |pool: &PoolPlan| {
                let rules = PoolRules { policy: pool.policy, without_breaker: !pool.breaker };
                Ok((pool.name.clone(), rules, foreign_upstreams(pool, &trust)?))
            };
            plan.pools.iter().map(wanted).collect()
        });
        read.await.map_err(|error| StackError::Site(error.to_string()))?
    }

    /// The edge's view of `plan`.
    pub fn site(&self, plan: &SitePlan, pools: &Pools) -> Result<Site, StackError> {
        let hosts = self.hosts.clone().and_anywhere(&plan.hosts);
        let mut routes = Vec::new();
        if plan.routes.is_empty() {
            let rules = Rules::strict();
            routes.extend(restaurant(None, balancer(pools, RESTAURANT)?, &rules));
        }
        for route in &plan.routes {
            let balancer = balancer(pools, &route.pool)?;
            let own = route.pool == RESTAURANT;
            let rules = match own {
                true => Rules::strict(),
                false => Rules { counted_as: Some(route.path.as_str().into()), ..Rules::transparent() },
            };
            let rules = rules.with_plan(route).map_err(|error| StackError::Site(error.to_string()))?;
            if own && route.path == "/" {
                routes.extend(restaurant(route.host.as_deref(), balancer, &rules));
            } else {
                routes.push(Route {
                    host: route.host.clone(),
                    path: PathRule::Prefix(route.path.clone()),
                    pool: route.pool.clone(),
                    balancer: balancer.clone(),
                    rules,
                });
            }
        }
        Ok(Site::new(hosts, plan.trusted_proxies.clone(), routes))
    }
}

/// The restaurant's instances, as upstreams.
pub fn instances(running: &[Running]) -> Vec<UpstreamConfig> {
    running.iter().map(instance).collect()
}

pub fn instance(Running { instance, .. }: &Running) -> UpstreamConfig {
    let version = Some(instance.version().to_owned());
    UpstreamConfig { own: true, version, ..UpstreamConfig::new(instance.id(), instance.address()) }
}

/// Whether `plan` would be served, without starting anything. Reads the files that it names.
pub fn check(plan: &SitePlan) -> Result<(), StackError> {
    let trust = UpstreamTrust::default();
    plan.pools.iter().try_for_each(|pool| foreign_upstreams(pool, &trust).map(drop))?;
    check_routes(plan)
}

fn check_routes(plan: &SitePlan) -> Result<(), StackError> {
    let rules = |route: &RoutePlan| Rules::transparent().with_plan(route).map(drop);
    plan.routes.iter().try_for_each(rules).map_err(|error| StackError::Site(error.to_string()))
}

fn balancer<'a>(pools: &'a Pools, name: &str) -> Result<&'a Balancer, StackError> {
    let found = pools.iter().find(|(other, _)| other == name);
    found.map(|(_, balancer)| balancer).ok_or_else(|| StackError::Site(format!("there is no pool '{name}'")))
}

/// The restaurant's routes, with rules of their own where secrets are checked and where an order may be
/// sent twice.
fn restaurant(host: Option<&str>, balancer: &Balancer, rules: &Rules) -> [Route; 4] {
    let route = |path: PathRule, rules: Rules| Route {
        host: host.map(str::to_owned),
        path,
        pool: RESTAURANT.to_owned(),
        balancer: balancer.clone(),
        rules,
    };
    let once = Rules { idempotency_key_counts: true, ..rules.clone() };
    [
        route(
            PathRule::Exact("/api/v1/session".to_owned()),
            Rules { tells_times: false, limit: LimitRule::SignIn, ..rules.clone() },
        ),
        route(PathRule::Prefix("/api/v1/orders".to_owned()), once.clone()),
        route(PathRule::Exact("/api/v1/ledger/days".to_owned()), once),
        route(PathRule::Prefix("/".to_owned()), rules.clone()),
    ]
}

/// The upstreams of a pool that somebody wrote. Blocks while it reads certificates.
fn foreign_upstreams(pool: &PoolPlan, trust: &UpstreamTrust) -> Result<Vec<UpstreamConfig>, StackError> {
    let bad = |why: String| StackError::Site(format!("pool '{}': {why}", pool.name));
    let sealed = pool.upstreams.iter().any(|upstream| upstream.url.https);
    let config = match sealed || pool.ca.is_some() {
        true => Some(trust.config(pool.ca.as_deref()).map_err(|error| bad(error.to_string()))?),
        false => None,
    };
    let upstream = |upstream: &UpstreamPlan| {
        let (host, port) = (upstream.url.host.clone(), upstream.url.port);
        let target = match &config {
            Some(config) if upstream.url.https => {
                Target::tls(host, port, Arc::clone(config)).map_err(|error| bad(error.to_string()))?
            }
            _ => Target::plain(host, port),
        };
        Ok(UpstreamConfig {
            id: upstream.id.clone(),
            target,
            own: false,
            version: None,
            health_path: pool.health_path.clone(),
            weight: upstream.weight,
        })
    };
    pool.upstreams.iter().map(upstream).collect()
}
