//! Texts with `{names}` in them, filled in anew for each request.

use serde::Deserialize;

use crate::policy::random::{STEP, below, split_mix, unit};

/// Values of a list, and numbers of a range whose likelihoods differ.
const VALUES_MAX: usize = 1_000_000;

/// What a name stands for, as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum SourceFile {
    Range(RangeFile),
    List(Vec<Scalar>),
}

/// The numbers `from` to `to`. With `zipf`, the number at place k is drawn with a likelihood of 1/k^zipf.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeFile {
    from: i64,
    to: i64,
    zipf: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    Number(i64),
    Text(String),
}

/// Where values come from.
#[derive(Debug, Clone)]
pub enum Source {
    Range {
        from: i64,
        count: u64,
    },
    /// `until[k]`: how likely one of the first k+1 numbers is.
    Zipf {
        from: i64,
        until: Vec<f64>,
    },
    List(Vec<String>),
    /// The number of the request.
    Sequence,
    /// A version 4 UUID (RFC 9562, section 5.4). The only thing that no seed repeats: what it names, such as an
    /// order's key, is to be new in every run.
    Uuid {
        run: u64,
    },
}

impl Source {
    pub fn new(file: SourceFile) -> Result<Self, String> {
        match file {
            SourceFile::List(values) if (1..=VALUES_MAX).contains(&values.len()) => {
                let text = |value| match value {
                    Scalar::Number(number) => number.to_string(),
                    Scalar::Text(text) => text,
                };
                Ok(Source::List(values.into_iter().map(text).collect()))
            }
            SourceFile::List(_) => Err(format!("a list has 1 to {VALUES_MAX} values")),
            SourceFile::Range(RangeFile { from, to, zipf }) => {
                let count = to.checked_sub(from).and_then(|span| u64::try_from(span).ok()?.checked_add(1));
                let count = count.filter(|count| *count <= u64::from(u32::MAX));
                let count = count.ok_or_else(|| format!("{from} to {to} is no range of at most 2^32 - 1 numbers"))?;
                match zipf {
                    None => Ok(Source::Range { from, count }),
                    Some(power) => Ok(Source::Zipf { from, until: zipf_shares(count, power)? }),
                }
            }
        }
    }

    fn write(&self, into: &mut String, number: u64, random: u64) {
        let whole = |value: i64, into: &mut String| into.push_str(&value.to_string());
        match self {
            Source::Range { from, count } => {
                let step = below(random, usize::try_from(*count).unwrap_or(usize::MAX));
                whole(from.saturating_add(i64::try_from(step).unwrap_or(0)), into);
            }
            Source::Zipf { from, until } => {
                let point = unit(random);
                let place = until.partition_point(|share| *share < point).min(until.len().saturating_sub(1));
                whole(from.saturating_add(i64::try_from(place).unwrap_or(0)), into);
            }
            Source::List(values) => into.push_str(&values[below(random, values.len())]),
            Source::Sequence => into.push_str(&number.to_string()),
            Source::Uuid { run } => {
                let high = split_mix(random ^ run);
                let low = split_mix(high ^ random);
                let (version, variant) = (high & 0xfff | 0x4000, low >> 48 & 0x3fff | 0x8000);
                into.push_str(&format!(
                    "{:08x}-{:04x}-{version:04x}-{variant:04x}-{:012x}",
                    high >> 32,
                    high >> 16 & 0xffff,
                    low & 0xffff_ffff_ffff
                ));
            }
        }
    }

    /// Whether every value `fits`. Numbers and UUIDs do wherever anything does.
    fn all(&self, fits: impl Fn(&str) -> bool) -> bool {
        match self {
            Source::List(values) => values.iter().all(|value| fits(value)),
            Source::Range { .. } | Source::Zipf { .. } | Source::Sequence | Source::Uuid { .. } => true,
        }
    }
}

fn zipf_shares(count: u64, power: f64) -> Result<Vec<f64>, String> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > VALUES_MAX || !(0.0..=10.0).contains(&power) {
        return Err(format!("zipf is between 0 and 10, over at most {VALUES_MAX} numbers"));
    }
    let weights = (1..=count).map(|place| (place as f64).powf(-power));
    let mut until: Vec<f64> = weights
        .scan(0.0, |sum, weight| {
            Some({
                *sum += weight;
                *sum
            })
        })
        .collect();
    let total = until.last().copied().unwrap_or(1.0);
    until.iter_mut().for_each(|share| *share /= total);
    Ok(until)
}

/// Sources by their names.
#[derive(Debug, Clone)]
pub struct Data(Vec<(String, Source)>);

