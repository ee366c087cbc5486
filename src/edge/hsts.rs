//! `Strict-Transport-Security` on the way out; the rule is [`crate::web::hsts`].

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue, STRICT_TRANSPORT_SECURITY};
use hyper::{Request, Response};

use super::body::EdgeBody;
use super::connection::ConnInfo;
use super::framing::HeadFacts;
use super::{Shared, serve};

/// Answers one request, whoever the answer is from: the operator's word goes before an upstream's.
pub async fn answer(
    shared: Arc<Shared>,
    info: Arc<ConnInfo>,
    facts: Option<HeadFacts>,
    request: Request<Incoming>,
) -> Result<Response<EdgeBody>, Infallible> {
    let promise = promise(&shared, &info, &request);
    let mut response = serve::answer(shared, info, facts, request).await?;
    if let Some(value) = promise {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value);
    }
    Ok(response)
}

/// None over plain HTTP (RFC 6797, section 7.2).
fn promise(shared: &Shared, info: &ConnInfo, request: &Request<Incoming>) -> Option<HeaderValue> {
    let host = || request.headers().get(HOST)?.to_str().ok();
    let authority = request.uri().authority().map(|authority| authority.as_str()).or_else(host);
    let authority = authority.filter(|_| info.secure)?;
    shared.site.load().hosts.hsts(authority)?.parse().ok()
}
