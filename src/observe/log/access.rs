//! The access log: one line a request, when its answer has been handed over.
//!
//! The tail of a stack always has some; standard error gets all of them if it was asked for (`--access-log`). A
//! query may carry a secret, and so may that of a referring page: neither is logged.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use log::Level;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use super::line::Line;
use super::sampler::Sampler;
use super::tail::Tail;
use super::{ACCESS, access_form, plain};
use crate::observe::clock::{Tick, micros};
use crate::observe::failure::Failure;
use crate::observe::hop::Hop;
use crate::observe::ids::TraceId;

/// What a client chose, in characters.
const PATH_CHARS_MAX: usize = 1_024;
const FIELD_CHARS_MAX: usize = 256;
/// Of the common log format.
const TIME: StaticFormatDescription = format_description!(
    "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
);

/// How a request's line looks on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum AccessForm {
    #[default]
    Off,
    /// The common log format with referrer and user agent ("combined"), then what it lacks, as `name=value`.
    Common,
    /// One JSON object.
    Json,
}

/// A request and its answer.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub client: IpAddr,
    pub started_at: OffsetDateTime,
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// Such as `1.1`.
    pub version: &'static str,
    pub status: u16,
    /// Why it failed; None: it did not.
    pub failure: Option<Failure>,
    /// Of the answer's body.
    pub bytes: u64,
    pub took: Duration,
    pub referrer: Option<&'a [u8]>,
    pub user_agent: Option<&'a [u8]>,
    pub trace_id: TraceId,
    pub upstream: Option<&'a str>,
    /// What the edge's cache did; None: it was not asked.
    pub cache: Option<&'static str>,
}

/// Of one stack. Cheap to clone; clones are the same log.
#[derive(Debug, Clone, Default)]
pub struct AccessLog(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    tail: Tail,
    /// Failures are counted apart: what is rare stays whole beside what is frequent.
    fine: Sampler,
    failed: Sampler,
}

impl AccessLog {
    /// The latest requests.
    pub fn tail(&self) -> &Tail {
        &self.0.tail
    }

    /// Logs a request, which is over `now`.
    pub fn record<'a>(&self, now: Tick, failure: Option<Failure>, entry: impl FnOnce() -> Entry<'a>) {
        let form = access_form();
        let sampler = if failure.is_some() { &self.0.failed } else { &self.0.fine };
        let taken = sampler.takes(now);
        if taken.is_none() && form == AccessForm::Off {
            return;
        }
        let entry = entry();
        if let Some(one_in) = taken {
            self.0.tail.push(entry.line(one_in));
        }
        match form {
            AccessForm::Off => {}
            AccessForm::Common => log::info!(target: ACCESS, "{}", entry.common()),
            AccessForm::Json => log::info!(target: ACCESS, "{}", entry.json()),
        }
    }
}

impl Entry<'_> {
    fn line(&self, one_in: u64) -> Line {
        let agent = field(self.user_agent, FIELD_CHARS_MAX);
        let cache = self.cache.map(|cache| format!(", cache {cache}")).unwrap_or_default();
        let failed = match self.failure {
            Some(Failure::NoAnswer) => ", no answer",
            Some(Failure::BrokenOff) => ", broken off",
            Some(Failure::Status) | None => "",
        };
        let path = plain::quoted(self.path, PATH_CHARS_MAX);
        Line {
            seq: 0,
            at: OffsetDateTime::now_utc(),
            level: if self.failure.is_some() { Level::Warn } else { Level::Info },
            hop: Some(Hop::Http),
            status: Some(self.status),
            target: ACCESS.to_owned(),
            text: format!("{} {path}, {} B to {}, {agent}{cache}{failed}", self.method(), self.bytes, self.client),
            trace_id: Some(self.trace_id),
            instance: self.upstream.map(str::to_owned),
            us: Some(micros(self.took)),
            one_in,
        }
    }

    /// `host ident user [time] "request" status bytes "referrer" "agent"` (httpd's `combined`). The edge signs nobody
    /// in, so the user is unknown here.
    fn common(&self) -> String {
        let none = "-";
        format!(
            "{} - - [{}] \"{} {} HTTP/{}\" {} {} \"{}\" \"{}\" trace_id={} us={:.0} upstream={} cache={} error={}",
            self.client,
            self.started_at.format(TIME).unwrap_or_default(),
            self.method(),
            plain::quoted(self.path, PATH_CHARS_MAX),
            self.version,
            self.status,
            self.bytes,
            self.referring_page(),
            field(self.user_agent, FIELD_CHARS_MAX),
            self.trace_id,
            micros(self.took),
            self.upstream.unwrap_or(none),
            self.cache.unwrap_or(none),
            self.error_type().as_deref().unwrap_or(none),
        )
    }

    fn json(&self) -> String {
        let plain = |text: &str, max| text.chars().take(max).collect::<String>();
        let ts = self.started_at.format(&time::format_description::well_known::Rfc3339);
        let referrer = self.referrer.map(|_| self.referring_page());
        let agent = self.user_agent.map(|bytes| plain(&String::from_utf8_lossy(bytes), FIELD_CHARS_MAX));
        let members = json!({
            "ts": ts.unwrap_or_default(),
            "level": "info",
            "target": ACCESS,
            "hop": Hop::Http,
            "client": self.client,
            "method": plain(self.method, 32),
            "path": plain(self.path, PATH_CHARS_MAX),
            "http": self.version,
            "status": self.status,
            "bytes": self.bytes,
            "us": micros(self.took),
            "referrer": referrer,
            "user_agent": agent,
            "trace_id": self.trace_id,
            "upstream": self.upstream,
            "cache": self.cache,
            "error_type": self.error_type(),
        });
        plain::json(members.to_string())
    }

    fn error_type(&self) -> Option<Cow<'static, str>> {
        self.failure.map(|failure| failure.error_type(self.status))
    }

    fn method(&self) -> Cow<'_, str> {
        plain::quoted(self.method, 32)
    }

    fn referring_page(&self) -> String {
        let page = self.referrer.map(|bytes| bytes.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or(bytes));
        field(page, FIELD_CHARS_MAX)
    }
}

