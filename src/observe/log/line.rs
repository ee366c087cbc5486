//! One line, as the tail keeps it.

use std::fmt;

use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};
use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use super::plain;
use crate::observe::hop::Hop;
use crate::observe::ids::TraceId;

/// The key with which a line says whose request it belongs to.
pub const TRACE_ID: &str = "trace_id";
/// The key with which it says its hop, where its module does not.
const HOP: &str = "hop";
/// The key with which it says the instance.
const INSTANCE: &str = "instance";

/// What a part of the program says, or what became of a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Ascending, over all lines of the process. A tail gives it to the line that it takes.
    pub seq: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    #[serde(serialize_with = "level")]
    pub level: Level,
    /// None: it is said by what stands above the hops.
    pub hop: Option<Hop>,
    /// Of an answer.
    pub status: Option<u16>,
    pub target: String,
    pub text: String,
    pub trace_id: Option<TraceId>,
    pub instance: Option<String>,
    /// How long it took.
    pub us: Option<f64>,
    /// It stands for so many: at a high rate not every request has a line.
    pub one_in: u64,
}

fn level<S: Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(super::level_id(*level))
}

impl Line {
    /// What `record` says.
    pub fn of(record: &Record<'_>) -> Line {
        let mut named = Named::default();
        // It fails on nothing: `Named` never does.
        let _ = record.key_values().visit(&mut named);
        Line {
            seq: 0,
            at: OffsetDateTime::now_utc(),
            level: record.level(),
            hop: named.hop.or_else(|| hop_of(record.target())),
            status: None,
            target: plain::quoted(record.target(), 64).into_owned(),
            text: plain::line(&message(record, &named.others)).into_owned(),
            trace_id: named.trace_id,
            instance: named.instance,
            us: None,
            one_in: 1,
        }
    }

    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        size_of::<Line>() + self.target.len() + self.text.len() + self.instance.as_ref().map_or(0, String::len)
    }

    /// Whether `word`, in lower case, stands in it: in its text, its status, its trace or its instance.
    pub fn says(&self, word: &str) -> bool {
        let mut texts = [Some(self.text.as_str()), Some(&self.target), self.instance.as_deref()].into_iter().flatten();
        texts.any(|text| text.to_lowercase().contains(word))
            || self.status.is_some_and(|status| status.to_string().contains(word))
            || self.trace_id.is_some_and(|id| id.to_string().contains(word))
    }
}

/// The message, and the keys and values that have no place of their own.
fn message(record: &Record<'_>, others: &str) -> String {
    match record.args().as_str() {
        Some(text) if others.is_empty() => text.to_owned(),
        _ => format!("{}{others}", record.args()),
    }
}

/// The keys and values of a record that have a place of their own, and the others as text.
#[derive(Default)]
struct Named {
    trace_id: Option<TraceId>,
    hop: Option<Hop>,
    instance: Option<String>,
    others: String,
}

impl<'kvs> VisitSource<'kvs> for Named {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let text = value.to_string();
        match key.as_str() {
            TRACE_ID => self.trace_id = text.parse().ok(),
            HOP => self.hop = Hop::ALL.into_iter().find(|hop| hop.id() == text),
            INSTANCE => self.instance = Some(plain::quoted(&text, 64).into_owned()),
            key => fmt::Write::write_fmt(&mut self.others, format_args!(" {key}={text}"))?,
        }
        Ok(())
    }
}

/// The part of this crate, or the name of its own, that a line comes from.
fn part(target: &str) -> &str {
    let inner = target.strip_prefix("roundtrip::").unwrap_or(target);
    inner.split("::").next().unwrap_or(inner)
}

/// Whether a line is this program's own, not a library's.
pub fn is_ours(target: &str) -> bool {
    target.starts_with("roundtrip") || hop_of(target).is_some() || part(target) == "csp"
}

/// The hop that a line is from.
pub fn hop_of(target: &str) -> Option<Hop> {
    Some(match part(target) {
        "client" => Hop::Client,
        "dns" => Hop::Dns,
        "tls" => Hop::Tls,
        "edge" | "access" => Hop::Http,
        "balancer" => Hop::Balancer,
        "api" => Hop::Api,
        "service" | "supply" | "supplier" => Hop::Service,
        "store" => Hop::Data,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_knows_its_hop_by_where_it_is_said() {
        for (target, hop) in [
            ("roundtrip::store::engine::writer", Some(Hop::Data)),
            ("balancer", Some(Hop::Balancer)),
            ("supply", Some(Hop::Service)),
            ("roundtrip::console::stack", None),
            ("rustls::conn", None),
        ] {
            assert_eq!(hop_of(target), hop, "{target}");
        }
        assert!(is_ours("roundtrip::cli::serve") && !is_ours("actix_http::h1"));
    }

    #[test]
    fn keys_and_values_have_a_place_or_stand_in_the_text() {
        let keys = [("trace_id", "0af7651916cd43dd8448eb211c80319c"), ("hop", "data"), ("pages", "7\n8")];
        let text = format_args!("wrote");
        let record = Record::builder().args(text).target("roundtrip::x").key_values(&keys).build();
        let line = Line::of(&record);
        assert_eq!((line.hop, line.text.as_str()), (Some(Hop::Data), "wrote pages=7\\n8"));
        assert_eq!(line.trace_id.map(|id| id.to_string()).as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        assert!(line.says("wrote") && line.says("8448eb") && !line.says("read"));
    }
}
