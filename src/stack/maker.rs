//! What an instance is made of: kept, so that one can be started again, and others beside it.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use super::StackError;
use super::supply::Supplies;
use crate::api::{Instance, InstanceConfig};
use crate::faults::Home;
use crate::observe::recorder::Recorder;
use crate::service::Service;
use crate::settings::runtime::Settings;
use crate::store::bistro::Bistro;
use crate::store::cache::MenuCache;
use crate::store::hasher::Hasher;

/// The version of the application that a stack starts with.
pub const FIRST_VERSION: &str = "v1";

/// All that is needed to start an instance over the one database.
#[derive(Debug, Clone)]
pub struct InstanceMaker {
    pub bistro: Bistro,
    pub hasher: Hasher,
    pub recorder: Recorder,
    pub hop_secret: String,
    pub settings: Settings,
}

/// An instance that answers, and what it remembers of the menu.
#[derive(Debug)]
pub struct Running {
    pub instance: Arc<Instance>,
    pub menu: MenuCache,
}

impl InstanceMaker {
    /// `i1`, `i2`, …
    pub fn id(number: usize) -> String {
        format!("i{number}")
    }

    /// Starts instance `number` on a port of its own, with a cache of its own, and its buyer. Within a tokio runtime.
    pub fn start(&self, number: usize, version: &str, supplies: &mut Supplies) -> Result<Running, StackError> {
        let id = Self::id(number);
        let seed = number as u64;
        let home = Home::new(id.clone(), version);
        let bistro = self.bistro.of(home.clone());
        let menu = MenuCache::of(home, &bistro.invalidation(), self.settings.clone(), seed);
        let supply = supplies.supply(&bistro, self.settings.clone(), seed);
        let service =
            Service::new(bistro, self.hasher.clone(), menu.clone(), self.settings.clone()).with_supply(supply.clone());
        let started = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| {
            Instance::start(InstanceConfig {
                id: id.clone(),
                version: version.to_owned(),
                listener,
                hop_secret: self.hop_secret.clone(),
                recorder: self.recorder.clone(),
                service,
                settings: self.settings.clone(),
            })
        });
        // Its buyer only now: one that does not start leaves the one that it was to replace with its own.
        let instance = match started {
            Ok(instance) => instance,
            Err(reason) => return Err(StackError::Instance { id, reason }),
        };
        supplies.employ(&id, supply);
        Ok(Running { instance: Arc::new(instance), menu })
    }
}
