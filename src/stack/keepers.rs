//! Those who act when a fault begins and when it ends; the others strike what passes.

use tokio::task::JoinSet;

use super::kills::Kills;
use crate::service;
use crate::settings::runtime::Settings;
use crate::store::bistro::Bistro;

/// At work until dropped. What they hold of the database [`Bistro::let_go`] lets go of.
#[derive(Debug)]
pub struct Keepers {
    _tasks: JoinSet<()>,
}

impl Keepers {
    pub fn start(settings: &Settings, bistro: &Bistro, kills: Kills) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { kills.keep().await });
        let of_service = settings.clone();
        tasks.spawn(async move { service::faults::keep(&of_service).await });
        let (bistro, settings) = (bistro.clone(), settings.clone());
        tasks.spawn(async move { bistro.keep_faults(&settings).await });
        Self { _tasks: tasks }
    }
}
