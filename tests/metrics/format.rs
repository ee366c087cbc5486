//! Reads an exposition, and panics where it breaks a rule: Prometheus' text format 0.0.4, OpenMetrics 1.0 (its
//! sections on text format, counters, histograms and exemplars), and what `promtool check metrics` asks for.

use std::collections::{BTreeMap, BTreeSet};

/// One line with a value.
#[derive(Debug, Clone)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
    pub exemplar: Option<Exemplar>,
}

#[derive(Debug, Clone)]
pub struct Exemplar {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

#[derive(Debug)]
pub struct Family {
    pub kind: String,
    pub samples: Vec<Sample>,
}

/// Families by the name on their TYPE line, without `_total`.
#[derive(Debug)]
pub struct Exposition(pub BTreeMap<String, Family>);

impl Exposition {
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.0.values().flat_map(|family| &family.samples)
    }

    /// The value of the sample with these labels, among others.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has =
            |sample: &&Sample| labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|v| v == value));
        let mut found = self.samples().filter(|sample| sample.name == name).filter(has);
        let first = found.next().map(|sample| sample.value);
        assert!(found.next().is_none(), "{name} {labels:?} is more than one");
        first
    }

    /// Of all series of a name.
    pub fn sum(&self, name: &str) -> f64 {
        self.samples().filter(|sample| sample.name == name).map(|sample| sample.value).sum()
    }
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        text => {
            assert!(!text.to_ascii_lowercase().contains("inf") && !text.contains(' '), "{text:?} is no number");
            text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
        }
    }
}

/// Labels from after their brace; what follows the closing one.
fn labels(mut text: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    loop {
        let (name, rest) = text.split_once("=\"").unwrap_or_else(|| panic!("a label is expected at {text:?}"));
        assert!(is_name(name) && !name.starts_with("__"), "{name:?} is no label");
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next().unwrap_or_else(|| panic!("a value does not end: {rest:?}")) {
                (_, '\\') => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c @ ('\\' | '"'))) => value.push(c),
                    other => panic!("{other:?} is no escape in {rest:?}"),
                },
                (at, '"') => break at,
                (_, c) => value.push(c),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} is there twice");
        text = &rest[end + 1..];
        match text.as_bytes().first() {
            Some(b',') => text = &text[1..],
            Some(b'}') => return (labels, &text[1..]),
            _ => panic!("a comma or a brace is expected at {text:?}"),
        }
    }
}

fn sample(line: &str, open: bool) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    let name = &line[..end];
    assert!(is_name(name), "{name:?} is no name");
    let (labels_of, rest) = match line[end..].strip_prefix('{') {
        Some(rest) => labels(rest),
        None => (BTreeMap::new(), &line[end..]),
    };
    let rest = rest.strip_prefix(' ').unwrap_or_else(|| panic!("a space is expected: {line}"));
    let (value, exemplar) = match rest.split_once(" # ") {
        None => (rest, None),
        Some((value, exemplar)) => {
            assert!(open && name.ends_with("_bucket"), "no exemplar may stand here: {line}");
            let (labels, rest) = labels(exemplar.strip_prefix('{').expect("labels of an exemplar"));
            let characters: usize =
                labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
            assert!(characters <= 128, "an exemplar of {characters} characters: {line}");
            let (of, at) = rest.trim_start().split_once(' ').expect("a value and a time");
            assert!(number(at) > 1e9, "{at} is no time");
            (value, Some(Exemplar { labels, value: number(of) }))
        }
    };
    Sample { name: name.to_owned(), labels: labels_of, value: number(value), exemplar }
}

