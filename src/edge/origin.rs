//! Where a request came from: who the client is, and what those behind us are told of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use hyper::header::{FORWARDED, HOST, HeaderName, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Version};

use super::site::Site;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Hops of a chain that are looked at. A longer one is no chain of proxies.
const HOPS_MAX: usize = 32;

/// Our name in `Via`, ready for each version that a message may have been received in.
#[derive(Debug, Clone)]
pub struct Via {
    pub name: String,
    http_10: HeaderValue,
    http_11: HeaderValue,
    http_2: HeaderValue,
}

impl Via {
    /// None: it is no token.
    pub fn new(name: String) -> Option<Self> {
        let token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        let value = |version| HeaderValue::try_from(format!("{version} {name}")).ok().filter(|_| token);
        Some(Self { http_10: value("1.0")?, http_11: value("1.1")?, http_2: value("2")?, name })
    }

    /// RFC 9110, section 7.6.3.
    pub fn received(&self, version: Version) -> HeaderValue {
        match version {
            Version::HTTP_10 => self.http_10.clone(),
            Version::HTTP_2 => self.http_2.clone(),
            _ => self.http_11.clone(),
        }
    }
}

/// The peer of a connection, as those behind us are told. Made once a connection: the values are the same
/// for all its requests, as long as `Host` is.
#[derive(Debug)]
pub struct Origin {
    address: HeaderValue,
    node: String,
    proto: &'static str,
    /// The last `Host`, and `Forwarded` with it.
    forwarded: Mutex<Option<(HeaderValue, HeaderValue)>>,
}

impl Origin {
    pub fn new(peer: IpAddr, secure: bool) -> Self {
        let peer = peer.to_canonical();
        // RFC 7239, section 6: an IPv6 address stands in brackets and quotes.
        let node = if peer.is_ipv6() { format!("\"[{peer}]\"") } else { peer.to_string() };
        Self {
            // An address is digits, dots and colons.
            address: HeaderValue::try_from(peer.to_string()).unwrap_or(HeaderValue::from_static("unknown")),
            node,
            proto: if secure { "https" } else { "http" },
            forwarded: Mutex::default(),
        }
    }

    /// Whether the client came over TLS.
    pub fn is_secure(&self) -> bool {
        self.proto == "https"
    }

    /// Writes `Host`, `X-Forwarded-*` and `Forwarded`. What was said before is replaced, unless a proxy
    /// that is `trusted` said it: then ours stands behind it.
    pub fn tell(&self, headers: &mut HeaderMap, authority: &HeaderValue, trusted: bool) {
        let forwarded = self.forwarded(authority);
        if headers.get(HOST) != Some(authority) {
            headers.insert(HOST, authority.clone());
        }
        if trusted {
            append(headers, X_FORWARDED_FOR, &self.address);
            append(headers, FORWARDED, &forwarded);
            keep_or_set(headers, X_FORWARDED_HOST, authority.clone(), |host| host.parse::<Authority>().is_ok());
            let proto = HeaderValue::from_static(self.proto);
            keep_or_set(headers, X_FORWARDED_PROTO, proto, |proto| matches!(proto, "http" | "https"));
        } else {
            headers.insert(X_FORWARDED_FOR, self.address.clone());
            headers.insert(FORWARDED, forwarded);
            headers.insert(X_FORWARDED_HOST, authority.clone());
            headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(self.proto));
        }
    }

    /// RFC 7239, section 4.
    fn forwarded(&self, authority: &HeaderValue) -> HeaderValue {
        let mut last = self.forwarded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((host, forwarded)) = &*last
            && host == authority
        {
            return forwarded.clone();
        }
        let host = authority.to_str().unwrap_or_default();
        let text = format!("for={};host=\"{host}\";proto={}", self.node, self.proto);
        let forwarded = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("for=unknown"));
        *last = Some((authority.clone(), forwarded.clone()));
        forwarded
    }
}

/// Puts `ours` behind what is there, in one field: some servers read only the first.
fn append(headers: &mut HeaderMap, name: HeaderName, ours: &HeaderValue) {
    let mut all: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
    all.push(ours.as_bytes());
    let all = HeaderValue::from_bytes(&all.join(&b", "[..]));
    headers.insert(name, all.unwrap_or_else(|_| ours.clone()));
}

/// Keeps the one value that is there and makes sense, or sets `ours`.
fn keep_or_set(headers: &mut HeaderMap, name: HeaderName, ours: HeaderValue, makes_sense: impl Fn(&str) -> bool) {
    let mut values = headers.get_all(&name).iter();
    let (first, second) = (values.next(), values.next());
    let keep = second.is_none() && first.is_some_and(|value| value.to_str().is_ok_and(makes_sense));
    if !keep {
        headers.insert(name, ours);
    }
}

