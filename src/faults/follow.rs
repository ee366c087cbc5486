//! Waking those who must act when a fault begins or ends.

use tokio::sync::watch;

use crate::observe::clock::Tick;
use crate::settings::fault::{Fault, Spec};
use crate::settings::runtime::Settings;

/// One fault, followed from off.
#[derive(Debug)]
pub struct Follow {
    settings: Settings,
    changed: watch::Receiver<()>,
    fault: Fault,
    last: Option<Spec>,
}

impl Follow {
    pub fn new(settings: &Settings, fault: Fault) -> Self {
        Self { changed: settings.listen(), settings: settings.clone(), fault, last: None }
    }

    /// Waits until the fault is another than at the last call: switched on (or on already, at the first call),
    /// changed, or over, by hand or by its time; says what it is now. Safe to drop while waiting.
    pub async fn next(&mut self) -> Option<Spec> {
        loop {
            self.changed.borrow_and_update();
            let now = Tick::now();
            let spec = self.settings.snapshot().faults.get(self.fault).filter(|spec| now < spec.until).cloned();
            if spec != self.last {
                self.last.clone_from(&spec);
                return spec;
            }
            let over = async {
                match &spec {
                    Some(spec) => tokio::time::sleep(spec.until.since(now)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender lives in `self.settings`, so this never fails.
                _ = self.changed.changed() => {}
                () = over => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn it_wakes_at_the_beginning_at_a_change_and_at_the_end() {
        let settings = Settings::default();
        let mut follow = Follow::new(&settings, Fault::DataLocked);
        let set = |value| settings.change([("fault.data.locked", &value)]).expect("it fits");
        set(json!(true));
        assert!(follow.next().await.is_some());
        set(json!({ "for_s": 1 }));
        assert!(follow.next().await.is_some());
        // By its own time.
        assert_eq!(follow.next().await, None);
    }
}