/// Reads it. `open`: as OpenMetrics.
pub fn read(text: &str, open: bool) -> Exposition {
    assert!(text.ends_with('\n') && !text.contains('\r') && !text.contains("\n\n"), "lines end in a line feed each");
    let text = match open {
        true => text.strip_suffix("# EOF\n").expect("the last line is # EOF"),
        false => text,
    };
    let mut families = BTreeMap::<String, Family>::new();
    let (mut current, mut helped) = (String::new(), String::new());
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help");
            assert!(help.ends_with('.'), "{name}: {help:?} is no sentence");
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, helped, "HELP and TYPE come together");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
            assert_eq!(!open && kind == "counter", name.ends_with("_total"), "{name}: {kind}");
            current = name.strip_suffix("_total").unwrap_or(name).to_owned();
            let family = Family { kind: kind.to_owned(), samples: Vec::new() };
            assert!(families.insert(current.clone(), family).is_none(), "{name} is there twice");
        } else {
            assert!(!line.starts_with('#'), "{line}");
            let sample = sample(line, open);
            let family = families.get_mut(&current).unwrap_or_else(|| panic!("no TYPE before {line}"));
            let suffixes: &[&str] = match family.kind.as_str() {
                "counter" => &["_total"],
                "gauge" => &[""],
                _ => &["_bucket", "_sum", "_count"],
            };
            let suffix = sample.name.strip_prefix(&current).unwrap_or_else(|| panic!("{line} is not of {current}"));
            assert!(suffixes.contains(&suffix), "{line} is not of a {}", family.kind);
            assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "twice: {line}");
            if family.kind != "gauge" {
                assert!(sample.value >= 0.0, "{line}");
            }
            family.samples.push(sample);
        }
    }
    for (name, family) in &families {
        named_well(name, &family.kind);
        if family.kind == "histogram" {
            counted_well(name, family);
        }
    }
    Exposition(families)
}

/// Base units, whole words, and no type in the name (`promtool check metrics`).
fn named_well(name: &str, kind: &str) {
    for suffix in ["_total", "_bucket", "_sum", "_count"] {
        assert!(!name.ends_with(suffix), "{name}");
    }
    for word in name.split('_') {
        let wrong =
            ["counter", "gauge", "histogram", "ms", "us", "ns", "sec", "milliseconds", "kb", "mb", "mib", "percent"];
        assert!(!wrong.contains(&word), "{word} in {name}");
    }
    if kind == "histogram" {
        assert!(name.ends_with("_seconds"), "{name} has no unit");
    }
    assert_eq!(name.to_ascii_lowercase(), name);
}

/// Buckets grow to the one without a bound, which holds all.
fn counted_well(name: &str, family: &Family) {
    let mut series = BTreeMap::<BTreeMap<String, String>, Vec<&Sample>>::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        assert_eq!(labels.remove("le").is_some(), sample.name.ends_with("_bucket"), "{sample:?}");
        series.entry(labels).or_default().push(sample);
    }
    for (labels, samples) in series {
        let of = |suffix: &'static str| samples.iter().filter(move |sample| sample.name.ends_with(suffix));
        let buckets: Vec<_> = of("_bucket").map(|sample| (number(&sample.labels["le"]), sample)).collect();
        for pair in buckets.windows(2) {
            assert!(pair[0].0 < pair[1].0 && pair[0].1.value <= pair[1].1.value, "{name} {labels:?}");
        }
        let (count, sum) = (of("_count").next().expect("a count").value, of("_sum").next().expect("a sum").value);
        let (bound, last) = buckets.last().expect("buckets");
        assert!(*bound == f64::INFINITY && last.value == count, "{name} {labels:?}");
        assert!(count > 0.0 || sum == 0.0, "{name} {labels:?}");
        let mut below = 0.0;
        for (bound, sample) in &buckets {
            if let Some(exemplar) = &sample.exemplar {
                assert!(below < exemplar.value && exemplar.value <= *bound, "{exemplar:?} is not of {bound}");
                assert_eq!(exemplar.labels["trace_id"].len(), 32);
            }
            below = *bound;
        }
    }
}

#[test]
#[should_panic(expected = "twice")]
fn the_reader_sees_a_series_that_is_there_twice() {
    read("# HELP a A.\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"1\"} 2\n", false);
}

#[test]
#[should_panic(expected = "a_seconds")]
fn the_reader_sees_buckets_that_do_not_hold_all() {
    let text = "# HELP a_seconds A.\n# TYPE a_seconds histogram\na_seconds_bucket{le=\"1.0\"} 2\n\
                a_seconds_bucket{le=\"+Inf\"} 2\na_seconds_sum 1\na_seconds_count 3\n";
    read(text, false);
}

#[test]
#[should_panic(expected = "EOF")]
fn the_reader_sees_that_the_end_is_missing() {
    read("# HELP a A.\n# TYPE a gauge\na 1\n", true);
}
