//! Adds and removes instances by itself, by the rules of [`crate::policy::autoscale`]. What was killed it leaves to whoever
//! killed it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::MissedTickBehavior;

use super::instances::Instances;
use crate::observe::clock::Tick;
use crate::observe::happening::Kind;
use crate::policy::autoscale::{Autoscale, Change, Decision, Rules, Seen};
use crate::policy::health::State;
use crate::settings::runtime::Settings;

/// Who adds and removes.
const NAME: &str = "the autoscaler";
/// Requests under way change from one moment to the next: a look is the mean of so many readings.
const READINGS: u32 = 10;
const READ_EVERY: Duration = Duration::from_millis(100);
/// Lines kept.
const LINES_MAX: usize = 100;

/// A look that mattered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// `+ i4`, `− i3`, `wait`, or how many there were when it began.
    pub change: String,
    pub why: String,
}

/// What the autoscaler did, and is about to do.
#[derive(Debug, Default)]
pub struct Log(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Line>,
    looked_at: Option<Tick>,
    cooling: Duration,
    /// What the last look found.
    busy: Option<f64>,
    waiting: Option<f64>,
}

/// The autoscaler, as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    pub on: bool,
    pub min: u64,
    pub max: u64,
    pub target: u64,
    pub concurrency: u64,
    pub queue: u64,
    pub up_after_s: u64,
    pub down_after_s: u64,
    pub cool_down_s: u64,
    /// Share of the concurrency that was in use, and requests in the queue; None while it is off.
    pub busy: Option<f64>,
    pub waiting: Option<f64>,
    pub next_look_s: Option<f64>,
    pub cooling_s: f64,
    pub log: Vec<Line>,
}

impl Log {
    pub fn shown(&self, settings: &Settings) -> Shown {
        let (snapshot, kept) = (settings.snapshot(), self.kept());
        let (on, rules) = (snapshot.scaling.autoscaler_on, snapshot.scaling.autoscaler);
        let until_next = |looked_at: Tick| (READ_EVERY * READINGS).saturating_sub(Tick::now().since(looked_at));
        Shown {
            on,
            min: rules.min,
            max: rules.max,
            target: rules.target,
            concurrency: rules.concurrency,
            queue: rules.queue,
            up_after_s: rules.up_after.as_secs(),
            down_after_s: rules.down_after.as_secs(),
            cool_down_s: rules.cool_down.as_secs(),
            busy: kept.busy.filter(|_| on),
            waiting: kept.waiting.filter(|_| on),
            next_look_s: kept.looked_at.filter(|_| on).map(|at| until_next(at).as_secs_f64()),
            cooling_s: if on { kept.cooling.as_secs_f64() } else { 0.0 },
            log: kept.lines.iter().cloned().collect(),
        }
    }

    fn looked(&self, seen: Seen, rules: &Rules, cooling: Duration) {
        let room = (seen.alive.max(1) * rules.concurrency.max(1)) as f64;
        let mut kept = self.kept();
        (kept.looked_at, kept.cooling) = (Some(Tick::now()), cooling);
        (kept.busy, kept.waiting) = (Some(seen.in_flight / room), Some(seen.waiting));
    }

