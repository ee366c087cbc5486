//! The workers of one instance, as they start and stop with it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::worker::Worker;
use crate::faults::Home;
use crate::observe::recorder::Recorder;
use crate::settings::runtime::Settings;
use crate::settings::service::WORKERS_MAX;
use crate::store::bistro::Bistro;

/// How long an orderly stop waits for tickets to be handed back; what remains is found by its lease.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// The workers of an instance. Dropped, they are gone at once, as when a process dies: what they had in
/// their hands is taken by others when its lease has run out.
#[derive(Debug)]
pub struct Workers {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Workers {
    /// As many places as there may ever be workers; those beyond the setting are empty and cost nothing.
    pub(super) fn start(home: &Home, bistro: &Bistro, settings: &Settings, recorder: &Recorder) -> Self {
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for number in 1..=WORKERS_MAX {
            let worker = Worker {
                name: format!("{}/{number}", home.instance()),
                home: home.clone(),
                number,
                bistro: bistro.clone(),
                settings: settings.clone(),
                recorder: recorder.clone(),
                stop: stop.subscribe(),
            };
            tasks.spawn(worker.run());
        }
        Self { tasks, stop }
    }

    /// Orderly: nothing more is taken up, and what is being cooked is handed back.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WITHIN, ended).await.is_err() {
            log::warn!("some workers of the kitchen did not hand their tickets back in time");
        }
    }
}
