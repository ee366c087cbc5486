//! A report as text for people, and as CSV for spreadsheets.

use std::fmt::Write as _;

use super::Report;
use super::figures::{Figures, Percentiles};

impl Report {
    /// What a terminal shows.
    pub fn text(&self) -> String {
        let figures = &*self.figures;
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<12}{value}");
        };
        line("Load", self.asked());
        line(
            "Requests",
            format!(
                "{} planned, {} sent, {} answered ({:.1}/s), {} without an answer, {} not sent, {} cut off",
                figures.planned,
                figures.sent,
                figures.answered,
                figures.throughput,
                figures.failed(),
                figures.not_sent,
                figures.unfinished
            ),
        );
        let statuses = figures.statuses.iter().map(|(status, count)| format!("{status}: {count}"));
        line("Statuses", list(statuses.collect()));
        let told = |kind: &&str| figures.why.get(kind).map(|why| format!(" ({why})")).unwrap_or_default();
        for (kind, count) in &figures.errors {
            line("Error", format!("{kind}: {count}{}", told(kind)));
        }
        line("Latency", format!("{}   from when each was due", times(&figures.latency_ms)));
        line("Service", format!("{}   from when it was sent", times(&figures.service_ms)));
        line("Lag", format!("{}   the generator's own", times(&figures.lag_ms)));
        line(
            "Bytes",
            format!(
                "{} sent, {} received, over {} connections",
                figures.bytes_sent, figures.bytes_received, figures.connections_opened
            ),
        );
        if figures.requests.len() > 1 {
            for kind in &figures.requests {
                let (sent, failed, times) = (kind.sent, kind.failed, times(&kind.latency_ms));
                line("", format!("{:<24} {sent} sent, {failed} failed   {times}", kind.name));
            }
        }
        for warning in &figures.warnings {
            line("Careful", warning.clone());
        }
        text
    }

    fn asked(&self) -> String {
        let rate = |rate: f64| format!("{rate}");
        let stages = self.sent.stages.iter().map(|stage| match stage.from == stage.to {
            true => format!("{}/s for {} s", rate(stage.from), stage.lasts_s),
            false => format!("{} to {}/s in {} s", rate(stage.from), rate(stage.to), stage.lasts_s),
        });
        let stages: Vec<String> = stages.collect();
        let (origin, arrivals) = (&self.sent.origin, self.sent.arrivals);
        format!("{origin}: {}, {arrivals}, {} connections", stages.join(", then "), self.sent.connections)
    }

    /// The seconds, one a line (RFC 4180). What was not measured is empty.
    pub fn csv(&self) -> String {
        let mut text = "at_s,planned,sent,answered,failed,not_sent,p50_ms,p99_ms,max_ms\r\n".to_owned();
        let cell = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        for second in &self.series {
            let _ = write!(
                text,
                "{},{},{},{},{},{},{},{},{}\r\n",
                second.at_s,
                second.planned,
                second.sent,
                second.answered,
                second.failed,
                second.not_sent,
                cell(second.p50_ms),
                cell(second.p99_ms),
                cell(second.max_ms)
            );
        }
        text
    }
}

impl Figures {
    /// One line for whoever waits.
    pub fn line(&self) -> String {
        let second = self.second.as_ref();
        let ms = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1} ms"));
        format!(
            "{}/s  p50 {}  p99 {}  {} sent, {} without an answer, {} waiting",
            second.map_or(0, |second| second.answered),
            ms(second.and_then(|second| second.p50_ms)),
            ms(second.and_then(|second| second.p99_ms)),
            self.sent,
            self.failed(),
            self.waiting
        )
    }
}

fn times(times: &Percentiles) -> String {
    let ms = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.2}"));
    format!(
        "p50 {}  p90 {}  p99 {}  p99.9 {}  max {} ms",
        ms(times.p50),
        ms(times.p90),
        ms(times.p99),
        ms(times.p999),
        ms(times.max)
    )
}

fn list(parts: Vec<String>) -> String {
    if parts.is_empty() { "none".to_owned() } else { parts.join("  ") }
}
