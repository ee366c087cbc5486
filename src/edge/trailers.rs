//! What may stand in trailers, both ways.
//!
//! RFC 9110, section 6.5.1: a field is merged into the head only where its definition allows it, and what
//! frames, routes, authenticates, modifies or describes a message never. Software that merges all the same
//! would let a client say in trailers what its head may not; so what is for a head to say is dropped.

use bytes::Bytes;
use http_body::Frame;
use hyper::header::HeaderName;

const NEVER: [&str; 40] = [
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "authorization",
    "cache-control",
    "cache-status",
    "cdn-cache-control",
    "connection",
    "cookie",
    "date",
    "early-data",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "last-modified",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server-timing",
    "set-cookie",
    "strict-transport-security",
    "te",
    "tracestate",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
];

const NEVER_BEGINS: [&str; 9] =
    ["accept", "access-control-", "content-", "if-", "proxy-", "roundtrip-", "sec-", "www-", "x-forwarded-"];

/// A frame with those of its trailers that may pass; None: none may.
pub fn pass(frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
    let mut trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(data) => return Some(data),
    };
    let barred: Vec<HeaderName> = trailers.keys().filter(|name| !may_pass(name.as_str())).cloned().collect();
    for name in barred {
        trailers.remove(name);
    }
    (!trailers.is_empty()).then(|| Frame::trailers(trailers))
}

fn may_pass(name: &str) -> bool {
    // RFC 9530, section 1, has it sent there: it is known only after the content.
    let digest = name == "content-digest";
    let barred = NEVER.contains(&name) || NEVER_BEGINS.iter().any(|begin| name.starts_with(begin));
    // Servers that turn fields into variables read `a_b` as `a-b`.
    digest || !(barred || name.contains('_'))
}
