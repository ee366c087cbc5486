//! A stored response.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{
    AGE, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, COOKIE, DATE, HeaderName, HeaderValue,
    SET_COOKIE, TRAILER,
};
use hyper::http::response;
use hyper::{HeaderMap, Method, StatusCode};

use super::control::Control;
use super::freshness::{self, Freshness, Moment};
use super::key::Selection;
use super::validate;
use crate::observe::clock::Tick;
use crate::web::accept_encoding::Coding;

/// What a stored response takes in memory besides its fields and its body, roughly.
const OVERHEAD_BYTES: usize = 512;
/// Times that are not the times of the requests it will answer.
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// A response but for its body. Never changes: a validation makes a new one.
#[derive(Debug)]
pub struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub selection: Selection,
    pub freshness: Freshness,
}

/// A whole response. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stored {
    pub head: Arc<Head>,
    pub body: Bytes,
    /// The body in other codings, by [`Coding`]: what was once encoded for a client.
    pub forms: [Option<Bytes>; Coding::ALL.len()],
}

impl Stored {
    pub fn new(head: Arc<Head>, body: Bytes) -> Self {
        Self { head, body, forms: Default::default() }
    }

    /// What its body takes, in all its forms.
    pub fn body_bytes(&self) -> u64 {
        self.forms.iter().flatten().chain([&self.body]).map(|form| form.len() as u64).sum()
    }
}

/// What of a request decides whether its response may be stored.
#[derive(Debug)]
pub struct Asked<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    pub control: &'a Control,
    /// When it was sent.
    pub at: Tick,
}

impl Head {
    /// What is to be kept of `response`; None where nothing may or would help (RFC 9111, section 3).
    /// `default_ttl`: what a response is worth that doesn't say.
    pub fn of(
        asked: &Asked<'_>,
        response: &response::Parts,
        default_ttl: Option<Duration>,
        now: Moment,
    ) -> Option<Self> {
        let headers = &response.headers;
        let (control, targeted) = Control::of_response(headers);
        if *asked.method != Method::GET || asked.control.no_store || !may_be_stored(asked, response, &control) {
            return None;
        }
        let told = freshness::is_explicit(headers, &control, targeted) || control.no_cache;
        let guess = if told { Some(Duration::ZERO) } else { guess(asked, response, &control, default_ttl, now) };
        let selection = Selection::new(asked.headers, headers)?;
        let freshness = Freshness::new(headers, &control, targeted, guess?, asked.at, now);
        // What is stale from the start is of use only to ask whether it has changed.
        if !freshness.is_fresh(now.tick) && !validate::has_validator(headers) {
            return None;
        }
        let mut headers = headers.clone();
        headers.remove(SERVER_TIMING);
        if let (false, Ok(date)) = (headers.contains_key(DATE), httpdate::fmt_http_date(now.date).parse()) {
            // RFC 9110, section 6.6.1.
            headers.insert(DATE, date);
        }
        Some(Self { status: response.status, headers, selection, freshness })
    }

    pub fn bytes(&self) -> usize {
        let field = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 64;
        OVERHEAD_BYTES + self.headers.iter().map(field).sum::<usize>() + self.selection.bytes()
    }
}

/// The rules that forbid.
fn may_be_stored(asked: &Asked<'_>, response: &response::Parts, control: &Control) -> bool {
    let (status, headers) = (response.status, &response.headers);
    // A part is not the whole, and a 304 is no response to keep. Trailers would be lost.
    if status == StatusCode::PARTIAL_CONTENT || status == StatusCode::NOT_MODIFIED || headers.contains_key(TRAILER) {
        return false;
    }
    let no_store = if control.must_understand { !is_understood(status) } else { control.no_store };
    if no_store || control.private {
        return false;
    }
    // Section 3.5.
    let shared = control.public || control.s_maxage.is_some() || control.must_revalidate;
    if asked.headers.contains_key(AUTHORIZATION) && !shared {
        return false;
    }
    // A cookie is one client's, unless the origin says that it isn't (stricter than section 7.3).
    !headers.contains_key(SET_COOKIE) || control.public
}

/// How long a response is fresh that does not say. A guess is never made about what may be one person's own.
fn guess(
    asked: &Asked<'_>,
    response: &response::Parts,
    control: &Control,
    default_ttl: Option<Duration>,
    now: Moment,
) -> Option<Duration> {
    let personal = asked.headers.contains_key(COOKIE) && !control.public;
    let by_default = default_ttl.filter(|_| response.status == StatusCode::OK);
    by_default.or_else(|| freshness::guess(response.status, &response.headers, control, now.date)).filter(|_| !personal)
}

/// Statuses whose caching rules are kept here (`must-understand`, section 5.2.2.3).
fn is_understood(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 302 | 303 | 307 | 308 | 400..=417 | 421 | 422 | 500..=505)
}

/// The stored head after a `304` (sections 3.2 and 4.3.4): the fields that came replace those that were kept,
/// but for those that describe the body that is kept.
pub fn freshened(stored: &HeaderMap, news: &HeaderMap) -> HeaderMap {
    let mut headers = stored.clone();
    // An age that was counted once is not this answer's.
    headers.remove(AGE);
    for name in news.keys().filter(|name| ![CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE].contains(name)) {
        headers.remove(name);
        for value in news.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}
