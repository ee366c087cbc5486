//! What is kept of a request that may be sent twice: its head, flat, and its body as far as it fits.

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};

use super::Caller;
use super::upload::{Replay, Upload};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// One allocation; a `HeaderMap` is built of it only when it is needed.
#[derive(Debug)]
pub struct Spare {
    method: Method,
    uri: Uri,
    fields: Vec<(HeaderName, HeaderValue)>,
    body: Replay,
}

impl Spare {
    /// None for a request that must not be sent twice (RFC 9110, section 9.2.2). An `Idempotency-Key` makes
    /// a POST repeatable where the route says that it heeds one.
    pub fn of(request: &mut Request<Upload>, caller: &Caller) -> Option<Self> {
        let keyed = || caller.idempotency_key_counts && request.headers().contains_key(IDEMPOTENCY_KEY);
        let repeatable = match *request.method() {
            Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE => true,
            Method::POST => keyed(),
            _ => false,
        };
        repeatable.then(|| Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            fields: request.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            body: request.body_mut().keep(),
        })
    }

    /// The request once more; None when its body was too long to be kept.
    pub fn again(&self) -> Option<Request<Upload>> {
        let mut request = Request::new(self.body.again()?);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.reserve(self.fields.len() + 2);
        for (name, value) in &self.fields {
            headers.append(name.clone(), value.clone());
        }
        Some(request)
    }
}