impl Data {
    /// `{seq}` and `{uuid}` are always there. `run`: a random number, another for each run.
    pub fn new(named: impl IntoIterator<Item = (String, SourceFile)>, run: u64) -> Result<Self, String> {
        let mut sources = vec![("seq".to_owned(), Source::Sequence), ("uuid".to_owned(), Source::Uuid { run })];
        for (name, file) in named {
            if !is_name(&name) || sources.iter().any(|(known, _)| *known == name) {
                return Err(format!("data '{name}': a name has small letters, digits and _, and is not seq or uuid"));
            }
            let source = Source::new(file).map_err(|why| format!("data '{name}': {why}"))?;
            sources.push((name, source));
        }
        Ok(Self(sources))
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Of(usize),
}

/// A text, taken apart at its names.
#[derive(Debug, Clone)]
pub struct Template(Vec<Piece>);

impl Template {
    /// Braces around anything but a name are text: JSON is full of them.
    pub fn new(text: &str, data: &Data) -> Result<Self, String> {
        let (mut pieces, mut rest, mut plain) = (Vec::new(), text, String::new());
        while let Some(open) = rest.find('{') {
            plain.push_str(&rest[..open]);
            let inner = rest[open + 1..].split_once('}').map(|(inner, _)| inner).filter(|inner| is_name(inner));
            let Some(name) = inner else {
                plain.push('{');
                rest = &rest[open + 1..];
                continue;
            };
            let source = data.0.iter().position(|(known, _)| known == name);
            let source = source.ok_or_else(|| format!("there is no data named '{name}'"))?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Of(source));
            rest = &rest[open + name.len() + 2..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// The text itself, if it is always the same.
    pub fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Writes the text of request `number`: the same for the same seed (but for UUIDs), and a name has one value
    /// in all texts of a request.
    pub fn write(&self, into: &mut String, data: &Data, seed: u64, number: u64) {
        into.clear();
        let request = split_mix(seed.wrapping_add(number.wrapping_mul(STEP)));
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => into.push_str(text),
                Piece::Of(source) => {
                    let random = split_mix(request.wrapping_add((*source as u64 + 1).wrapping_mul(STEP)));
                    data.0[*source].1.write(into, number, random);
                }
            }
        }
    }

    /// Whether every part that it can be made of `fits`.
    pub fn all(&self, data: &Data, fits: impl Fn(&str) -> bool) -> bool {
        self.0.iter().all(|piece| match piece {
            Piece::Text(text) => fits(text),
            Piece::Of(source) => data.0[*source].1.all(&fits),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(text: &str) -> Result<Data, String> {
        let files: std::collections::BTreeMap<String, SourceFile> = toml::from_str(text).expect("TOML");
        Data::new(files, 5)
    }

    fn written(template: &str, data: &Data, number: u64) -> String {
        let mut text = String::new();
        Template::new(template, data).expect("a template").write(&mut text, data, 7, number);
        text
    }

    #[test]
    fn names_are_filled_in_and_other_braces_are_text() {
        let data = data("dish = { from = 3, to = 5 }\nword = ['a', 'b', 4]").expect("data");
        for number in 0..100 {
            let text = written(r#"/{dish}/{dish} {"n":{seq},"w":"{word}","e":{}} {"#, &data, number);
            let dish: i64 = text[1..2].parse().expect("a number");
            assert!((3..=5).contains(&dish), "{text}");
            let word = &text[text.find("\"w\":\"").expect("w") + 5..][..1];
            assert!(["a", "b", "4"].contains(&word), "{text}");
            assert_eq!(text, format!(r#"/{dish}/{dish} {{"n":{number},"w":"{word}","e":{{}}}} {{"#));
            assert_eq!(text, written(r#"/{dish}/{dish} {"n":{seq},"w":"{word}","e":{}} {"#, &data, number));
        }
        assert!(Template::new("/{nobody}", &data).expect_err("is refused").contains("'nobody'"));
    }

    #[test]
    fn a_uuid_is_of_version_4_and_no_two_are_alike() {
        let data = data("").expect("data");
        let uuids: std::collections::BTreeSet<String> =
            (0..1_000).map(|number| written("{uuid}", &data, number)).collect();
        assert_eq!(uuids.len(), 1_000);
        for uuid in uuids {
            let parts: Vec<&str> = uuid.split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{uuid}");
            assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{uuid}");
        }
    }

    #[test]
    fn zipf_draws_the_first_most_often() {
        let data = data("key = { from = 1, to = 1000, zipf = 1.0 }").expect("data");
        let mut firsts = 0;
        for number in 0..10_000 {
            let key: i64 = written("{key}", &data, number).parse().expect("a number");
            assert!((1..=1_000).contains(&key));
            firsts += i64::from(key == 1);
        }
        // 1 / (harmonic number of 1000) = 13.4 %.
        assert!((1_200..1_480).contains(&firsts), "{firsts}");
    }

    #[test]
    fn what_is_no_source_is_refused() {
        for wrong in
            ["a = []", "a = { from = 5, to = 4 }", "seq = [1]", "A = [1]", "a = { from = 1, to = 9, zipf = -1 }"]
        {
            assert!(data(wrong).is_err(), "{wrong}");
        }
    }
}
