//! Instances that a fault kills, and that are started again when it is over. The balancer is not told that they die: that
//! is for it to find out. Where they are afterwards it is told, as by whoever starts a process again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Servers;
use super::instances::Instances;
use super::maker::{InstanceMaker, Running};
use super::site;
use crate::faults::Follow;
use crate::settings::fault::{Fault, Spec};

/// Between two attempts to start one that does not start.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Kills {
    pub servers: Arc<Mutex<Option<Servers>>>,
    pub maker: InstanceMaker,
    pub instances: Instances,
}

/// One that is dead until the fault is over.
#[derive(Debug)]
struct Dead {
    id: String,
    /// When it was killed, for a fault that is aimed at that; another may hold when it comes back.
    version: String,
}

impl Kills {
    /// Kills and starts again for as long as it is polled.
    pub async fn keep(&self) {
        let mut follow = Follow::new(&self.maker.settings, Fault::InstanceKill);
        let mut dead = Vec::<Dead>::new();
        let mut changes = self.instances.balancer().changes();
        let mut spec = None;
        loop {
            tokio::select! {
                now = follow.next() => spec = now,
                // Whoever starts while the fault is on is struck as well. The sender lives in the balancer.
                _ = changes.changed() => {}
            }
            let aimed = |id: &str, version: &str| spec.as_ref().is_some_and(|spec| is_aimed_at(spec, id, version));
            let (stay, back): (Vec<_>, Vec<_>) = dead.into_iter().partition(|dead| aimed(&dead.id, &dead.version));
            dead = stay;
            for one in back {
                self.start_again(one).await;
            }
            for Running { instance, .. } in self.take(aimed) {
                dead.push(Dead { id: instance.id().to_owned(), version: instance.version().to_owned() });
                instance.kill().await;
            }
        }
    }

    /// Takes out those whose end has come, and their buyers with them.
    fn take(&self, aimed: impl Fn(&str, &str) -> bool) -> Vec<Running> {
        let mut servers = self.servers();
        let Some(servers) = servers.as_mut() else { return Vec::new() };
        let running = std::mem::take(&mut servers.instances);
        let is_aimed = |running: &Running| aimed(running.instance.id(), running.instance.version());
        let (taken, left): (Vec<_>, Vec<_>) = running.into_iter().partition(is_aimed);
        servers.instances = left;
        if let Some(supplies) = &mut servers.supplies {
            taken.iter().for_each(|running| supplies.dismiss(running.instance.id()));
        }
        taken
    }

    /// As often as it takes.
    async fn start_again(&self, dead: Dead) {
        let Some(number) = dead.id.strip_prefix('i').and_then(|number| number.parse().ok()) else { return };
        loop {
            let started = {
                let mut servers = self.servers();
                // Who was removed while it was dead stays away, and more so if its place is taken.
                let before = self.instances.balancer().view().into_iter().find(|view| view.id == dead.id);
                let Some(before) = before else { return };
                let Some(Servers { instances, supplies: Some(supplies), .. }) = servers.as_mut() else { return };
                if instances.iter().any(|other| number_of(other) == number) {
                    return;
                }
                let started = self.maker.start(number, &self.instances.version(), supplies);
                started.map(|running| {
                    // The same instance, elsewhere; all others stay as they are.
                    self.instances.balancer().put_upstream(site::instance(&running));
                    let drained = before.draining.then(|| Arc::clone(&running.instance));
                    if drained.is_some() {
                        self.instances.balancer().set_draining(&dead.id, true);
                    }
                    let place = instances.partition_point(|other| number_of(other) < number);
                    instances.insert(place, running);
                    drained
                })
            };
            match started {
                Ok(drained) => {
                    if let Some(instance) = drained {
                        instance.retire().await;
                    }
                    return;
                }
                Err(error) => log::error!("after the fault {}: {error}", Fault::InstanceKill.key()),
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    fn servers(&self) -> MutexGuard<'_, Option<Servers>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number_of(running: &Running) -> usize {
    running.instance.id().strip_prefix('i').and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
}

fn is_aimed_at(spec: &Spec, id: &str, version: &str) -> bool {
    let named = &spec.aim.instances;
    named.is_empty() || named.iter().any(|name| name == id || name == version)
}
