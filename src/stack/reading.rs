//! All figures of a stack at one moment; what happened in between is the difference of two.

use std::time::Duration;

use super::Stack;
use crate::balancer::figures::Figures as Upstream;
use crate::domain::kitchen::Lengths;
use crate::edge::{Figures as Edge, cache};
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::metrics::Totals;
use crate::service::supply;
use crate::settings::runtime::Snapshot;
use crate::store;
use crate::store::engine::Use;

/// A pool of upstreams.
#[derive(Debug, Clone)]
pub struct Pool {
    pub name: String,
    pub waiting: u64,
    pub waiting_max: u64,
    /// Requests that one upstream may have under way.
    pub concurrency: u64,
    pub upstreams: Vec<Upstream>,
}

/// What there is no figure of (the stack was stopped, or has no restaurant) is None or empty.
#[derive(Debug, Clone)]
pub struct Reading {
    pub at: Tick,
    pub settings: Snapshot,
    pub totals: Totals,
    pub edge: Option<Edge>,
    pub edge_cache: Option<cache::Figures>,
    pub pools: Vec<Pool>,
    /// How long the threads of each instance have been at work, by the instance's id.
    pub busy: Vec<(String, Vec<Duration>)>,
    pub menu_caches: Vec<(String, store::cache::Figures)>,
    pub buyers: Vec<(String, supply::Figures)>,
    pub kitchen: Option<Lengths>,
    pub database: Option<Use>,
    /// Time spent at a hop and how often, in the order of the way.
    pub hops: [(Duration, u64); Hop::ALL.len()],
}

impl Reading {
    pub fn of(stack: &Stack) -> Self {
        let (edge, busy) = match &*stack.servers() {
            Some(servers) => {
                let busy = servers
                    .instances
                    .iter()
                    .map(|instance| (instance.instance.id().to_owned(), instance.instance.busy()));
                (Some(servers.edge.figures()), busy.collect())
            }
            None => (None, Vec::new()),
        };
        let pools = stack.pools().clone();
        let pools = pools.iter().map(|(name, balancer)| {
            let (waiting_max, concurrency) = balancer.bounds();
            let (waiting, upstreams) = (balancer.waiting(), balancer.figures());
            Pool { name: name.clone(), waiting, waiting_max, concurrency, upstreams }
        });
        let metrics = stack.recorder.metrics();
        Self {
            at: Tick::now(),
            settings: stack.settings.snapshot().as_ref().clone(),
            totals: metrics.totals(),
            edge,
            edge_cache: stack.cache().map(|cache| cache.figures()),
            pools: pools.collect(),
            busy,
            menu_caches: stack.menu_caches(),
            buyers: stack.buyers(),
            kitchen: stack.bistro.as_ref().and_then(|bistro| bistro.kitchen_lengths()),
            database: stack.bistro.as_ref().map(|bistro| bistro.usage()),
            hops: Hop::ALL.map(|hop| {
                let counts = metrics.hop(hop).durations.counts();
                (counts.sum, counts.total())
            }),
        }
    }

    /// Looks into all caches since the start, and those that found something.
    pub fn looks(&self) -> (u64, u64) {
        let edge = self.edge_cache.iter().map(|cache| {
            let hits = cache.hits + cache.stale_hits;
            (hits + cache.misses, hits)
        });
        let menus = self.menu_caches.iter().map(|(_, cache)| {
            let hits = cache.hits + cache.negative_hits;
            (hits + cache.misses, hits)
        });
        edge.chain(menus).fold((0, 0), |(looks, hits), (more, found)| (looks + more, hits + found))
    }
}
