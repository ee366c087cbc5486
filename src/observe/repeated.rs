//! Finds the "N+1": one read for a list, and then one more for each of its rows. Pure: spans in, marks on them.

use serde_json::Value;

use super::part::{REPEATED_READS, STATEMENT_RUNS};
use super::span::Record;

/// The same read may run so often in one request before it is pointed out.
const RUNS_MAX: u64 = 5;

/// Marks the root, and each step that ran such a read, in words. Only requests recorded in full say what
/// they ran. `spans` are those of one request, its root first.
pub fn mark(spans: &mut [Record]) {
    let mut counts: Vec<(String, u64)> = Vec::new();
    for (sql, times) in spans.iter().flat_map(runs).filter(|(sql, _)| is_read(sql)) {
        match counts.iter().position(|(known, _)| known == sql) {
            Some(index) => counts[index].1 += times,
            None => counts.push((sql.to_owned(), times)),
        }
    }
    counts.retain(|(_, times)| *times > RUNS_MAX);
    if counts.is_empty() {
        return;
    }
    let in_words = |(sql, times): &(String, u64)| Value::from(format!("{times} times: {sql}"));
    for (index, span) in spans.iter_mut().enumerate() {
        let ran = |sql: &str| runs(span).any(|(other, _)| other == sql);
        let repeated: Vec<Value> = counts.iter().filter(|(sql, _)| index == 0 || ran(sql)).map(in_words).collect();
        if !repeated.is_empty() {
            span.attributes.push((REPEATED_READS.into(), repeated.into()));
        }
    }
}

/// The statements that a step ran, with how often.
fn runs(span: &Record) -> impl Iterator<Item = (&str, u64)> {
    let runs = span.attributes.iter().find(|(name, _)| name == STATEMENT_RUNS).and_then(|(_, runs)| runs.as_object());
    runs.into_iter().flatten().filter_map(|(sql, times)| Some((&**sql, times.as_u64()?)))
}

fn is_read(sql: &str) -> bool {
    ["SELECT", "WITH"].iter().any(|verb| sql.get(..verb.len()).is_some_and(|start| start.eq_ignore_ascii_case(verb)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::observe::clock::Tick;
    use crate::observe::hop::Hop;
    use crate::observe::ids::SpanId;
    use crate::observe::span::{Context, Trace};

    /// A root and a step for each of `steps`, which ran those statements.
    fn marked(steps: &[Value]) -> Vec<Option<Value>> {
        let context = Context { detail: true, ..Context::new_root() };
        let root = Trace::start(context, SpanId::random(), Hop::Api, "Test", Tick::now());
        for runs in steps {
            root.child(Hop::Data, "Step").attribute(STATEMENT_RUNS, || runs.clone());
        }
        let mut spans = root.trace().finish();
        mark(&mut spans);
        let mark = |span: &Record| {
            span.attributes.iter().find(|(name, _)| name == REPEATED_READS).map(|(_, value)| value.clone())
        };
        spans.iter().map(mark).collect()
    }

    #[test]
    fn a_read_run_more_than_five_times_is_told_at_the_root_and_where_it_ran() {
        let one = json!({ "SELECT 1": 1 });
        let steps = [one.clone(), one.clone(), json!({ "SELECT 2": 1 }), json!({ "SELECT 1": 4, "SELECT 2": 1 })];
        let told = Some(json!(["6 times: SELECT 1"]));
        assert_eq!(marked(&steps), [told.clone(), told.clone(), told.clone(), None, told]);
    }

    #[test]
    fn five_times_and_repeated_writes_are_left_alone() {
        let steps = [json!({ "SELECT 1": 5, "INSERT INTO line VALUES (?1)": 40 })];
        assert_eq!(marked(&steps), [None, None]);
        assert_eq!(marked(&[]), [None]);
    }
}