/// Who the client is: the peer, unless that is a proxy of ours. Then the chain of addresses is read from
/// right to left for as long as proxies of ours wrote it; what stands before that anybody may have written.
///
/// `X-Forwarded-For` beats `Forwarded`: most proxies write only the former, and pass the latter on as it came.
pub fn client(peer: IpAddr, headers: &HeaderMap, site: &Site) -> IpAddr {
    let peer = peer.to_canonical();
    if !site.trusts(peer) {
        return peer;
    }
    if headers.contains_key(X_FORWARDED_FOR) {
        walk(peer, site, right_to_left(headers, &X_FORWARDED_FOR).map(node))
    } else {
        walk(peer, site, right_to_left(headers, &FORWARDED).map(forwarded_for))
    }
}

fn walk(peer: IpAddr, site: &Site, chain: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
    let mut client = peer;
    for address in chain.take(HOPS_MAX) {
        // `unknown` and `_hidden` (RFC 7239, section 6) are nobody: the last one known is.
        let Some(address) = address else { break };
        client = address.to_canonical();
        if !site.trusts(client) {
            break;
        }
    }
    client
}

fn right_to_left<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().rev().flat_map(|value| value.to_str().unwrap_or("unknown").rsplit(',')).map(str::trim)
}

/// `for=` of one element.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    node(values.next()?.1.trim().trim_matches('"'))
}

/// An address, with or without a port, an IPv6 one with or without brackets.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn site() -> Site {
        Site::new(Default::default(), vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()], Vec::new())
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_no_proxy_of_ours_has() {
        let site = site();
        let client = |peer: &str, fields: &[(&'static str, &'static str)]| {
            client(peer.parse().unwrap(), &headers(fields), &site).to_string()
        };
        let lies = [("x-forwarded-for", "6.6.6.6, 7.7.7.7:99 ,10.0.0.2")];
        assert_eq!(client("9.9.9.9", &lies), "9.9.9.9", "an outsider is not believed");
        assert_eq!(client("10.0.0.1", &lies), "7.7.7.7");
        assert_eq!(client("::ffff:10.0.0.1", &lies), "7.7.7.7");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, unknown, 10.0.0.2")]), "10.0.0.2");
        let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "2001:db8::1, fd00::1")];
        let mut all = headers(&lines[..1]);
        all.append(X_FORWARDED_FOR, HeaderValue::from_static(lines[1].1));
        assert_eq!(super::client("10.0.0.1".parse().unwrap(), &all, &site).to_string(), "2001:db8::1");
        let forwarded = [("forwarded", "for=6.6.6.6, For=\"[2001:db8::1]:99\";proto=http, for=10.0.0.2")];
        assert_eq!(client("10.0.0.1", &forwarded), "2001:db8::1");
    }

    #[test]
    fn an_ipv6_client_is_quoted_and_a_mapped_one_is_ipv4() {
        let host = HeaderValue::from_static("a:1");
        let mut told = HeaderMap::new();
        Origin::new("::1".parse().unwrap(), true).tell(&mut told, &host, false);
        assert_eq!(told[FORWARDED], "for=\"[::1]\";host=\"a:1\";proto=https");
        Origin::new("::ffff:127.0.0.1".parse().unwrap(), true).tell(&mut told, &host, false);
        assert_eq!(told[X_FORWARDED_FOR], "127.0.0.1");
    }

    #[test]
    fn what_a_trusted_proxy_said_stays_and_ours_stands_behind_it() {
        let (origin, host) = (Origin::new("10.0.0.1".parse().unwrap(), false), HeaderValue::from_static("a"));
        let mut told = headers(&[
            ("x-forwarded-for", "7.7.7.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example"),
            ("forwarded", "for=7.7.7.7"),
        ]);
        origin.tell(&mut told, &host, true);
        assert_eq!(
            (&told[X_FORWARDED_FOR], &told[X_FORWARDED_PROTO]),
            (&"7.7.7.7, 10.0.0.1".parse().unwrap(), &"https".parse().unwrap())
        );
        assert_eq!(told[X_FORWARDED_HOST], "shop.example");
        assert_eq!(told[FORWARDED], "for=7.7.7.7, for=10.0.0.1;host=\"a\";proto=http");
        let mut told = headers(&[("x-forwarded-proto", "gopher")]);
        origin.tell(&mut told, &host, true);
        assert_eq!(told[X_FORWARDED_PROTO], "http");
    }
}
