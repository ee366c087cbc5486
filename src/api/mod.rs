//! The API: where a request first meets the application.
//!
//! One [`Instance`] is one copy of the application behind the balancer: an actix-web server on a
//! loopback socket. A request passes [`guard`] (is it from our edge, whose trace is it), then its
//! handler of [`routes`]: who are you, may you, is it well formed; `service` does the work.

mod answer;
mod body;
mod call;
mod changes;
mod cursor;
mod days;
mod faults;
mod front;
mod guard;
mod key;
mod kitchen;
mod kitchen_events;
mod ledger;
mod menu;
pub mod openapi;
mod order_view;
mod orders;
mod pantry;
mod query;
mod refusal;
pub mod routes;
mod session;

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, middleware, web};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use crate::faults::Home;
use crate::observe::recorder::Recorder;
use crate::service::Service;
use crate::service::kitchen::Workers;
use crate::settings::runtime::Settings;

/// A request's body, beyond which it is 413. Orders are far below; the edge has its own, wider bound.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What an instance is made of.
#[derive(Debug)]
pub struct InstanceConfig {
    /// `i1`, `i2`, …
    pub id: String,
    /// Of the application, by which faults are aimed: `v1`.
    pub version: String,
    /// Bound already, so that its port is known.
    pub listener: TcpListener,
    /// The stack's per-start secret: requests without it are not from our edge.
    pub hop_secret: String,
    pub recorder: Recorder,
    pub service: Service,
    pub settings: Settings,
}

/// Pages that may listen to one instance's kitchen at once.
const LISTENERS_MAX: usize = 64;

/// The state that handlers of one instance share.
struct State {
    home: Home,
    hop_secret: String,
    recorder: Recorder,
    service: Service,
    settings: Settings,
    /// Places for pages that listen to the kitchen.
    listeners: Arc<Semaphore>,
    /// Places for requests that a fault keeps from being answered.
    stuck: Semaphore,
    /// Streams end when it turns true.
    closing: watch::Receiver<bool>,
}

/// A running copy of the application. Dropping it cuts everything; [`Instance::stop`] is the orderly way.
#[derive(Debug)]
pub struct Instance {
    home: Home,
    address: SocketAddr,
    handle: ServerHandle,
    /// None while it has nobody at work in the kitchen.
    workers: Mutex<Option<Workers>>,
    service: Service,
    recorder: Recorder,
    closing: watch::Sender<bool>,
    threads: Threads,
}

/// The runtimes of its threads.
type Threads = Arc<Mutex<Vec<Handle>>>;

impl Instance {
    /// Starts answering. One worker thread an instance: two instances are two threads, not two pools.
    pub fn start(config: InstanceConfig) -> std::io::Result<Instance> {
        let address = config.listener.local_addr()?;
        let home = Home::new(config.id, config.version);
        let closing = watch::Sender::new(false);
        let (service, recorder) = (config.service.clone(), config.recorder.clone());
        let state = web::Data::new(State {
            home: home.clone(),
            hop_secret: config.hop_secret,
            recorder: config.recorder,
            service: config.service,
            settings: config.settings,
            listeners: Arc::new(Semaphore::new(LISTENERS_MAX)),
            stuck: Semaphore::new(faults::STUCK_MAX),
            closing: closing.subscribe(),
        });
        let threads = Threads::default();
        let started = Arc::clone(&threads);
        let server = HttpServer::new(move || {
            // Called on each of its threads.
            started.lock().unwrap_or_else(PoisonError::into_inner).push(Handle::current());
            App::new()
                .app_data(state.clone())
                .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
                .wrap(middleware::from_fn(guard::guard))
                .configure(routes::configure)
        })
        .workers(1)
        .disable_signals()
        // Otherwise a connection that the edge closed goes unnoticed and its work goes on.
        .h1_allow_half_closed(false)
        .shutdown_timeout(DRAIN.as_secs())
        .listen(config.listener)?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        let workers = Mutex::new(Some(service.start_kitchen(&home, recorder.clone())));
        Ok(Instance { home, address, handle, workers, service, recorder, closing, threads })
    }

    pub fn id(&self) -> &str {
        self.home.instance()
    }

    pub fn version(&self) -> &str {
        self.home.version()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long each of its threads has been at work since the start.
    pub fn busy(&self) -> Vec<Duration> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.iter().map(|thread| thread.metrics().worker_total_busy_duration(0)).collect()
    }

    /// The first half of an orderly stop, while requests are still answered: streams that would never end by
    /// themselves do, and the kitchen's workers hand back what they have in their hands.
    pub async fn retire(&self) {
        self.closing.send_replace(true);
        let workers = self.kitchen().take();
        if let Some(workers) = workers {
            workers.stop().await;
        }
    }

    /// Takes back [`Self::retire`].
    pub fn resume(&self) {
        self.closing.send_replace(false);
        self.kitchen().get_or_insert_with(|| self.service.start_kitchen(&self.home, self.recorder.clone()));
    }

    /// Stops taking connections and lets what is under way finish.
    pub async fn stop(&self) {
        self.retire().await;
        self.handle.stop(true).await;
    }

    /// Stops at once: what is under way is cut, as when a process dies.
    pub async fn kill(&self) {
        drop(self.kitchen().take());
        self.handle.stop(false).await;
    }

    fn kitchen(&self) -> MutexGuard<'_, Option<Workers>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Told is enough: the server ends by itself. After an orderly stop nobody is there to be told.
        drop(self.handle.stop(false));
    }
}

/// How long an orderly stop waits for what is under way.
const DRAIN: Duration = Duration::from_secs(10);

/// The state of a request as its handler sees it; shared with the guard.
type Shared<T> = Rc<T>;
