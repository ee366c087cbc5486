//! A part of the series, in steps that a chart can show.

use std::time::Duration;

use super::{Kept, Second, Series};
use crate::observe::metrics::histogram::Counts;

/// Steps of a window at most, and one that has just begun.
const STEPS_MAX: u64 = 150;

/// Upper bounds of the heat map's rows.
pub const HEAT_BOUNDS_MS: [f64; 17] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 100_000.0,
];

/// Steps of a window, the oldest first. There are none for times of which nothing is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub step_s: u64,
    pub points: Vec<Point>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// When it began (milliseconds since 1970).
    pub at_ms: u64,
    /// A second, over the time that was looked at.
    pub rate: f64,
    pub errors: f64,
    /// None when nothing came.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// Share of the looks into caches; None when nobody looked.
    pub hits: Option<f64>,
    /// At the end.
    pub serving: u64,
    /// Requests by [`HEAT_BOUNDS_MS`].
    pub heat: Vec<u64>,
}

/// How long the steps of a window of so many seconds are.
pub const fn step_for(seconds: u64) -> u64 {
    match seconds.div_ceil(STEPS_MAX) {
        0 => 1,
        step => step,
    }
}

/// Seconds that are merged.
#[derive(Debug, Default)]
struct Merged {
    took: Duration,
    durations: Counts,
    errors: u64,
    looks: u64,
    hits: u64,
    serving: u64,
}

impl Merged {
    fn add(&mut self, kept: &Kept) {
        self.took += kept.took;
        self.durations.add_packed(&kept.durations);
        self.errors += u64::from(kept.errors);
        self.looks += u64::from(kept.looks);
        self.hits += u64::from(kept.hits);
        self.serving = kept.serving.into();
    }

    fn point(&self, at_ms: u64) -> Point {
        let a_second = |count: u64| count as f64 / self.took.as_secs_f64().max(0.001);
        Point {
            at_ms,
            rate: a_second(self.durations.total()),
            errors: a_second(self.errors),
            p50_ms: self.durations.quantile_ms(0.5),
            p99_ms: self.durations.quantile_ms(0.99),
            hits: (self.looks > 0).then(|| self.hits as f64 / self.looks as f64),
            serving: self.serving,
            heat: self.durations.coarse(&HEAT_BOUNDS_MS),
        }
    }
}

impl Second {
    /// By itself.
    pub fn point(&self) -> Point {
        let Second { took, errors, looks, hits, serving, .. } = *self;
        Merged { took, durations: self.durations.clone(), errors, looks, hits, serving }.point(self.at_ms)
    }
}

impl Series {
    /// The last `seconds` before `now_ms`. Steps begin at multiples of their length, so that a second stays in its step
    /// as the window moves on.
    pub fn window(&self, now_ms: u64, seconds: u64) -> Window {
        let step_s = step_for(seconds);
        let step_of = |at_ms: u64| at_ms / 1_000 / step_s;
        let first = step_of(now_ms.saturating_sub(seconds.saturating_sub(1) * 1_000));
        let from = self.kept.partition_point(|kept| step_of(kept.at_ms) < first);
        let mut points = Vec::new();
        let mut open: Option<(u64, Merged)> = None;
        for kept in self.kept.range(from..) {
            let step = step_of(kept.at_ms);
            if let Some((begun, merged)) = open.take_if(|(begun, _)| *begun != step) {
                points.push(merged.point(begun * step_s * 1_000));
            }
            open.get_or_insert_with(|| (step, Merged::default())).1.add(kept);
        }
        points.extend(open.map(|(step, merged)| merged.point(step * step_s * 1_000)));
        Window { step_s, points }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::metrics::histogram::Histogram;

    fn second(at_s: u64, requests_ms: &[u64]) -> Second {
        let histogram = Histogram::default();
        requests_ms.iter().for_each(|ms| histogram.record(Duration::from_millis(*ms)));
        Second { at_ms: at_s * 1_000, took: Duration::from_secs(1), durations: histogram.counts(), ..Second::default() }
    }

    #[test]
    fn where_nothing_came_there_is_no_percentile_and_no_share() {
        let mut series = Series::default();
        assert_eq!(series.window(1_000_000, 60).points, []);
        series.push(&second(1_000, &[]));
        let window = series.window(1_000_000, 60);
        let [point] = &window.points[..] else { panic!("{window:?}") };
        assert_eq!((point.rate, point.p50_ms, point.p99_ms, point.hits), (0.0, None, None, None));
    }

    #[test]
    fn the_percentile_of_a_step_is_that_of_all_its_requests() {
        let mut series = Series::default();
        // The median of medians would be another: 1 ms, 1 ms and 900 ms.
        series.push(&second(600, &[1]));
        series.push(&second(601, &[1]));
        series.push(&second(602, &[900; 10]));
        let window = series.window(602_000, 900);
        let [point] = &window.points[..] else { panic!("{window:?}") };
        assert_eq!((window.step_s, point.at_ms, point.rate), (6, 600_000, 4.0));
        assert!(point.p50_ms.is_some_and(|ms| (ms - 900.0).abs() < 45.0), "{point:?}");
    }

    #[test]
    fn a_window_has_at_most_as_many_steps_as_a_chart_can_show() {
        assert_eq!([60, 300, 900, 3_600].map(step_for), [1, 2, 6, 24]);
    }
}
