//! `Strict-Transport-Security` on the way out.

use hyper::Response;
use hyper::header::{HOST, HeaderValue, STRICT_TRANSPORT_SECURITY};
use hyper::http::request::Parts;

use super::Shared;
use super::connection::ConnInfo;

/// What the answer to one request promises; the rule is [`crate::web::hsts`].
pub struct Promise(Option<HeaderValue>);

impl Promise {
    pub fn to(head: &Parts, info: &ConnInfo, shared: &Shared) -> Self {
        let host = || head.headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = head.uri.authority().map(|authority| authority.as_str()).or_else(host);
        // RFC 6797, section 7.2: never over plain HTTP.
        let authority = authority.filter(|_| info.secure);
        Self(authority.and_then(|authority| shared.hosts.hsts(authority)?.parse().ok()))
    }

    /// The operator's word goes before an upstream's.
    pub fn keep<B>(self, mut response: Response<B>) -> Response<B> {
        if let Some(value) = self.0 {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value);
        }
        response
    }
}
