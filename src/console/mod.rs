//! The control plane: the console, on a listener of its own. Its requests never go through the thing
//! they watch and break, and never count as traffic.
//!
//! [`gate`] lets a request in (right host, right origin, who is it), [`routes`] is the table of its
//! addresses. [`door`] is the one plain page, which explains the certificate.

mod account;
mod backups;
mod cache;
mod caller;
mod configuration;
pub mod control;
mod docs;
pub mod door;
mod events;
mod gate;
mod happenings;
mod instances;
mod journeys;
mod load;
mod logs;
mod pages;
mod query;
mod rollouts;
mod routes;
mod settings;
mod setup;
mod signing;
mod site;
mod stack;
mod tokens;
mod traces;
mod upstreams;
mod watching;
mod written;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, middleware, web};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use crate::lab::load::desk::Desk;
use crate::policy::throttle::Throttle;
use crate::policy::token_bucket::Buckets;
use crate::stack::Stack;
use crate::stack::live::Live;
use crate::stack::people::Counts;
use crate::stack::reload::{Loaded, Reloader};
use crate::store::control::Control;
use crate::store::hasher::Hasher;
use crate::web::host::HostList;
use crate::web::problem::Problem;
use written::follow_ends;

/// The console's name that browsers resolve without any DNS.
pub const NAME: &str = "roundtrip.localhost";
/// A request's body, beyond which it is 413.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Pages that may listen to events at once; and scripts, which take their places among them.
const LISTENERS_MAX: usize = 64;
const SCRIPTS_LISTENING_MAX: usize = 16;
/// How often the stack's state is told when nothing else happens.
const STATE_EVERY: Duration = Duration::from_secs(2);
/// Addresses whose sign-ins are counted at once.
const ADDRESSES_MAX: usize = 1_024;
/// How long an orderly stop waits for what is under way.
const DRAIN: Duration = Duration::from_secs(2);

/// What the console is made of.
#[derive(Debug)]
pub struct ConsoleConfig {
    /// Bound already.
    pub listener: TcpListener,
    pub tls: Arc<rustls::ServerConfig>,
    /// Names and addresses under which it answers.
    pub hosts: HostList,
    pub stack: Arc<Stack>,
    /// Loads the configuration again.
    pub reloader: Arc<Reloader>,
    pub control: Control,
    pub hasher: Hasher,
    /// Proves a command that can read the data folder.
    pub control_key: [u8; 32],
    /// The door's address, where set-up begins.
    pub door_url: String,
}

/// What its handlers share.
struct State {
    /// Where it listens: a peer of this address is this machine, as one of loopback is.
    own_ip: IpAddr,
    hosts: HostList,
    stack: Arc<Stack>,
    live: Live,
    reloader: Arc<Reloader>,
    control: Control,
    hasher: Hasher,
    control_key: [u8; 32],
    door_url: String,
    throttle: Mutex<Throttle>,
    /// Of each address, beside what the throttle knows of each name.
    sign_ins: Mutex<Buckets<IpAddr>>,
    /// Tokens of each address that were wrong: they take no sign-in from the owner.
    wrong_tokens: Mutex<Buckets<IpAddr>>,
    /// Who changes settings: one after another, so that each event tells what was there. Held across awaits on purpose,
    /// which the async mutex is for.
    turn: tokio::sync::Mutex<()>,
    /// Who loads the configuration, likewise.
    loading: tokio::sync::Mutex<()>,
    listeners: Arc<Semaphore>,
    scripts_listening: Arc<Semaphore>,
    /// What was counted last in the stack's database, which may be too busy to say.
    counted: Mutex<Option<Counts>>,
    /// [`stack::state_of`], every other second: once for all the pages.
    overview: watch::Sender<Value>,
    loads: Arc<Desk>,
    closing: watch::Receiver<bool>,
}

/// Shows no key.
impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("stack", &self.stack).finish_non_exhaustive()
    }
}

/// The running console.
#[derive(Debug)]
pub struct Console {
    address: SocketAddr,
    handle: ServerHandle,
    state: web::Data<State>,
    closing: watch::Sender<bool>,
}

impl Console {
    pub fn start(config: ConsoleConfig) -> std::io::Result<Console> {
        let address = config.listener.local_addr()?;
        let (closing, closed) = watch::channel(false);
        follow_ends(&config.stack, config.control.clone(), closed.clone());
        let state = web::Data::new(State {
            own_ip: address.ip(),
            hosts: config.hosts,
            live: Live::start(&config.stack),
            stack: config.stack,
            reloader: config.reloader,
            control: config.control,
            hasher: config.hasher,
            control_key: config.control_key,
            door_url: config.door_url,
            throttle: Mutex::default(),
            sign_ins: Mutex::new(Buckets::new(ADDRESSES_MAX)),
            wrong_tokens: Mutex::new(Buckets::new(ADDRESSES_MAX)),
            turn: tokio::sync::Mutex::default(),
            loading: tokio::sync::Mutex::default(),
            listeners: Arc::new(Semaphore::new(LISTENERS_MAX)),
            scripts_listening: Arc::new(Semaphore::new(SCRIPTS_LISTENING_MAX)),
            counted: Mutex::default(),
            overview: watch::Sender::default(),
            loads: Arc::default(),
            closing: closed,
        });
        stack::keep_overview(&state);
        let shared = state.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
                .wrap(middleware::from_fn(gate::gate))
                .configure(routes::configure)
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(DRAIN.as_secs())
        .listen_rustls_0_23(config.listener, rustls::ServerConfig::clone(&config.tls))?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Console { address, handle, state, closing })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Loads the configuration again on behalf of `who`, who is no person.
    pub async fn load_configuration(&self, who: &str) -> Result<Loaded, Problem> {
        configuration::load(&self.state, who.to_owned()).await
    }

    /// Ends the load that it sends and the event streams, then lets what is under way finish.
    pub async fn stop(self) {
        self.state.loads.close();
        self.closing.send_replace(true);
        self.handle.stop(true).await;
    }
}
