//! Open-loop load: requests are sent when they are due, whatever became of those before them.
//!
//! [`clock`] puts each into the [`backlog`] when its time has come (`policy::arrivals` says when), a [`caller`]
//! for each connection takes it from there, [`mix`] says what it is, [`tally`] counts, [`figures`] tells.
//! A request's latency begins when it was due: a server that stalls can't hide the wait of those who came
//! meanwhile ("coordinated omission", Tene 2013). All of it runs on threads of its own.

mod backlog;
mod caller;
mod clock;
pub mod desk;
pub mod figures;
pub mod house;
pub mod mix;
pub mod report;
mod tally;
mod template;

use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::client::lean::Origin;
use crate::policy::arrivals::{Spacing, Stage};
use backlog::Backlog;
use caller::{Shared, Shelf};
use clock::{Clock, Crew};
use figures::{Figures, SecondFigures};
use mix::Mix;
pub use tally::Times;

/// Requests that wait for a connection, unless a plan says otherwise.
pub const BACKLOG_MAX: usize = 65_536;
pub const RATE_MAX: f64 = 100_000.0;
pub const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);
pub const CONNECTIONS_MAX: usize = 4_096;
pub const THREADS_MAX: usize = 2;
pub const STAGES_MAX: usize = 64;
pub const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// A load, as a value.
#[derive(Debug, Clone)]
pub struct Plan {
    pub origin: Arc<Origin>,
    pub mix: Mix,
    pub stages: Vec<Stage>,
    pub spacing: Spacing,
    pub seed: u64,
    /// Requests under way at the same time, at most.
    pub connections: usize,
    /// A new connection for each request if false.
    pub keep_alive: bool,
    pub threads: usize,
    /// From when a connection takes a request; and for what is under way when nothing more is due.
    pub timeout: Duration,
    /// Requests that are due and wait for a connection; one more is counted as not sent.
    pub backlog_max: usize,
}

/// Why a load did not start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{0}")]
    Plan(String),
    #[error("the system gives no threads for it: {0}")]
    Threads(#[from] io::Error),
}

/// What was asked for, for whoever reads the figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sent {
    pub origin: String,
    pub requests: Vec<String>,
    pub stages: Vec<StageView>,
    pub arrivals: &'static str,
    pub seed: u64,
    pub connections: usize,
    pub keep_alive: bool,
    pub threads: usize,
    pub timeout_s: f64,
    pub backlog_max: usize,
}

/// A stage, for whoever reads the figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StageView {
    pub from: f64,
    pub to: f64,
    pub lasts_s: f64,
}

impl Plan {
    /// All of its stages.
    pub fn lasts(&self) -> Duration {
        self.stages.iter().map(|stage| stage.lasts).sum()
    }

    fn check(&self) -> Result<(), LoadError> {
        let bad = |why: String| Err(LoadError::Plan(why));
        let rate = 0.0..=RATE_MAX;
        if !(1..=STAGES_MAX).contains(&self.stages.len()) {
            return bad(format!("1 to {STAGES_MAX} stages are possible"));
        }
        if !self.stages.iter().all(|stage| rate.contains(&stage.from) && rate.contains(&stage.to)) {
            return bad(format!("a rate is between 0 and {RATE_MAX} requests a second"));
        }
        if self.stages.iter().any(|stage| stage.lasts.is_zero()) || self.lasts() > DURATION_MAX {
            return bad("a load lasts between a moment and a day".to_owned());
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.connections) {
            return bad(format!("1 to {CONNECTIONS_MAX} connections are possible"));
        }
        if !(1..=THREADS_MAX).contains(&self.threads) {
            return bad(format!("1 to {THREADS_MAX} threads are possible"));
        }
        if self.timeout.is_zero() || self.timeout > TIMEOUT_MAX {
            return bad(format!("a timeout is at most {TIMEOUT_MAX:?}"));
        }
        Ok(())
    }

    /// What is asked for.
    pub fn describe(&self) -> Sent {
        let view = |stage: &Stage| StageView { from: stage.from, to: stage.to, lasts_s: stage.lasts.as_secs_f64() };
        Sent {
            origin: self.origin.url().origin(),
            requests: self.mix.names().map(str::to_owned).collect(),
            stages: self.stages.iter().map(view).collect(),
            arrivals: match self.spacing {
                Spacing::Constant => "constant",
                Spacing::Poisson => "poisson",
            },
            seed: self.seed,
            connections: self.connections,
            keep_alive: self.keep_alive,
            threads: self.threads,
            timeout_s: self.timeout.as_secs_f64(),
            backlog_max: self.backlog_max,
        }
    }
}

/// What a load came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub sent: Sent,
    pub figures: Arc<Figures>,
    pub series: Vec<SecondFigures>,
    /// For whoever wants other percentiles, or adds several loads up.
    #[serde(skip)]
    pub latency: Times,
    #[serde(skip)]
    pub service: Times,
    #[serde(skip)]
    pub lag: Times,
}

