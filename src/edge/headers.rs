//! What a proxy changes in a head, both ways.

use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::Version;
use hyper::header::{
    CONNECTION, COOKIE, EXPECT, FORWARDED, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

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

/// Where a request came from, as the upstream is told.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    pub peer: IpAddr,
    pub authority: &'a str,
    pub secure: bool,
    pub version: Version,
    pub via: &'a str,
}

/// Removes what is for this connection only.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let mut named = Vec::new();
    for value in headers.get_all(CONNECTION) {
        let tokens = value.to_str().unwrap_or_default().split(',').map(str::trim);
        let names = tokens.filter(|token| !NEVER_NAMED.iter().any(|never| token.eq_ignore_ascii_case(never)));
        named.extend(names.filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok()));
    }
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Makes a client's head an upstream's.
pub fn to_upstream(headers: &mut HeaderMap, origin: Origin<'_>, traced: bool) {
    let trailers = headers.get_all(TE).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers")))
    });
    strip_hop_by_hop(headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    // 100 is sent by hyper when the body is first read, which is when the upstream's connection stands.
    headers.remove(EXPECT);
    headers.remove(FORWARDED);
    let ours = |name: &HeaderName| name.as_str().starts_with("roundtrip-") || name.as_str().starts_with("x-forwarded-");
    let ours: Vec<HeaderName> = headers.keys().filter(|name| ours(name)).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
    if !traced {
        // W3C Trace Context, section 4.3: without a valid traceparent, tracestate means nothing.
        headers.remove(TRACESTATE);
    }
    join_cookies(headers);
    describe_origin(headers, origin);
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

/// There are no trusted proxies before us, so whatever was said about the origin is replaced.
fn describe_origin(headers: &mut HeaderMap, origin: Origin<'_>) {
    let Origin { peer, authority, secure, via, .. } = origin;
    let peer = peer.to_canonical();
    let proto = if secure { "https" } else { "http" };
    // RFC 7239, section 6: an IPv6 address stands in brackets and quotes.
    let node = if peer.is_ipv6() { format!("\"[{peer}]\"") } else { peer.to_string() };
    let fields = [
        (HOST, authority.to_owned()),
        (X_FORWARDED_FOR, peer.to_string()),
        (X_FORWARDED_HOST, authority.to_owned()),
        (FORWARDED, format!("for={node};host=\"{authority}\";proto={proto}")),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    append_via(headers, origin.version, via);
}

/// RFC 9110, section 7.6.3.
pub fn append_via(headers: &mut HeaderMap, received: Version, via: &str) {
    let version = match received {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    if let Ok(value) = HeaderValue::try_from(format!("{version} {via}")) {
        headers.append(VIA, value);
    }
}

/// Whether the message has been here before.
pub fn passed_through(headers: &HeaderMap, via: &str) -> bool {
    let received_by = |hop: &str| hop.split_whitespace().nth(1).is_some_and(|by| by.eq_ignore_ascii_case(via));
    headers.get_all(VIA).iter().any(|value| value.to_str().is_ok_and(|value| value.split(',').any(received_by)))
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
        let left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["host", "x-kept"]);
    }

    #[test]
    fn an_ipv6_client_is_quoted_and_a_mapped_one_is_ipv4() {
        let mut headers = HeaderMap::new();
        let origin = Origin {
            peer: IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            authority: "a:1",
            secure: true,
            version: Version::HTTP_2,
            via: "us",
        };
        to_upstream(&mut headers, origin, true);
        assert_eq!(headers[FORWARDED], "for=\"[::1]\";host=\"a:1\";proto=https");
        assert_eq!(headers[VIA], "2 us");
        let mapped = Origin { peer: IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1]), ..origin };
        to_upstream(&mut headers, mapped, true);
        assert_eq!(headers[X_FORWARDED_FOR], "127.0.0.1");
    }
}
