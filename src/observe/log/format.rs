//! How a record looks on standard error.

use std::io::{self, Write};

use env_logger::fmt::Formatter;
use log::Record;
use log::kv::{Error, Key, Value, VisitSource};
use serde_json::Map;

use super::line::hop_of;
use super::{ACCESS, level_id, plain};

/// `[2026-05-01T12:00:00Z WARN  roundtrip::store] what happened trace_id=…`
pub fn text(to: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    if record.target() == ACCESS {
        // Made as one line already.
        return writeln!(to, "{}", record.args());
    }
    let style = to.default_level_style(record.level());
    let (time, level, target) = (to.timestamp(), record.level(), plain::quoted(record.target(), 64));
    let mut said = record.args().to_string();
    // It fails on nothing: a string takes all.
    let _ = record.key_values().visit(&mut Pairs(&mut said));
    writeln!(to, "[{time} {style}{level:<5}{style:#} {target}] {}", plain::line(&said))
}

/// `{"ts":…,"level":"warn","target":…,"hop":…,"msg":…,"trace_id":…}`
pub fn json(to: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    if record.target() == ACCESS {
        return writeln!(to, "{}", record.args());
    }
    let mut members = Map::new();
    members.insert("ts".to_owned(), to.timestamp_micros().to_string().into());
    members.insert("level".to_owned(), level_id(record.level()).into());
    members.insert("target".to_owned(), record.target().into());
    if let Some(hop) = hop_of(record.target()) {
        members.insert("hop".to_owned(), hop.id().into());
    }
    members.insert("msg".to_owned(), bounded(&record.args().to_string()).into());
    let _ = record.key_values().visit(&mut Members(&mut members));
    writeln!(to, "{}", plain::json(serde_json::Value::Object(members).to_string()))
}

/// JSON escapes by itself; only the length is left.
fn bounded(text: &str) -> &str {
    text.char_indices().nth(plain::CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

struct Pairs<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        std::fmt::Write::write_fmt(self.0, format_args!(" {key}={value}"))?;
        Ok(())
    }
}

struct Members<'a>(&'a mut Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Members<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let number = value.to_u64().map(serde_json::Value::from).or_else(|| value.to_i64().map(Into::into));
        let number = number.or_else(|| value.to_bool().map(Into::into));
        let shown = number.unwrap_or_else(|| bounded(&value.to_string()).into());
        self.0.insert(key.as_str().to_owned(), shown);
        Ok(())
    }
}
