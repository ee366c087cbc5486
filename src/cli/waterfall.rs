//! A journey as text.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::observe::hop::Hop;
use crate::observe::journey::Journey;
use crate::observe::span::{Direction, Status};

/// Attribute of the root span: what a server that is not ours tells of its own time.
pub const SERVER_TIMING: &str = "http.response.header.server-timing";

/// Columns of the bar.
const BAR: usize = 40;
/// Columns of the name.
const NAME: usize = 44;

/// The waterfall, a line a span, and the sum by hop.
pub fn text(journey: &Journey) -> String {
    let summary = &journey.summary;
    let total = summary.total_us.max(0.1);
    let answer = if summary.status == 0 {
        "no answer".to_owned()
    } else {
        format!("{} {}", summary.status, journey.reason).trim_end().to_owned()
    };
    let mut out = format!("{} {}   {answer} in {} us\n", summary.method, summary.path, grouped(summary.total_us));
    let _ = writeln!(out, "trace {}", summary.trace_id);
    if !summary.faults.is_empty() {
        let _ = writeln!(out, "broken on purpose by {}", summary.faults.join(", "));
    }
    out.push('\n');
    let mut depths = HashMap::new();
    for span in &journey.spans {
        let depth = span.parent.and_then(|parent| depths.get(&parent)).map_or(0, |depth: &usize| depth + 1);
        depths.insert(span.id, depth);
        let mark = match (span.status, span.direction) {
            (Status::Error, _) => 'x',
            (Status::Skipped, _) => '-',
            (_, Direction::Out) => '#',
            (_, Direction::Back) => '=',
            (_, Direction::After) => '.',
        };
        let name: String = format!("{}{}", "  ".repeat(depth), span.name).chars().take(NAME).collect();
        let bar = bar(span.start_us / total, span.duration_us / total, mark);
        let _ = writeln!(out, "{:<8} {name:<NAME$} |{bar}| {:>9}", span.hop.id(), grouped(span.duration_us));
    }
    out.push('\n');
    let mut hops = journey.hops.clone();
    for hop in Hop::ALL {
        let time = *hops.of_mut(hop);
        if time.reached {
            let _ = writeln!(out, "{:<12} {:>9} us {:>3.0} %", hop.id(), grouped(time.us), 100.0 * time.us / total);
        }
    }
    let rest = journey.unaccounted_us;
    let _ = writeln!(out, "{:<12} {:>9} us {:>3.0} %", "unaccounted", grouped(rest), 100.0 * rest / total);
    let timing = journey.spans.first().and_then(|root| root.attributes.get(SERVER_TIMING)).and_then(Value::as_str);
    if let Some(timing) = timing {
        let _ = writeln!(out, "\nThe server says (Server-Timing, ms): {timing}");
    }
    out
}

/// A bar from `start` for `length`, both as shares of the whole; never less than one column.
fn bar(start: f64, length: f64, mark: char) -> String {
    let from = ((start * BAR as f64) as usize).min(BAR - 1);
    let to = (((start + length) * BAR as f64).ceil() as usize).clamp(from + 1, BAR);
    (0..BAR).map(|column| if (from..to).contains(&column) { mark } else { ' ' }).collect()
}

/// Microseconds with a space between thousands; a decimal below ten.
fn grouped(us: f64) -> String {
    if us < 10.0 {
        return format!("{us:.1}");
    }
    let digits = format!("{us:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_at_a_glance() {
        assert_eq!([0.0, 9.96, 12.4, 1234.0, 1_234_567.0].map(grouped), ["0.0", "10.0", "12", "1 234", "1 234 567"]);
    }

    #[test]
    fn the_shortest_span_has_a_column_and_the_last_stays_inside() {
        assert_eq!(bar(1.0, 0.0, '#').trim_start(), "#");
        assert_eq!(bar(0.0, 2.0, '#').len(), BAR);
    }
}
