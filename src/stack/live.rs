//! Watches a stack: looks at its figures once a second, and remembers an hour of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::Stack;
use super::reading::Reading;
use super::saturation::{Saturation, saturation};
use crate::observe::live::{HEAT_BOUNDS_MS, Point, Second, Series, Window};
use crate::policy::health::State;

/// Windows that can be asked for, in seconds.
pub const WINDOWS: [u64; 4] = [60, 300, 900, 3_600];
const EVERY: Duration = Duration::from_secs(1);
/// What is told of an instance is of so many looks.
const INSTANCE_LOOKS: usize = 10;

/// Ends with the value; so does what it remembers.
#[derive(Debug)]
pub struct Live {
    watched: Arc<Mutex<Watched>>,
    last: watch::Sender<Option<Arc<View>>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Watched {
    series: Series,
    saturation: Vec<Saturation>,
    instances: Vec<Instance>,
}

/// A window of the series, and how things stand now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    pub now_ms: u64,
    pub step_s: u64,
    pub series: Columns,
    pub heat: Heat,
    pub saturation: Vec<Saturation>,
    pub instances: Vec<Instance>,
    /// None: every request is in it.
    pub sampling: Option<&'static str>,
    pub kept: Size,
}

/// What the hour takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    pub seconds: usize,
    pub bytes: usize,
    pub bytes_max: usize,
}

/// An entry a step.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Columns {
    pub at_ms: Vec<u64>,
    pub rate: Vec<f64>,
    pub errors: Vec<f64>,
    pub p50_ms: Vec<Option<f64>>,
    pub p99_ms: Vec<Option<f64>>,
    pub hits: Vec<Option<f64>>,
    pub instances: Vec<u64>,
}

/// Requests by duration, a row of counts a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Heat {
    pub le_ms: &'static [f64],
    pub counts: Vec<Vec<u64>>,
}

/// What an upstream did in the last seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Instance {
    pub id: String,
    pub rate: f64,
    pub p50_ms: Option<f64>,
}

impl Live {
    /// On the current tokio runtime. The stack is not kept alive by being watched.
    pub fn start(stack: &Arc<Stack>) -> Live {
        let watched = Arc::<Mutex<Watched>>::default();
        let last = watch::Sender::new(None);
        let task = tokio::spawn(watch_over(Arc::downgrade(stack), Arc::clone(&watched), last.clone()));
        Live { watched, last, task }
    }

    /// The last `seconds`.
    pub fn window(&self, seconds: u64) -> View {
        let watched = lock(&self.watched);
        let now_ms = now_ms();
        watched.view(now_ms, watched.series.window(now_ms, seconds))
    }

    /// The last second, each second.
    pub fn listen(&self) -> watch::Receiver<Option<Arc<View>>> {
        self.last.subscribe()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watched {
    fn view(&self, now_ms: u64, window: Window) -> View {
        let (seconds, bytes) = self.series.size();
        let mut series = Columns::default();
        let mut counts = Vec::with_capacity(window.points.len());
        for point in window.points {
            let Point { at_ms, rate, errors, p50_ms, p99_ms, hits, serving, heat } = point;
            series.at_ms.push(at_ms);
            series.rate.push(rate);
            series.errors.push(errors);
            series.p50_ms.push(p50_ms);
            series.p99_ms.push(p99_ms);
            series.hits.push(hits);
            series.instances.push(serving);
            counts.push(heat);
        }
        View {
            now_ms,
            step_s: window.step_s,
            series,
            heat: Heat { le_ms: &HEAT_BOUNDS_MS, counts },
            saturation: self.saturation.clone(),
            instances: self.instances.clone(),
            sampling: None,
            kept: Size { seconds, bytes, bytes_max: crate::observe::live::BYTES_MAX },
        }
    }
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    // Plain values: a panic elsewhere leaves none half-written.
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ms() -> u64 {
    u64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

/// Until the stack is gone.
async fn watch_over(stack: Weak<Stack>, watched: Arc<Mutex<Watched>>, last: watch::Sender<Option<Arc<View>>>) {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut readings = VecDeque::with_capacity(INSTANCE_LOOKS + 1);
    loop {
        every.tick().await;
        let Some(reading) = stack.upgrade().map(|stack| Reading::of(&stack)) else { return };
        if let (Some(first), Some(before)) = (readings.front(), readings.back()) {
            let second = second(before, &reading);
            let window = Window { step_s: EVERY.as_secs(), points: vec![second.point()] };
            let mut watched = lock(&watched);
            watched.series.push(&second);
            watched.saturation = saturation(before, &reading);
            watched.instances = instances(first, &reading);
            let view = watched.view(second.at_ms, window);
            drop(watched);
            last.send_replace(Some(Arc::new(view)));
        }
        if readings.len() == INSTANCE_LOOKS {
            readings.pop_front();
        }
        readings.push_back(reading);
    }
}

/// What happened between two looks.
fn second(before: &Reading, now: &Reading) -> Second {
    let ((looks, hits), (looks_before, hits_before)) = (now.looks(), before.looks());
    let serving = |reading: &Reading| {
        let upstreams = reading.pools.iter().flat_map(|pool| &pool.upstreams);
        upstreams.filter(|one| one.upstream.state == State::Healthy).count() as u64
    };
    Second {
        at_ms: now_ms(),
        took: now.at.since(before.at),
        durations: now.totals.durations.since(&before.totals.durations),
        errors: now.totals.errors.saturating_sub(before.totals.errors),
        // An instance that is gone takes its cache along.
        looks: looks.saturating_sub(looks_before),
        hits: hits.saturating_sub(hits_before).min(looks.saturating_sub(looks_before)),
        serving: serving(now),
    }
}

/// What each upstream did between two looks; one that is new, since it was there.
fn instances(before: &Reading, now: &Reading) -> Vec<Instance> {
    let took = now.at.since(before.at).as_secs_f64().max(0.001);
    let all = |reading: &Reading| reading.pools.iter().flat_map(|pool| pool.upstreams.clone()).collect::<Vec<_>>();
    let known = all(before);
    let instance = |upstream: crate::balancer::figures::Figures| {
        let id = upstream.upstream.id;
        let before = known.iter().find(|known| known.upstream.id == id);
        let counts = before.map_or_else(|| upstream.fine.clone(), |before| upstream.fine.since(&before.fine));
        Instance { id, rate: counts.total() as f64 / took, p50_ms: counts.quantile_ms(0.5) }
    };
    all(now).into_iter().map(instance).collect()
}
