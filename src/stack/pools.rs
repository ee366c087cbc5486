//! The pools of upstreams, the restaurant's and those that somebody wrote, as they are now.

use super::Stack;
use crate::balancer::events::Event;
use crate::balancer::{Balancer, InstanceView};

/// A pool of upstreams as the console shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PoolView {
    pub name: String,
    pub policy: &'static str,
    /// Requests that wait for a place.
    pub waiting: u64,
    #[serde(skip)]
    pub upstreams: Vec<InstanceView>,
}

impl Stack {
    /// Each pool as it is now.
    pub fn pool_views(&self) -> Vec<PoolView> {
        let view = |(name, balancer): &(String, Balancer)| PoolView {
            name: name.clone(),
            policy: balancer.policy().id(),
            waiting: balancer.waiting(),
            upstreams: balancer.view(),
        };
        self.pools().iter().map(view).collect()
    }

    /// What happened to upstreams, the newest last.
    pub fn upstream_events(&self) -> Vec<Event> {
        let mut events: Vec<Event> = self.pools().iter().flat_map(|(_, balancer)| balancer.events()).collect();
        events.sort_by_key(|event| event.at);
        events
    }

    /// Changes an upstream's share; 0 gets no request. None when there is no such upstream.
    pub fn set_weight(&self, id: &str, weight: u32) -> Option<InstanceView> {
        self.change_upstream(id, |balancer| balancer.set_weight(id, weight))
    }

    /// Empties an upstream, or lets it take requests again. None when there is no such upstream. An instance of ours
    /// is more than that: [`super::instances::Instances::set_draining`].
    pub fn set_draining(&self, id: &str, draining: bool) -> Option<InstanceView> {
        self.change_upstream(id, |balancer| balancer.set_draining(id, draining))
    }

    fn change_upstream(&self, id: &str, change: impl Fn(&Balancer) -> bool) -> Option<InstanceView> {
        let pools = self.pools();
        let (_, balancer) = pools.iter().find(|(_, balancer)| change(balancer))?;
        balancer.view().into_iter().find(|view| view.id == id)
    }
}
