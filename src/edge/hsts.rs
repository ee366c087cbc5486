//! `Strict-Transport-Security` on the way out; the rule is [`crate::web::hsts`].

use hyper::header::HeaderValue;

use crate::web::host::HostList;

/// What an answer to `authority` promises. None over plain HTTP (RFC 6797, section 7.2).
pub fn promise(hosts: &HostList, authority: &str, secure: bool) -> Option<HeaderValue> {
    hosts.hsts(authority).filter(|_| secure)?.parse().ok()
}