/// A header field that a client chose, to stand between quotes; `-` for none.
fn field(value: Option<&[u8]>, chars_max: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |bytes| plain::quoted(&String::from_utf8_lossy(bytes), chars_max).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn entry<'a>(path: &'a str, user_agent: &'a [u8]) -> Entry<'a> {
        Entry {
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            started_at: OffsetDateTime::UNIX_EPOCH,
            method: "GET",
            path,
            version: "1.1",
            status: 200,
            failure: None,
            bytes: 2_326,
            took: Duration::from_micros(120),
            referrer: Some(b"https://a.example/p?token=canary"),
            user_agent: Some(user_agent),
            trace_id: "0af7651916cd43dd8448eb211c80319c".parse().expect("an id"),
            upstream: Some("i1"),
            cache: Some("miss"),
        }
    }

    #[test]
    fn the_common_form_is_what_log_readers_know() {
        assert_eq!(
            entry("/menu", b"curl/8").common(),
            "127.0.0.1 - - [01/Jan/1970:00:00:00 +0000] \"GET /menu HTTP/1.1\" 200 2326 \"https://a.example/p\" \
             \"curl/8\" trace_id=0af7651916cd43dd8448eb211c80319c us=120 upstream=i1 cache=miss error=-"
        );
    }

    #[test]
    fn what_a_client_writes_ends_no_line_and_no_field() {
        let forged = b"x\" 200 1 \"-\" \"y\"\r\n127.0.0.1 - - [now] \"GET /forged HTTP/1.1\" 200 1\x1b[2J\x9b";
        let entry = entry("/a\r\nb\" 500", forged);
        let common = entry.common();
        assert!(!common.contains(|c: char| c.is_control()), "{common:?}");
        assert!(common.contains("\"GET /a\\r\\nb\\\" 500 HTTP/1.1\" 200 2326"), "{common}");
        assert_eq!(common.replace("\\\"", "").matches('"').count(), 6, "{common}");
        let json = entry.json();
        assert!(!json.contains(|c: char| c.is_control()), "{json:?}");
        let read: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(read["path"], "/a\r\nb\" 500");
        assert!(!entry.line(1).text.contains(|c: char| c.is_control()));
        assert!(![common, json].iter().any(|text| text.contains("canary")));
    }

    #[test]
    fn failures_have_lines_though_much_else_happens() {
        let log = AccessLog::default();
        let now = Tick::from_nanos(7_000_000_000);
        for _ in 0..10_000 {
            log.record(now, None, || entry("/fine", b"a"));
        }
        let failure = Some(Failure::BrokenOff);
        log.record(now, failure, || Entry { failure, ..entry("/bad", b"a") });
        let wanted = super::super::tail::Wanted { limit: 10_000, ..Default::default() };
        let found = super::super::tail::search(&[log.tail()], &wanted);
        let last = found.lines.last().expect("a line");
        assert_eq!((last.status, last.one_in, last.level), (Some(200), 1, Level::Warn));
        let second_last = &found.lines[found.lines.len() - 2];
        assert!(found.lines.len() < 3_000 && second_last.one_in > 1, "{} lines", found.lines.len());
    }
}
