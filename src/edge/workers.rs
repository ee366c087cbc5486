//! The threads that serve connections, each with a runtime of its own. A connection stays on the thread that
//! it was given to, and so do the upstream connections that its requests use: nobody is woken on another core.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Dropped, all of them end, and whatever runs there.
#[derive(Debug)]
pub struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Connections that it serves.
    serves: Arc<AtomicUsize>,
    /// Nothing is ever sent: the thread ends when this is dropped.
    stop: oneshot::Sender<Infallible>,
    /// Dropped by the thread when all that ran there is gone.
    ended: oneshot::Receiver<Infallible>,
}

impl Workers {
    /// At least one.
    pub fn start(count: usize) -> io::Result<Self> {
        (0..count.max(1)).map(Worker::start).collect::<io::Result<_>>().map(Self)
    }

    /// Gives a connection to the one that serves fewest.
    pub fn spawn(&self, connections: &mut JoinSet<()>, served: impl Future<Output = ()> + Send + 'static) {
        let Some(worker) = self.0.iter().min_by_key(|worker| worker.serves.load(Ordering::Relaxed)) else { return };
        let place = Place::at(worker);
        let served = async move {
            served.await;
            drop(place);
        };
        connections.spawn_on(served, &worker.runtime);
    }

    /// How long each has been at work since the start.
    pub fn busy(&self) -> Vec<Duration> {
        self.0.iter().map(|worker| worker.runtime.metrics().worker_total_busy_duration(0)).collect()
    }

    /// Ends them, and waits until they have.
    pub async fn stop(&mut self) {
        for Worker { stop, ended, .. } in self.0.drain(..) {
            drop(stop);
            // An error is what it waits for.
            let _ = ended.await;
        }
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let (running, ended) = oneshot::channel::<Infallible>();
        thread::Builder::new().name(format!("edge-{number}")).spawn(move || {
            let _ = runtime.block_on(stopped);
            drop(runtime);
            drop(running);
        })?;
        Ok(Self { runtime: handle, serves: Arc::default(), stop, ended })
    }
}

/// A connection, as its worker counts it.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn at(worker: &Worker) -> Self {
        worker.serves.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&worker.serves))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
