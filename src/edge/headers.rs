//! What a proxy changes in a head, both ways.

use hyper::HeaderMap;
use hyper::header::{
    CONNECTION, COOKIE, EXPECT, FORWARDED, HeaderName, HeaderValue, MAX_FORWARDS, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
};

use crate::web::list;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// RFC 9110, section 7.6.1, and what older software sends. `Trailer` stays: the trailers pass too, and
/// hyper sends only those that it announces.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Fields that `Connection` may name without effect: removing them would change what the message means
/// or where it goes (RFC 9110, section 7.6.1, forbids to list end-to-end fields; attackers do).
const NEVER_NAMED: [&str; 6] = ["host", "content-length", "cookie", "authorization", "traceparent", "te"];

/// Removes what is for this connection only.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // A look at each name is cheaper than a search for each of those that most heads do not have.
    let mut named: Vec<HeaderName> = headers.keys().filter(|name| HOP_BY_HOP.contains(name)).cloned().collect();
    if named.is_empty() {
        return;
    }
    for token in headers.get_all(CONNECTION).iter().flat_map(tokens) {
        // The two that nearly every Connection says name no field of weight.
        let weighty = ![&b"close"[..], b"keep-alive"].iter().any(|plain| token.eq_ignore_ascii_case(plain));
        // A parameter makes it no token, but who wrote it meant the field.
        let name = token.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if weighty && !NEVER_NAMED.iter().any(|never| name.eq_ignore_ascii_case(never.as_bytes())) {
            named.extend(HeaderName::from_bytes(name));
        }
    }
    for name in named {
        headers.remove(name);
    }
}

/// The elements of a list. Bytes: one that is no ASCII hides no other.
fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    list::tokens(value.as_bytes())
}

/// HTTP by another name would carry requests past all the rules of a proxy ("h2c smuggling").
const NEVER_SWITCHED_TO: [&str; 3] = ["h2c", "http", "tls"];

/// The protocols that a head asks for or grants; RFC 9110, section 7.8: only if `Connection` says so too.
pub fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let named = headers.get_all(CONNECTION).iter().flat_map(tokens).any(|token| token.eq_ignore_ascii_case(b"upgrade"));
    let mut protocols = headers.get_all(UPGRADE).iter();
    let (only, second) = (protocols.next()?, protocols.next());
    let fits = |protocol: &[u8]| {
        let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
        protocol.is_ascii()
            && !name.is_empty()
            && !NEVER_SWITCHED_TO.iter().any(|never| name.eq_ignore_ascii_case(never.as_bytes()))
    };
    (named && second.is_none() && tokens(only).all(fits)).then(|| only.clone())
}

/// Passes on what [`upgrade`] found, to be called after the fields for one connection have gone.
pub fn set_upgrade(headers: &mut HeaderMap, protocols: HeaderValue) {
    headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocols);
}

/// Fields that an upstream is told besides the client's own: made room for at once.
const TOLD_UPSTREAM: usize = 8;

/// Makes a client's head an upstream's, but for what it is told of the client. `trusted`: a proxy of ours
/// sent it, whose word about the client stays.
pub fn to_upstream(headers: &mut HeaderMap, trusted: bool, traced: bool) {
    let trailers = headers.get_all(TE).iter().flat_map(tokens).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
    strip_hop_by_hop(headers);
    headers.reserve(TOLD_UPSTREAM);
    if trailers {
        // RFC 9110, section 10.1.4: TE is for the next hop, which Connection has to say.
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    // The balancer sets it again where there is a body to wait with.
    headers.remove(EXPECT);
    if !trusted {
        headers.remove(FORWARDED);
    }
    let ours = |name: &HeaderName| {
        name.as_str().starts_with("roundtrip-") || (!trusted && name.as_str().starts_with("x-forwarded-"))
    };
    let ours: Vec<HeaderName> = headers.keys().filter(|name| ours(name)).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
    if !traced {
        // W3C Trace Context, section 4.3: without a valid traceparent, tracestate means nothing.
        headers.remove(TRACESTATE);
    }
    join_cookies(headers);
}

/// RFC 9110, section 7.6.2: counts one hop off what an OPTIONS may still take. False: it may take none.
pub fn count_forward(headers: &mut HeaderMap) -> bool {
    let left = headers.get(MAX_FORWARDS).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match left {
        Some(0) => return false,
        Some(left) => {
            headers.insert(MAX_FORWARDS, HeaderValue::from(left - 1));
        }
        None => {}
    }
    true
}

/// Sets fields that a route's rules name, whatever was there.
pub fn set_all(headers: &mut HeaderMap, fields: &[(HeaderName, HeaderValue)]) {
    for (name, value) in fields {
        headers.insert(name.clone(), value.clone());
    }
}

/// RFC 9113, section 8.2.3: h2 may split Cookie; HTTP/1.1 has one field.
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// Whether the message has been here before.
pub fn passed_through(headers: &HeaderMap, via: &str) -> bool {
    let received_by = |hop: &[u8]| {
        let mut words = hop.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        words.nth(1).is_some_and(|by| by.eq_ignore_ascii_case(via.as_bytes()))
    };
    headers.get_all(VIA).iter().flat_map(tokens).any(received_by)
}

/// Puts our times in front of what the upstream said about its own.
pub fn prepend_server_timing(headers: &mut HeaderMap, ours: &str) {
    let Ok(ours) = HeaderValue::try_from(ours) else { return };
    let theirs: Vec<HeaderValue> = headers.get_all(SERVER_TIMING).iter().cloned().collect();
    headers.insert(SERVER_TIMING, ours);
    for value in theirs {
        headers.append(SERVER_TIMING, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_removes_what_it_names_but_nothing_that_carries_meaning() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "x-secret, Host, close"), ("x-secret", "1"), ("host", "a"), ("x-kept", "1")]
        {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["host", "x-kept"]);
    }
}
