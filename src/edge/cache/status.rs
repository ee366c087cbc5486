//! `Cache-Status` (RFC 9211): what the cache did, for those who look at an answer.

use std::fmt::Write as _;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Why a request went on to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was told not to look.
    Bypass,
    Method,
    UriMiss,
    VaryMiss,
    /// The request's own directives asked for it.
    Request,
    Stale,
}

impl Why {
    pub const fn id(self) -> &'static str {
        match self {
            Why::Bypass => "bypass",
            Why::Method => "method",
            Why::UriMiss => "uri-miss",
            Why::VaryMiss => "vary-miss",
            Why::Request => "request",
            Why::Stale => "stale",
        }
    }
}

/// What happened to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    Hit { ttl: i64 },
    Forwarded(Forwarded),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forwarded {
    pub why: Why,
    /// The upstream's status, where the client gets another.
    pub status: Option<u16>,
    pub stored: bool,
    /// Another request's answer was waited for.
    pub collapsed: bool,
}

impl Forwarded {
    pub const fn because(why: Why) -> Self {
        Self { why, status: None, stored: false, collapsed: false }
    }
}

impl CacheStatus {
    /// In a word.
    pub const fn id(self) -> &'static str {
        match self {
            CacheStatus::Hit { .. } => "hit",
            CacheStatus::Forwarded(Forwarded { collapsed: true, .. }) => "collapsed",
            CacheStatus::Forwarded(Forwarded { why, .. }) => why.id(),
        }
    }

    /// Adds it, after what caches behind us said (section 2).
    pub fn append(self, headers: &mut HeaderMap, cache: &str) {
        let mut text = String::with_capacity(48);
        text.push_str(cache);
        match self {
            CacheStatus::Hit { ttl } => _ = write!(text, "; hit; ttl={ttl}"),
            CacheStatus::Forwarded(Forwarded { why, status, stored, collapsed }) => {
                _ = write!(text, "; fwd={}", why.id());
                if let Some(status) = status {
                    _ = write!(text, "; fwd-status={status}");
                }
                text.push_str(if stored { "; stored" } else { "" });
                text.push_str(if collapsed { "; collapsed" } else { "" });
            }
        }
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.append(CACHE_STATUS, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_after_what_other_caches_said() {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_STATUS, HeaderValue::from_static("origin; hit"));
        CacheStatus::Hit { ttl: -3 }.append(&mut headers, "roundtrip");
        let forwarded = Forwarded { status: Some(304), collapsed: true, ..Forwarded::because(Why::Stale) };
        CacheStatus::Forwarded(forwarded).append(&mut headers, "roundtrip");
        let all: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(all, ["origin; hit", "roundtrip; hit; ttl=-3", "roundtrip; fwd=stale; fwd-status=304; collapsed"]);
    }
}
