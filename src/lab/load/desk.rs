//! One load at a time, for whoever watches it: started, looked at and ended from different places.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use super::figures::Figures;
use super::house::Wish;
use super::{LoadError, Orders, Plan, Report, Running, start};

/// A load that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Asked {
    pub id: u64,
    #[serde(flatten)]
    pub wish: Wish,
}

/// A load that is over.
#[derive(Debug, Serialize)]
pub struct Ended {
    #[serde(flatten)]
    pub asked: Asked,
    #[serde(flatten)]
    pub report: Report,
}

/// What is told of it every second.
#[derive(Debug, Clone, Default, Serialize)]
pub struct View {
    /// None: none is under way.
    pub running: Option<Asked>,
    /// Of the one under way, else of the last.
    pub figures: Option<Arc<Figures>>,
}

/// Why none was started.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error("a load is under way already; end it, or wait until it is over")]
    Busy,
    #[error("the server is being stopped")]
    Closed,
    #[error(transparent)]
    Load(#[from] LoadError),
}

#[derive(Debug)]
pub struct Desk {
    state: Mutex<State>,
    view: watch::Sender<View>,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    /// The one under way, by its number.
    running: Option<(u64, Orders)>,
    last: Option<Arc<Ended>>,
    closed: bool,
}

impl Default for Desk {
    fn default() -> Self {
        Self { state: Mutex::default(), view: watch::channel(View::default()).0 }
    }
}

impl Desk {
    /// Starts a load, unless one is under way, and returns its number. Within a tokio runtime.
    pub fn start(self: &Arc<Self>, wish: Wish, plan: Plan) -> Result<u64, DeskError> {
        let (asked, running) = {
            let mut state = self.state();
            if state.closed {
                return Err(DeskError::Closed);
            }
            if state.running.is_some() {
                return Err(DeskError::Busy);
            }
            let running = start(plan)?;
            state.count += 1;
            let asked = Asked { id: state.count, wish };
            state.running = Some((asked.id, running.orders()));
            self.view.send_replace(View { running: Some(asked), figures: Some(running.figures().borrow().clone()) });
            (asked, running)
        };
        tokio::spawn(Arc::clone(self).follow(asked, running));
        Ok(asked.id)
    }

    async fn follow(self: Arc<Self>, asked: Asked, running: Running) {
        // Whoever drops this half-way (its runtime ends) has the desk free again.
        let _free = Free { desk: &self, id: asked.id };
        let mut figures = running.figures();
        while figures.changed().await.is_ok() {
            let latest = figures.borrow_and_update().clone();
            self.view.send_replace(View { running: Some(asked), figures: Some(latest) });
        }
        if let Some(report) = running.report().await {
            let figures = Arc::clone(&report.figures);
            log::info!("load {} is over: {} sent, {} answered", asked.id, figures.sent, figures.answered);
            let mut state = self.state();
            state.last = Some(Arc::new(Ended { asked, report }));
            state.running = None;
            // Under the lock: whoever finds the desk free tells of a load of their own.
            self.view.send_replace(View { running: None, figures: Some(figures) });
        }
    }

    /// Ends the one under way, orderly; false when there is none.
    pub fn stop(&self) -> bool {
        self.state().running.as_ref().map(|(_, orders)| orders.stop()).is_some()
    }

    /// Ends the one under way at once, and starts no other.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        if let Some((_, orders)) = &state.running {
            orders.abort();
        }
    }

    pub fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Told every second while one is under way, and once it is over.
    pub fn subscribe(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// The one that ended last.
    pub fn last(&self) -> Option<Arc<Ended>> {
        self.state().last.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Free<'a> {
    desk: &'a Desk,
    id: u64,
}

impl Drop for Free<'_> {
    /// Only of its own load: once that is over, another may have begun.
    fn drop(&mut self) {
        let mut state = self.desk.state();
        if state.running.as_ref().is_some_and(|(id, _)| *id == self.id) {
            state.running = None;
            self.desk.view.send_if_modified(|view| view.running.take().is_some());
        }
    }
}
