//! The clock of a load, a thread of its own: puts each request into the backlog when it is due, tells the
//! figures every second, and ends it all.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::RuntimeMetrics;
use tokio::sync::watch;

use super::caller::{Shared, Shelf, lock};
use super::figures::{Around, Figures, Phase, SecondFigures};
use super::tally::Tally;
use super::{Command, Report};
use crate::policy::arrivals::Arrivals;

/// The clock looks no more often than this: what comes due within is put in together.
const GRAIN: Duration = Duration::from_micros(100);
const SECOND: Duration = Duration::from_secs(1);

/// A thread of callers, as the clock sees it.
pub(super) struct Crew {
    pub shelf: Shelf,
    pub metrics: RuntimeMetrics,
}

/// A load under way, from the clock's side.
pub(super) struct Clock {
    shared: Arc<Shared>,
    crews: Vec<Crew>,
    command: watch::Receiver<Command>,
    told: watch::Sender<Arc<Figures>>,
    names: Vec<String>,
    phase: Phase,
    start: Instant,
    next_second: Instant,
    busy_before: Duration,
    planned: u64,
    not_sent: u64,
    /// Everything up to the end of the latest second.
    counted: Tally,
    series: Vec<SecondFigures>,
    /// At the end of the latest second.
    planned_before: u64,
    not_sent_before: u64,
}

impl Clock {
    pub fn new(
        shared: Arc<Shared>,
        crews: Vec<Crew>,
        command: watch::Receiver<Command>,
        told: watch::Sender<Arc<Figures>>,
    ) -> Self {
        let names: Vec<String> = shared.mix.names().map(str::to_owned).collect();
        let now = Instant::now();
        Self {
            shared,
            crews,
            command,
            told,
            counted: Tally::new(names.len()),
            names,
            phase: Phase::Opening,
            start: now,
            next_second: now + SECOND,
            busy_before: Duration::ZERO,
            planned: 0,
            not_sent: 0,
            series: Vec::new(),
            planned_before: 0,
            not_sent_before: 0,
        }
    }

    /// Until every caller is done, or was given up.
    pub fn run(&mut self) {
        self.open();
        self.start = Instant::now();
        self.next_second = self.start + SECOND;
        self.busy_before = self.busy();
        self.phase = Phase::Running;
        self.pace();
        self.phase = Phase::Finishing;
        self.finish();
    }

    /// Waits until every connection was tried.
    fn open(&self) {
        let until = Instant::now() + self.shared.plan.timeout + SECOND;
        while self.shared.opened.load(Relaxed) < self.shared.plan.connections
            && self.ordered() == Command::Run
            && Instant::now() < until
        {
            thread::park_timeout(until.saturating_duration_since(Instant::now()));
        }
    }

    /// Puts in what is due until nothing more will be.
    fn pace(&mut self) {
        let plan = &self.shared.plan;
        let mut arrivals = Arrivals::new(plan.stages.clone(), plan.spacing, plan.seed);
        let mut next = arrivals.next();
        while let Some(due) = next
            && self.ordered() == Command::Run
        {
            let due = self.start + due;
            let now = Instant::now();
            if due <= now {
                self.put_in(due, now);
                next = arrivals.next();
                continue;
            }
            self.tick(now);
            let wait = due.min(self.next_second).saturating_duration_since(now);
            thread::park_timeout(wait.max(GRAIN));
        }
    }

    fn put_in(&mut self, due: Instant, now: Instant) {
        match self.shared.backlog.push(self.planned, due) {
            Some(true) => {}
            Some(false) => self.counted.lag.record(now - due),
            None => {
                self.counted.lag.record(now - due);
                self.not_sent += 1;
            }
        }
        self.planned += 1;
        // A burst that takes longer than a second to put in does not hide the seconds.
        self.tick(now);
    }

    /// Gives what is under way and what waits the patience of one request, unless somebody has none.
    fn finish(&mut self) {
        if self.ordered() != Command::Run {
            self.not_sent += self.shared.backlog.clear() as u64;
        }
        self.shared.backlog.close();
        let until = Instant::now() + self.shared.plan.timeout;
        while self.shared.left.load(Relaxed) > 0 && self.ordered() != Command::Abort {
            let now = Instant::now();
            if now >= until {
                break;
            }
            if self.ordered() == Command::Stop {
                self.not_sent += self.shared.backlog.clear() as u64;
            }
            self.tick(now);
            thread::park_timeout(until.min(self.next_second).saturating_duration_since(now).max(GRAIN));
        }
        self.not_sent += self.shared.backlog.clear() as u64;
    }

    fn ordered(&self) -> Command {
        *self.command.borrow()
    }

    /// Tells the figures if a second is over.
    fn tick(&mut self, now: Instant) {
        if now < self.next_second {
            return;
        }
        self.gather(now);
        while self.next_second <= now {
            self.next_second += SECOND;
        }
        let figures = self.figures(now);
        self.told.send_replace(Arc::new(figures));
    }

    /// Takes what the threads counted since the latest second; the second that ends now goes into the series.
    fn gather(&mut self, now: Instant) {
        let all = &mut self.counted;
        all.second.clear();
        for crew in &self.crews {
            // Adding takes long: it must not keep the callers waiting, who would count that as the server's time.
            let fresh = Tally::new(self.names.len());
            let taken = std::mem::replace(&mut *lock(&crew.shelf), fresh);
            all.add(&taken);
        }
        self.series.push(SecondFigures {
            at_s: seconds(now - self.start),
            planned: self.planned - self.planned_before,
            sent: all.second.sent,
            answered: all.second.answered,
            failed: all.second.failed,
            not_sent: self.not_sent - self.not_sent_before,
            p50_ms: all.second.latency.at(0.5),
            p99_ms: all.second.latency.at(0.99),
            max_ms: all.second.latency.max(),
        });
        (self.planned_before, self.not_sent_before) = (self.planned, self.not_sent);
    }

    fn busy(&self) -> Duration {
        self.crews.iter().map(|crew| crew.metrics.worker_total_busy_duration(0)).sum()
    }

    fn figures(&self, now: Instant) -> Figures {
        let elapsed_s = seconds(now - self.start);
        let worked_s = seconds(self.busy().saturating_sub(self.busy_before));
        let around = Around {
            phase: self.phase,
            elapsed_s,
            planned: self.planned,
            not_sent: self.not_sent,
            waiting: self.shared.backlog.waiting() as u64,
            busy: if elapsed_s > 0.0 { worked_s / elapsed_s / self.crews.len() as f64 } else { 0.0 },
        };
        Figures::new(&self.counted, &self.names, around, self.series.last().copied())
    }

    /// Once every thread is gone: nothing changes any more.
    pub fn report(mut self) -> Report {
        let now = Instant::now();
        self.phase = Phase::Done;
        self.gather(now);
        let figures = Arc::new(self.figures(now));
        self.told.send_replace(Arc::clone(&figures));
        let Tally { latency, service, lag, .. } = self.counted;
        Report { sent: self.shared.plan.describe(), figures, series: self.series, latency, service, lag }
    }
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}
