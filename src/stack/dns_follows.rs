//! Names of instances, which come and go with their health, as where services find each other by DNS.

use std::net::{IpAddr, SocketAddr};

use tokio::task::AbortHandle;

use crate::balancer::Balancer;
use crate::dns::{DnsConfig, Names};
use crate::policy::health::State;

/// The name that holds the addresses of all instances that take requests.
const ALL: &str = "instances.roundtrip.test";

/// Keeps the names of a running stack; ends when dropped.
#[derive(Debug)]
pub struct DnsFollows(AbortHandle);

impl Drop for DnsFollows {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl DnsFollows {
    /// Publishes the `fixed` names and those of the healthy instances, from now on.
    pub fn start(names: Names, balancer: &Balancer, fixed: DnsConfig) -> Self {
        let mut changes = balancer.changes();
        let balancer = balancer.clone();
        let task = tokio::spawn(async move {
            let mut published = Vec::new();
            loop {
                changes.borrow_and_update();
                let healthy = healthy(balancer.view().into_iter().map(|view| (view.id, view.state, view.address)));
                if healthy != published {
                    if let Err(error) = names.replace(with_instances(&fixed, &healthy)) {
                        log::error!("the names of the instances were not changed: {error}");
                    }
                    published = healthy;
                }
                if changes.changed().await.is_err() {
                    return;
                }
            }
        });
        Self(task.abort_handle())
    }
}

/// Name and address of those that take requests.
fn healthy(instances: impl Iterator<Item = (String, State, Option<SocketAddr>)>) -> Vec<(String, IpAddr)> {
    let takes = instances.filter(|(_, state, _)| *state == State::Healthy);
    takes.filter_map(|(id, _, address)| Some((format!("{id}.roundtrip.test"), address?.ip()))).collect()
}

fn with_instances(fixed: &DnsConfig, healthy: &[(String, IpAddr)]) -> DnsConfig {
    healthy.iter().fold(fixed.clone(), |names, (name, ip)| names.address(name, *ip).address(ALL, *ip))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn only_those_that_take_requests_have_names_and_share_one() {
        let ip = |last| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        let view = |(last, state)| (format!("i{last}"), state, Some(SocketAddr::new(ip(last), 1)));
        let states = [
            (1, State::Healthy),
            (2, State::Unhealthy),
            (3, State::Stopped),
            (4, State::Starting),
            (5, State::Healthy),
        ];
        let fixed = DnsConfig::new(SocketAddr::new(ip(1), 0)).address("bistro.roundtrip.test", ip(9));
        let names = with_instances(&fixed, &healthy(states.into_iter().map(view)));
        let named: Vec<(&str, IpAddr)> =
            names.addresses.iter().map(|address| (address.name.as_str(), address.ip)).collect();
        let expected =
            [("bistro.roundtrip.test", 9), ("i1.roundtrip.test", 1), (ALL, 1), ("i5.roundtrip.test", 5), (ALL, 5)];
        assert_eq!(named, expected.map(|(name, last)| (name, ip(last))));
    }
}