/// How far a load is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Run,
    /// Nothing more is sent; what is under way may end.
    Stop,
    /// What is under way is cut.
    Abort,
}

/// A load under way. Dropping it aborts it.
#[derive(Debug)]
pub struct Running {
    figures: watch::Receiver<Arc<Figures>>,
    orders: Orders,
    report: oneshot::Receiver<Report>,
    _aborts: AbortOnDrop,
}

/// Ends a load from elsewhere.
#[derive(Debug, Clone)]
pub struct Orders {
    command: Arc<watch::Sender<Command>>,
    clock: thread::Thread,
}

impl Orders {
    /// Orderly: nothing more is sent, what is under way has the patience of one request.
    pub fn stop(&self) {
        self.order(Command::Stop);
    }

    /// At once.
    pub fn abort(&self) {
        self.order(Command::Abort);
    }

    fn order(&self, command: Command) {
        // Who wanted it at once does not want it orderly any more.
        self.command.send_modify(|now| {
            if *now != Command::Abort {
                *now = command;
            }
        });
        self.clock.unpark();
    }
}

#[derive(Debug)]
struct AbortOnDrop(Orders);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Running {
    /// Told every second.
    pub fn figures(&self) -> watch::Receiver<Arc<Figures>> {
        self.figures.clone()
    }

    pub fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// Waits until it is over. None when its threads were lost.
    pub async fn report(self) -> Option<Report> {
        self.report.await.ok()
    }
}

/// Starts a load on threads of its own.
pub fn start(plan: Plan) -> Result<Running, LoadError> {
    plan.check()?;
    let (command, ordered) = watch::channel(Command::Run);
    let (report_to, report) = oneshot::channel();
    let (started_to, started) = mpsc::channel();
    let clock = thread::Builder::new().name("load-clock".to_owned()).spawn(move || {
        match assemble(plan, ordered) {
            Err(error) => drop(started_to.send(Err(error))),
            Ok((mut clock, figures, crews)) => {
                // Whoever started it may be gone already; then nobody wants the report either.
                let _ = started_to.send(Ok(figures));
                clock.run();
                for crew in crews {
                    crew.end();
                }
                let _ = report_to.send(clock.report());
            }
        }
    })?;
    let orders = Orders { command: Arc::new(command), clock: clock.thread().clone() };
    let lost = || io::Error::other("the clock's thread ended");
    let figures = started.recv().map_err(|_| lost())??;
    Ok(Running { figures, _aborts: AbortOnDrop(orders.clone()), orders, report })
}

type Figured = watch::Receiver<Arc<Figures>>;

/// The threads of callers, and the clock that this thread becomes.
fn assemble(plan: Plan, ordered: watch::Receiver<Command>) -> io::Result<(Clock, Figured, Vec<CrewThread>)> {
    let threads = plan.threads;
    let shared = Arc::new(Shared {
        backlog: Backlog::new(plan.backlog_max),
        mix: plan.mix.clone(),
        opened: AtomicUsize::new(0),
        left: AtomicUsize::new(plan.connections),
        clock: thread::current(),
        plan,
    });
    let kinds = shared.mix.names().count();
    let (mut crews, mut running) = (Vec::with_capacity(threads), Vec::with_capacity(threads));
    for number in 0..threads {
        let shelf: Shelf = Arc::new(std::sync::Mutex::new(tally::Tally::new(kinds)));
        let callers = (number..shared.plan.connections).step_by(threads).count();
        let (thread, metrics) = CrewThread::start(Arc::clone(&shared), Arc::clone(&shelf), callers)?;
        crews.push(Crew { shelf, metrics });
        running.push(thread);
    }
    let (told, figures) = watch::channel(Arc::new(Figures::none()));
    Ok((Clock::new(shared, crews, ordered, told), figures, running))
}

/// A thread with callers on it.
struct CrewThread {
    cut: watch::Sender<bool>,
    thread: thread::JoinHandle<()>,
}

impl CrewThread {
    fn start(
        shared: Arc<Shared>,
        shelf: Shelf,
        callers: usize,
    ) -> io::Result<(CrewThread, tokio::runtime::RuntimeMetrics)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let metrics = runtime.metrics();
        let (cut, mut is_cut) = watch::channel(false);
        let thread = thread::Builder::new().name("load".to_owned()).spawn(move || {
            runtime.block_on(async {
                let mut calls = JoinSet::new();
                for _ in 0..callers {
                    calls.spawn(caller::call(Arc::clone(&shared), Arc::clone(&shelf)));
                }
                tokio::select! {
                    // Also when whoever could cut is gone.
                    _ = is_cut.wait_for(|cut| *cut) => {}
                    () = async { while calls.join_next().await.is_some() {} } => {}
                }
            });
        })?;
        Ok((CrewThread { cut, thread }, metrics))
    }

    /// Cuts what is still under way.
    fn end(self) {
        self.cut.send_replace(true);
        if self.thread.join().is_err() {
            log::error!("a thread of the load generator panicked; its last figures may be missing");
        }
    }
}
