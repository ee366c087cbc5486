//! One instance in the place of another of the same id, while the others take its requests.

use super::super::maker::InstanceMaker;
use super::super::site;
use super::{HEALTHY_WITHIN, Instances, InstancesError};
use crate::policy::health::State;
use crate::settings::startup::INSTANCES_MAX;

impl Instances {
    /// Whose caller has the turn. Returns once the new one takes requests.
    pub(super) async fn replace(&self, id: &str, version: &str) -> Result<(), InstancesError> {
        self.another_serves(id).await?;
        self.empty(id).await?;
        let Some(old) = self.running(id)? else {
            // It was killed meanwhile, and takes requests when it is back.
            self.balancer().set_draining(id, false);
            return Err(InstancesError::NotHealthy(format!("{id} was killed")));
        };
        let buyer = match self.start_in_place(id, version) {
            Ok(buyer) => buyer,
            Err(error) => {
                self.balancer().set_draining(id, false);
                // Not if it was killed meanwhile.
                if let Some(old) = self.running(id)? {
                    old.resume();
                }
                return Err(error);
            }
        };
        let leave = async {
            if let Some(buyer) = buyer {
                buyer.stop().await;
            }
            old.stop().await;
        };
        tokio::join!(leave, self.healthy(id)).1
    }

    /// The new one is in the list, and the old one's buyer handed back; the old one answers nobody any more.
    fn start_in_place(&self, id: &str, version: &str) -> Result<Option<super::super::supply::Buyer>, InstancesError> {
        let number = (1..=INSTANCES_MAX).find(|number| InstanceMaker::id(*number) == id);
        let number = number.ok_or_else(|| InstancesError::Unknown(id.to_owned()))?;
        self.with_servers(|servers| {
            let place = servers.instances.iter().position(|running| running.instance.id() == id);
            let place = place.ok_or_else(|| InstancesError::Unknown(id.to_owned()))?;
            let supplies = servers.supplies.as_mut().ok_or(InstancesError::NoRestaurant)?;
            let running = self.0.maker.start(number, version, supplies)?;
            let buyer = supplies.take(id);
            self.balancer().put_upstream(site::instance(&running));
            servers.instances[place] = running;
            Ok(buyer)
        })?
    }

    /// Waits until it takes requests.
    pub(super) async fn healthy(&self, id: &str) -> Result<(), InstancesError> {
        let mut changes = self.balancer().changes();
        let wait = async {
            loop {
                changes.borrow_and_update();
                let view = self.balancer().view().into_iter().find(|view| view.id == id);
                match view.map(|view| (view.state, view.reason)) {
                    Some((State::Healthy, _)) => return Ok(()),
                    Some((State::Unhealthy, Some(reason))) => {
                        return Err(InstancesError::NotHealthy(format!("{id} did not get healthy: {reason}")));
                    }
                    None | Some((State::Stopped, _)) => {
                        return Err(InstancesError::NotHealthy(format!("{id} was taken out before it was healthy")));
                    }
                    Some(_) => {}
                }
                if changes.changed().await.is_err() {
                    return Err(InstancesError::Stopped);
                }
            }
        };
        tokio::select! {
            healthy = tokio::time::timeout(HEALTHY_WITHIN, wait) => healthy.unwrap_or_else(|_| {
                let why = format!("{id} was not healthy within {} s", HEALTHY_WITHIN.as_secs());
                Err(InstancesError::NotHealthy(why))
            }),
            () = self.closed() => Err(InstancesError::Stopped),
        }
    }

    /// Waits until one beside `id` takes requests: never is more than one missing. One that is not healthy itself
    /// is missing already, and waits for nobody.
    pub(super) async fn another_serves(&self, id: &str) -> Result<(), InstancesError> {
        let mut changes = self.balancer().changes();
        let wait = async {
            loop {
                changes.borrow_and_update();
                let list = self.list();
                let is_healthy = list.iter().any(|one| one.id == id && one.state == State::Healthy);
                if !is_healthy || list.iter().any(|other| other.id != id && other.serves()) {
                    return;
                }
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            waited = tokio::time::timeout(HEALTHY_WITHIN, wait) => waited.map_err(|_| {
                InstancesError::NotHealthy(format!("no instance but {id} takes requests"))
            }),
            () = self.closed() => Err(InstancesError::Stopped),
        }
    }

    /// Those that run, in order.
    pub(super) fn alive(&self) -> Vec<String> {
        let alive = self.list().into_iter().filter(|instance| !instance.killed);
        alive.map(|instance| instance.id).collect()
    }

    /// How many take requests.
    pub(super) fn serving(&self) -> usize {
        self.list().iter().filter(|instance| instance.serves()).count()
    }
}
