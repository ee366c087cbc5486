//! Metrics as text: Prometheus' own format (0.0.4), and OpenMetrics 1.0, which has exemplars.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::classic;
use crate::observe::ids::TraceId;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// What is asked for: OpenMetrics by its name alone, and not with a quality of nothing.
    pub fn asked_for(accept: &str) -> Self {
        let wanted = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
            named && !parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
        };
        if accept.split(',').any(wanted) { Format::OpenMetrics } else { Format::Prometheus }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A label's name and value.
pub type Label<'a> = (&'a str, &'a str);

/// The text, as it grows.
#[derive(Debug)]
pub struct Exposition<'a> {
    text: String,
    format: Format,
    /// Traces that are still there: an exemplar leads to one of them.
    kept: &'a HashSet<TraceId>,
}

/// The samples of one name.
#[derive(Debug)]
pub struct Family<'a, 'b> {
    exposition: &'a mut Exposition<'b>,
    name: &'static str,
    kind: Kind,
}

impl<'b> Exposition<'b> {
    pub fn new(format: Format, kept: &'b HashSet<TraceId>) -> Self {
        Self { text: String::with_capacity(64 * 1024), format, kept }
    }

    /// `name` without `_total`, which its samples get.
    pub fn counter(&mut self, name: &'static str, help: &str) -> Family<'_, 'b> {
        self.family(Kind::Counter, name, help)
    }

    pub fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_, 'b> {
        self.family(Kind::Gauge, name, help)
    }

    pub fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_, 'b> {
        self.family(Kind::Histogram, name, help)
    }

    fn family(&mut self, kind: Kind, name: &'static str, help: &str) -> Family<'_, 'b> {
        let (word, suffix) = match (kind, self.format) {
            // OpenMetrics names the family, Prometheus its samples.
            (Kind::Counter, Format::Prometheus) => ("counter", "_total"),
            (Kind::Counter, Format::OpenMetrics) => ("counter", ""),
            (Kind::Gauge, _) => ("gauge", ""),
            (Kind::Histogram, _) => ("histogram", ""),
        };
        _ = write!(self.text, "# HELP {name}{suffix} ");
        escape(&mut self.text, help, self.format == Format::OpenMetrics);
        _ = write!(self.text, "\n# TYPE {name}{suffix} {word}\n");
        Family { exposition: self, name, kind }
    }

    /// All of it.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

impl Family<'_, '_> {
    pub fn sample(&mut self, labels: &[Label<'_>], value: f64) -> &mut Self {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        self.line(suffix, labels, None, value);
        self.exposition.text.push('\n');
        self
    }

    /// Of a whole number.
    pub fn count(&mut self, labels: &[Label<'_>], value: u64) -> &mut Self {
        self.sample(labels, value as f64)
    }

    pub fn seconds(&mut self, labels: &[Label<'_>], value: Duration) -> &mut Self {
        self.sample(labels, value.as_secs_f64())
    }

    pub fn durations(&mut self, labels: &[Label<'_>], counts: &classic::Counts) -> &mut Self {
        for bucket in counts.buckets() {
            self.line("_bucket", labels, Some(bucket.bound), bucket.cumulative as f64);
            let kept = bucket.exemplar.filter(|exemplar| self.exposition.kept.contains(&exemplar.trace_id));
            if let Some(exemplar) = kept.filter(|_| self.exposition.format == Format::OpenMetrics) {
                let (took, at) = (exemplar.took.as_secs_f64(), exemplar.at_unix_s);
                _ = write!(self.exposition.text, " # {{trace_id=\"{}\"}} {took} {at:.3}", exemplar.trace_id);
            }
            self.exposition.text.push('\n');
        }
        self.line("_sum", labels, None, counts.sum.as_secs_f64());
        self.exposition.text.push('\n');
        self.line("_count", labels, None, counts.total() as f64);
        self.exposition.text.push('\n');
        self
    }

    fn line(&mut self, suffix: &str, labels: &[Label<'_>], bound: Option<f64>, value: f64) {
        let text = &mut self.exposition.text;
        text.push_str(self.name);
        text.push_str(suffix);
        let bound = bound.map(number);
        let labels = labels.iter().copied().chain(bound.as_deref().map(|bound| ("le", bound)));
        let mut between = '{';
        for (name, value) in labels {
            text.push(between);
            text.push_str(name);
            text.push_str("=\"");
            escape(text, value, true);
            text.push('"');
            between = ',';
        }
        if between == ',' {
            text.push('}');
        }
        _ = write!(text, " {}", if value.is_finite() { format!("{value}") } else { number(value) });
    }
}

/// As both formats write a bound: `0.5`, `10.0`, `+Inf`.
fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        format!("{value:?}")
    }
}

fn escape(text: &mut String, value: &str, quotes: bool) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quotes => text.push_str("\\\""),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_help_are_escaped() {
        let kept = HashSet::new();
        let mut exposition = Exposition::new(Format::Prometheus, &kept);
        exposition.gauge("a", "one\ntwo \\ \"three\"").sample(&[("x", "\"\\\n")], 1.5);
        assert_eq!(
            exposition.finish(),
            "# HELP a one\\ntwo \\\\ \"three\"\n# TYPE a gauge\na{x=\"\\\"\\\\\\n\"} 1.5\n"
        );
    }

    #[test]
    fn a_counter_is_named_as_each_format_wants_it() {
        for (format, name, end) in [(Format::Prometheus, "a_total", ""), (Format::OpenMetrics, "a", "# EOF\n")] {
            let kept = HashSet::new();
            let mut exposition = Exposition::new(format, &kept);
            exposition.counter("a", "A.").count(&[], 7);
            assert_eq!(exposition.finish(), format!("# HELP {name} A.\n# TYPE {name} counter\na_total 7\n{end}"));
        }
    }

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        for (accept, format) in [
            ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4", Format::OpenMetrics),
            ("text/plain", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("", Format::Prometheus),
        ] {
            assert_eq!(Format::asked_for(accept), format, "{accept}");
        }
    }
}
