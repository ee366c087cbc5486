//! Before any handler: the right host, the right origin, and who is asking.

use std::net::{IpAddr, SocketAddr};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use super::State;
use super::caller::{Caller, unavailable};
use super::signing;
use crate::domain::session::SessionSecret;
use crate::domain::token::TokenSecret;
use crate::web::cookie;
use crate::web::headers::CSP_REPORT;
use crate::web::origin::{Provenance, may_act};
use crate::web::problem::Problem;
use crate::web::respond::{self, header};
use crate::web::secret;

/// What a page's own script sends with each change; a form of another site can't.
const CONSOLE_HEADER: &str = "roundtrip-console";
/// The scheme with which a command proves that it can read the data folder.
const CONTROL_SCHEME: &str = "Roundtrip-Control ";
/// The scheme of API tokens (RFC 6750).
const TOKEN_SCHEME: &str = "Bearer";

pub async fn gate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(state) = request.app_data::<web::Data<State>>().cloned() else {
        return Err(actix_web::error::ErrorInternalServerError("no state"));
    };
    let hsts = state.hosts.hsts(&authority(&request));
    let by_token = bearer(&request).is_some();
    let response = match admit(&request, &state).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.call(request).await?.map_into_boxed_body()
        }
        Err(problem) => request.into_response(respond::problem(&problem)),
    };
    let mut response = response;
    if by_token && response.status() == StatusCode::UNAUTHORIZED {
        // RFC 6750, section 3.
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
    }
    respond::finish(response.headers_mut());
    if let Some(promise) = hsts.and_then(|promise| HeaderValue::from_str(&promise).ok()) {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, promise);
    }
    Ok(response)
}

async fn admit(request: &ServiceRequest, state: &State) -> Result<Caller, Problem> {
    let authority = authority(request);
    if !state.hosts.allows(&authority) {
        let detail = format!("This server answers to {}, not to the name that was asked for.", state.hosts.canonical());
        return Err(Problem::new(None, 421, "wrong-host", "Wrong host", detail));
    }
    let headers = request.headers();
    // RFC 9113, section 8.2.3: over h2 a browser may split the field.
    let cookies: Vec<&str> = headers.get_all("cookie").filter_map(|field| field.to_str().ok()).collect();
    let cookies = cookies.join("; ");
    let origin = header(headers, "origin");
    if let Some(key) = header(headers, "authorization").and_then(|value| value.strip_prefix(CONTROL_SCHEME)) {
        // A browser never sends this scheme by itself; with a cookie or an origin it is no command of ours.
        let by_browser = ["cookie", "origin", "sec-fetch-site"].iter().any(|name| headers.contains_key(*name));
        let from_command = !by_browser && from_this_machine(request.peer_addr(), state.own_ip);
        let right = secret::from_hex(key).is_some_and(|key| secret::same(&key, &state.control_key));
        return if from_command && right {
            Ok(Caller::Command)
        } else {
            let detail = "The control key is wrong, or it came from where none may come from.";
            Err(Problem::new(None, 401, "bad-control-key", "Bad control key", detail))
        };
    }
    if let Some(token) = bearer(request) {
        return by_token(request, state, token).await;
    }
    let own_origin = format!("https://{authority}");
    let fair = may_act(Provenance {
        method: request.method().as_str(),
        has_cookie: cookies.contains(cookie::CONSOLE),
        sec_fetch_site: header(headers, "sec-fetch-site"),
        origin,
        own_origin: &own_origin,
    });
    // A browser's own report changes nothing, and carries no header of ours.
    let safe = request.method().is_safe() || request.path() == CSP_REPORT;
    if !fair || (!safe && !headers.contains_key(CONSOLE_HEADER)) {
        let detail = "A change must come from this console's own pages. Reload the page and try again.";
        return Err(Problem::new(None, 403, "cross-origin", "Not from this page", detail));
    }
    let secret = cookie::find(&cookies, cookie::CONSOLE).and_then(SessionSecret::parse);
    let Some(secret) = secret else { return Ok(Caller::Nobody) };
    if state.control.session(&secret).await.map_err(unavailable)?.is_none() {
        return Ok(Caller::Nobody);
    }
    let owner = state.control.owner().await.map_err(unavailable)?;
    Ok(owner.map_or(Caller::Nobody, |owner| Caller::Owner { name: owner.name, secret }))
}

/// The token that comes with a request; empty where the scheme comes alone. Schemes have no case (RFC 9110, section 11.1).
fn bearer(request: &ServiceRequest) -> Option<&str> {
    let value = header(request.headers(), "authorization")?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case(TOKEN_SCHEME).then_some(token.trim())
}

/// Who sends a token is no browser, so neither origin nor page has to be told; who sends a cookie, too, is one that was
/// talked into it (RFC 6750, section 2: one way at a time).
async fn by_token(request: &ServiceRequest, state: &State, token: &str) -> Result<Caller, Problem> {
    if request.headers().contains_key("cookie") {
        let detail = "A token and a cookie came together. Send the token alone.";
        return Err(Problem::new(None, 400, "token-with-cookie", "Two proofs at once", detail));
    }
    let found = match TokenSecret::parse(token) {
        Some(secret) => state.control.token(&secret).await.map_err(unavailable)?,
        None => None,
    };
    match found {
        Some(token) => Ok(Caller::Token { id: token.id, who: format!("token {}", token.name), scopes: token.scopes }),
        None => {
            // Only those that fail count: nobody can lock out the scripts behind the same address.
            signing::count_wrong_token(state, request.peer_addr())?;
            let detail = "The token is wrong, has expired or was revoked. Make one: roundtrip token create";
            Err(Problem::new(None, 401, "bad-token", "No such token", detail))
        }
    }
}

/// The target's authority (absolute form, or `:authority` under h2), else Host; empty, which no list holds,
/// when both are there and differ.
fn authority(request: &ServiceRequest) -> String {
    let target = request.uri().authority().map(ToString::to_string);
    let host = header(request.headers(), "host").map(str::to_owned);
    match (target, host) {
        (Some(target), Some(host)) if !target.eq_ignore_ascii_case(&host) => String::new(),
        (target, host) => target.or(host).unwrap_or_default(),
    }
}

/// Whether the peer is on this machine: on loopback, or at the address that this machine listens on.
pub fn from_this_machine(peer: Option<SocketAddr>, own_ip: IpAddr) -> bool {
    peer.map(|peer| peer.ip().to_canonical()).is_some_and(|ip| ip.is_loopback() || ip == own_ip)
}
