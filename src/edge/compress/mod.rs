//! Compression of public answers, for clients that take it: a pure change of head and body, so that it can
//! stand behind anything that answers.
//!
//! Never where a secret may be in the answer: its compressed length tells whether a guess that was made to
//! appear beside the secret is right (BREACH, Gluck, Harris, Prado 2013). So only answers that are for
//! everybody, to requests that carry nobody's credentials.

mod encode;

use hyper::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, RANGE, SET_COOKIE, VARY,
};
use hyper::http::request;
use hyper::http::response;
use hyper::{Method, StatusCode};

use crate::settings::http::compress::CompressSettings;
use crate::web::accept_encoding::{Coding, negotiate};
use crate::web::etag::{self, Comparison};
use crate::web::list;
pub use encode::{Encoded, Encoder, Encoders};

/// In this order where the client likes several alike: on a menu of 10 KiB, brotli takes four times zstd's time
/// for a tenth fewer bytes.
const BY_SPEED: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

/// Digests that a change of the coding would make wrong (RFC 9530, and what came before it).
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// What a request says about the coding of its answer.
#[derive(Debug, Clone)]
pub struct Wish {
    coding: Option<Coding>,
    /// It carries credentials, or asks for a part.
    barred: bool,
    head_only: bool,
    if_none_match: String,
}

impl Wish {
    pub fn of(request: &request::Parts) -> Self {
        let headers = &request.headers;
        Self {
            coding: negotiate(&joined(headers, &ACCEPT_ENCODING), BY_SPEED),
            barred: [COOKIE, AUTHORIZATION, RANGE].iter().any(|name| headers.contains_key(name)),
            head_only: request.method == Method::HEAD,
            if_none_match: joined(headers, &IF_NONE_MATCH),
        }
    }

    /// Makes the head that of the answer as it will be sent, and its body with `encoded`, which may give none.
    /// `bytes`: the body's length, where it is known.
    pub fn apply<T>(
        &self,
        head: &mut response::Parts,
        bytes: Option<u64>,
        settings: &CompressSettings,
        encoded: impl FnOnce(Coding) -> Option<T>,
    ) -> Option<T> {
        if !settings.enabled || !is_public(&head.headers) {
            return None;
        }
        if head.status == StatusCode::NOT_MODIFIED {
            self.repeat_tag(&mut head.headers);
            return None;
        }
        if head.status == StatusCode::PARTIAL_CONTENT {
            // RFC 9110, section 15.3.7: what its 200 would say.
            if is_as_it_is(&head.headers) {
                vary(&mut head.headers);
            }
            return None;
        }
        let bytes = if self.head_only { announced(&head.headers) } else { bytes };
        if !is_worth_it(head) || bytes.is_some_and(|bytes| bytes < settings.min_bytes) {
            return None;
        }
        // Also where it is sent as it is: a cache must not give one client's coding to another.
        vary(&mut head.headers);
        let coding = self.coding.filter(|_| !self.barred)?;
        let body = if self.head_only { None } else { Some(encoded(coding)?) };
        head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.token()));
        head.headers.remove(CONTENT_LENGTH);
        // Ranges would be of other bytes than these.
        head.headers.remove(ACCEPT_RANGES);
        weaken(&mut head.headers);
        body
    }

    /// The client holds what was once sent compressed, under the weak form of the tag: a 304 that says the
    /// strong one would not refresh it (RFC 9111, section 4.3.4).
    fn repeat_tag(&self, headers: &mut HeaderMap) {
        let held = |tag: &HeaderValue| {
            let (list, tag) = (self.if_none_match.as_bytes(), tag.as_bytes());
            etag::lists(list, tag, Comparison::Weak) && !etag::lists(list, tag, Comparison::Strong)
        };
        if headers.get(ETAG).is_some_and(held) {
            weaken(headers);
            vary(headers);
        }
    }
}

/// Whether the answer is for everybody, and may be changed (RFC 9111, section 5.2.2.6).
fn is_public(headers: &HeaderMap) -> bool {
    let mut directives = headers.get_all(CACHE_CONTROL).iter().flat_map(|line| list::members(line.as_bytes()));
    let forbids = |directive: &[u8]| {
        let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        ["private", "no-store", "no-transform"].iter().any(|one| name.eq_ignore_ascii_case(one.as_bytes()))
    };
    !headers.contains_key(SET_COOKIE) && !directives.any(forbids)
}

fn is_worth_it(head: &response::Parts) -> bool {
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::SWITCHING_PROTOCOLS];
    !bodiless.contains(&head.status) && !head.headers.contains_key(CONTENT_RANGE) && is_as_it_is(&head.headers)
}

/// Whether its bytes are those of a text, and nothing says that they have to stay so.
fn is_as_it_is(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    !std::iter::once(&CONTENT_ENCODING).chain(&DIGESTS).any(|name| headers.contains_key(name))
        && is_compressible(media_type)
}

/// Media types that are text, or nearly. Events are not held back for a better ratio.
fn is_compressible(media_type: &str) -> bool {
    const MORE: [&str; 10] = [
        "application/json",
        "application/javascript",
        "application/xml",
        "application/x-ndjson",
        "application/wasm",
        "application/toml",
        "application/yaml",
        "image/bmp",
        "font/ttf",
        "font/otf",
    ];
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let text = essence.starts_with("text/") && essence != "text/event-stream";
    text || essence.ends_with("+json") || essence.ends_with("+xml") || MORE.contains(&essence.as_str())
}

/// The strong tag names bytes that are not those sent (RFC 9110, section 8.8.1); as a weak one it still
/// answers If-None-Match, which compares weakly.
fn weaken(headers: &mut HeaderMap) {
    let weak = headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/")).and_then(|tag| {
        let weak = [b"W/", tag.as_bytes()].concat();
        HeaderValue::from_bytes(&weak).ok()
    });
    if let Some(weak) = weak {
        headers.insert(ETAG, weak);
    }
}

fn vary(headers: &mut HeaderMap) {
    let has = |name: &[u8]| name == b"*" || name.eq_ignore_ascii_case(ACCEPT_ENCODING.as_str().as_bytes());
    if !headers.get_all(VARY).iter().flat_map(|line| list::tokens(line.as_bytes())).any(has) {
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// All values of a list field as one (RFC 9110, section 5.3).
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}