    /// A wait takes the place of the wait before it: one line says how far it has come.
    fn write(&self, change: String, why: String) {
        let mut kept = self.kept();
        if change == WAIT && kept.lines.back().is_some_and(|last| last.change == WAIT) {
            kept.lines.pop_back();
        }
        if kept.lines.len() >= LINES_MAX {
            kept.lines.pop_front();
        }
        kept.lines.push_back(Line { at: OffsetDateTime::now_utc(), change, why });
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const WAIT: &str = "wait";

/// Looks every second while it is on, until the stack stops.
pub async fn run(instances: Instances) {
    let mut state = None;
    let mut changed = instances.settings().listen();
    loop {
        changed.borrow_and_update();
        if !instances.settings().snapshot().scaling.autoscaler_on {
            state = None;
            tokio::select! {
                // The sender lives in the settings, so this never fails.
                _ = changed.changed() => continue,
                () = instances.closed() => return,
            }
        }
        let state = state.get_or_insert_with(|| begin(&instances));
        tokio::select! {
            seen = read(&instances) => decide(&instances, state, seen).await,
            () = instances.closed() => return,
        }
    }
}

fn begin(instances: &Instances) -> Autoscale {
    let count = instances.list().len();
    instances.autoscaler_log().write(count.to_string(), format!("started with {count}"));
    Autoscale::default()
}

async fn decide(instances: &Instances, state: &mut Autoscale, seen: Seen) {
    let rules = instances.settings().snapshot().scaling.autoscaler;
    let (log, now) = (instances.autoscaler_log(), Tick::now().since(Tick::default()));
    // Whoever changes something else changes what was seen.
    let Some(turn) = instances.try_turn() else {
        state.forget();
        log.looked(seen, &rules, state.cooling(&rules, now));
        log.write(WAIT.to_owned(), "instances are being changed".to_owned());
        return;
    };
    let Decision { change, why } = state.look(seen, &rules, now);
    log.looked(seen, &rules, state.cooling(&rules, now));
    match change {
        Change::Nothing => {}
        Change::Wait => log.write(WAIT.to_owned(), why),
        Change::Add(count) => add(instances, count, why),
        Change::Remove(count) => {
            for _ in 0..count {
                let Some(id) = newest(instances) else { break };
                done(instances, format!("− {id}"), why.clone());
                if let Err(error) = instances.end_one(&id).await {
                    log.write(WAIT.to_owned(), format!("{id} stays: {error}"));
                    break;
                }
            }
        }
    }
    drop(turn);
}

fn add(instances: &Instances, count: u64, why: String) {
    let (version, mut ids) = (instances.version(), Vec::new());
    for _ in 0..count {
        match instances.start_one(&version) {
            Ok(id) => ids.push(id),
            Err(error) => {
                instances.autoscaler_log().write(WAIT.to_owned(), format!("{why}, but {error}"));
                break;
            }
        }
    }
    if !ids.is_empty() {
        done(instances, format!("+ {}", ids.join(", ")), why);
    }
}

fn done(instances: &Instances, change: String, why: String) {
    instances.record(Kind::Scaling, NAME, format!("{change}: {why}"));
    instances.autoscaler_log().write(change, why);
}

/// The last of those that take requests, for the first ones have been there for longest; but rather one that is
/// not well.
fn newest(instances: &Instances) -> Option<String> {
    let mut list = instances.list();
    list.retain(|instance| !instance.killed && !instance.draining);
    let sick = list.iter().rposition(|instance| instance.state != State::Healthy);
    sick.map(|sick| list.swap_remove(sick)).or_else(|| list.pop()).map(|instance| instance.id)
}

/// What is there, on average over a second.
async fn read(instances: &Instances) -> Seen {
    let mut ticks = tokio::time::interval(READ_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first is at once.
    ticks.tick().await;
    let (mut in_flight, mut waiting) = (0, 0);
    for _ in 0..READINGS {
        ticks.tick().await;
        in_flight += instances.list().iter().map(|instance| instance.in_flight).sum::<u64>();
        waiting += instances.balancer().waiting();
    }
    let list = instances.list();
    let there = || list.iter().filter(|instance| !instance.draining);
    let mean = |sum: u64| sum as f64 / f64::from(READINGS);
    Seen {
        instances: there().count() as u64,
        alive: there().filter(|instance| !instance.killed).count() as u64,
        in_flight: mean(in_flight),
        waiting: mean(waiting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_one_line_however_often_it_is_told_and_the_oldest_line_goes_first() {
        let log = Log::default();
        log.write(WAIT.to_owned(), "83 % busy, 1 of 10 s".to_owned());
        log.write(WAIT.to_owned(), "83 % busy, 2 of 10 s".to_owned());
        let shown = log.shown(&Settings::default());
        assert_eq!(shown.log.len(), 1);
        assert_eq!(shown.log[0].why, "83 % busy, 2 of 10 s");
        for number in 0..LINES_MAX {
            log.write(format!("+ i{number}"), String::new());
        }
        let shown = log.shown(&Settings::default());
        assert_eq!((shown.log.len(), shown.log[0].change.as_str()), (LINES_MAX, "+ i0"));
    }
}
