//! One instance more, one fewer, one that is emptied.

use std::sync::Arc;

use super::super::maker::InstanceMaker;
use super::super::site;
use super::{EMPTY_WITHIN, INSTANCES_MAX, InstanceShown, Instances, InstancesError};
use crate::api::Instance;
use crate::observe::happening::Kind;

impl Instances {
    /// Starts one more; it takes requests as soon as its first health check has passed.
    pub async fn add(&self, who: &str) -> Result<InstanceShown, InstancesError> {
        let (instances, who) = (self.clone(), who.to_owned());
        self.carry_out(async move {
            let _turn = instances.turn().await?;
            let version = instances.version();
            let id = instances.start_one(&version)?;
            instances.record(Kind::Instance, &who, format!("{id} started, {version}"));
            instances.one(&id)
        })
        .await
    }

    /// Empties one (it gets no new requests, and its cooks hand back their tickets), or lets it work again.
    pub async fn set_draining(&self, id: &str, draining: bool, who: &str) -> Result<InstanceShown, InstancesError> {
        let (instances, id, who) = (self.clone(), id.to_owned(), who.to_owned());
        self.carry_out(async move {
            let _turn = instances.turn().await?;
            let before = instances.one(&id)?;
            if before.draining != draining {
                let what = if draining { "is being emptied" } else { "takes requests again" };
                instances.record(Kind::Instance, &who, format!("{id} {what}"));
            }
            instances.balancer().set_draining(&id, draining);
            match instances.running(&id)? {
                Some(instance) if draining => instance.retire().await,
                Some(instance) => instance.resume(),
                None => {}
            }
            instances.one(&id)
        })
        .await
    }

    /// Empties one and stops it. What it has under way ends first.
    pub async fn remove(&self, id: &str, who: &str) -> Result<(), InstancesError> {
        let (instances, id, who) = (self.clone(), id.to_owned(), who.to_owned());
        self.carry_out(async move {
            let _turn = instances.turn().await?;
            instances.end_one(&id).await?;
            instances.record(Kind::Instance, &who, format!("{id} was removed"));
            Ok(())
        })
        .await
    }

    /// Starts the next free one. Its caller has the turn.
    pub(in super::super) fn start_one(&self, version: &str) -> Result<String, InstancesError> {
        let taken: Vec<String> = self.list().into_iter().map(|instance| instance.id).collect();
        let mut numbers = 1..=INSTANCES_MAX;
        let number = numbers.find(|number| !taken.contains(&InstanceMaker::id(*number))).ok_or(InstancesError::Full)?;
        self.with_servers(|servers| {
            let supplies = servers.supplies.as_mut().ok_or(InstancesError::NoRestaurant)?;
            let running = self.0.maker.start(number, version, supplies)?;
            self.balancer().put_upstream(site::instance(&running));
            servers.instances.push(running);
            Ok::<_, InstancesError>(())
        })??;
        Ok(InstanceMaker::id(number))
    }

    /// Empties one and stops it. Its caller has the turn.
    pub(in super::super) async fn end_one(&self, id: &str) -> Result<(), InstancesError> {
        let instance = self.one(id)?;
        let takes = |instance: &InstanceShown| !instance.draining && !instance.killed;
        // One that was emptied first is no less the last.
        if !instance.killed && !self.list().iter().any(|other| other.id != id && takes(other)) {
            return Err(InstancesError::Last(id.to_owned()));
        }
        self.another_serves(id).await?;
        self.empty(id).await?;
        let (running, buyer) = self.with_servers(|servers| {
            // Together with the rest, or one that was dead would be started again in between.
            self.balancer().remove_upstream(id);
            let place = servers.instances.iter().position(|running| running.instance.id() == id);
            let buyer = servers.supplies.as_mut().and_then(|supplies| supplies.take(id));
            (place.map(|place| servers.instances.remove(place)), buyer)
        })?;
        if let Some(buyer) = buyer {
            buyer.stop().await;
        }
        if let Some(running) = running {
            running.instance.stop().await;
        }
        Ok(())
    }

    /// No new requests; waits until what is under way has ended, but not for ever.
    pub(super) async fn empty(&self, id: &str) -> Result<(), InstancesError> {
        self.balancer().set_draining(id, true);
        if let Some(instance) = self.running(id)? {
            instance.retire().await;
        }
        let emptied = tokio::time::timeout(EMPTY_WITHIN, self.balancer().emptied(id));
        tokio::select! {
            emptied = emptied => if emptied.is_err() {
                log::warn!("{id} still has requests under way after {EMPTY_WITHIN:?}; they are cut");
            },
            () = self.closed() => return Err(InstancesError::Stopped),
        }
        Ok(())
    }

    /// None when it is dead.
    pub(super) fn running(&self, id: &str) -> Result<Option<Arc<Instance>>, InstancesError> {
        self.with_servers(|servers| {
            let found = servers.instances.iter().find(|running| running.instance.id() == id);
            found.map(|running| Arc::clone(&running.instance))
        })
    }
}
