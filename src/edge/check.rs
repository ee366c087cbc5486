//! What a request has to be before anybody else sees it.

use std::net::IpAddr;

use hyper::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Version};

use super::head;
use super::headers::passed_through;
use super::refusal::Refusal;
use super::site::BodyBounds;
use super::verdict::Verdict;
use crate::settings::http::bounds::Bounds;
use crate::web::host::{self, HostList};

/// The authority that the request is for, when all rules are kept. `verdict`: the gate's, on the bytes of
/// an HTTP/1.1 head; in h2 the framing is the protocol's own.
pub fn check(
    request: &Parts,
    verdict: Verdict,
    hosts: &HostList,
    bounds: &Bounds,
    via: &str,
) -> Result<HeaderValue, Refusal> {
    if let Verdict::Refused(refusal) = verdict {
        return Err(refusal);
    }
    if request.version == Version::HTTP_2 {
        head_of_h2(request, bounds)?;
    }
    // CONNECT would make us a tunnel, TRACE would show our own fields (RFC 9110, sections 9.3.6 and 9.3.8).
    if matches!(request.method, Method::CONNECT | Method::TRACE) {
        let detail = format!("{} is not done here.", request.method);
        return Err(Refusal::new(405, "method-not-allowed", "Method not allowed", detail));
    }
    // Servers that turn fields into variables read `a_b` as `a-b`: two names for one field.
    if let Some(name) = request.headers.keys().find(|name| name.as_str().contains('_')) {
        let detail = format!("The field name {name} has an underscore; some servers would read it as a dash.");
        return Err(Refusal::new(400, "bad-field-name", "Bad field name", detail).closing());
    }
    let authority = authority(request, hosts)?;
    if passed_through(&request.headers, via) {
        let detail = format!("Via says that the request has passed {via} before: it goes in a circle.");
        return Err(Refusal::new(508, "loop", "Loop detected", detail));
    }
    // RFC 9110, section 10.1.1. HTTP/1.0 knows no Expect: there it is ignored.
    let unmet = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if request.version != Version::HTTP_10 && request.headers.get_all(EXPECT).iter().any(unmet) {
        let detail = "Of all expectations only 100-continue is met here.";
        return Err(Refusal::new(417, "expectation", "Expectation failed", detail).closing());
    }
    Ok(authority)
}

/// What the gate sees to in HTTP/1.1; the bytes of a header list are bounded by h2 itself.
fn head_of_h2(request: &Parts, bounds: &Bounds) -> Result<(), Refusal> {
    if request.uri.path_and_query().is_some_and(|target| target.as_str().len() as u64 > bounds.target_bytes_max) {
        return Err(Refusal::target_too_long(bounds.target_bytes_max));
    }
    if request.headers.len() as u64 > bounds.fields_max {
        return Err(Refusal::head_too_large(bounds.fields_max, bounds.head_bytes_max));
    }
    // RFC 9113, section 8.3.1.
    // HTTP/1.1's was judged at the gate; here comes HTTP/2's.
    if request.uri.path_and_query().is_some_and(|target| !target.as_str().bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(Refusal::malformed("The target has a character that a URI writes with a percent sign."));
    }
    if request.uri.path() == "*" && request.method != Method::OPTIONS {
        return Err(Refusal::malformed("Only OPTIONS is for the server as a whole."));
    }
    if !head::is_method(request.method.as_str().as_bytes()) {
        return Err(head::no_method());
    }
    // Section 8.2.1; HTTP/1.1 would drop them on the way.
    let padded = |value: &HeaderValue| value.as_bytes().trim_ascii().len() < value.len();
    if request.headers.values().any(padded) {
        return Err(Refusal::malformed("The value of a field begins or ends with a space."));
    }
    // The library compares one of them with what comes, and they would all go on.
    let mut lengths = request.headers.get_all(CONTENT_LENGTH).iter();
    if let Some(only) = lengths.next() {
        head::length(only.as_bytes())?;
    }
    if lengths.next().is_some() {
        return Err(Refusal::ambiguous("There is more than one Content-Length."));
    }
    Ok(())
}

/// RFC 9112, section 3.2: exactly one valid Host; the target's authority beats it (section 3.2.2). RFC 9113,
/// section 8.3.1: `:authority` stands for it, and a Host that differs is an error.
fn authority(request: &Parts, hosts: &HostList) -> Result<HeaderValue, Refusal> {
    let refuse = |why: &str| Err(Refusal::new(400, "bad-host", "Bad Host", why).closing());
    let mut values = request.headers.get_all(HOST).iter();
    let (host, second) = (values.next(), values.next());
    let target = request.uri.authority().map(Authority::as_str);
    if second.is_some() {
        return refuse("There is more than one Host.");
    }
    let h2 = request.version == Version::HTTP_2;
    let authority = match (host, target) {
        (Some(host), Some(target)) if h2 && !host.as_bytes().eq_ignore_ascii_case(target.as_bytes()) => {
            return refuse("Host and :authority differ.");
        }
        (None, Some(_)) if !h2 => return refuse("There is no Host."),
        (Some(host), None) => host.clone(),
        // An authority is of characters that a field may have.
        (_, Some(target)) => HeaderValue::from_str(target).unwrap_or(HeaderValue::from_static("")),
        (None, None) => return refuse("There is no Host."),
    };
    match authority.to_str() {
        Ok(text) if hosts.allows(text) => Ok(authority),
        Ok(text) if host::is_authority(text) => {
            let detail = format!("This server answers to {}, not to {text}.", hosts.canonical());
            Err(Refusal::new(421, "misdirected", "Misdirected request", detail))
        }
        _ => refuse("Host is not the name of a host."),
    }
}

/// A body that announces to be larger than its route takes is not waited for.
pub fn announced_body(request: &Parts, body: &BodyBounds) -> Result<(), Refusal> {
    let announced = request.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > body.bytes_max) {
        return Err(too_large(body.bytes_max));
    }
    Ok(())
}

/// No route of the site is for this host and path.
pub fn no_route(authority: &str, path: &str) -> Refusal {
    let detail = format!("No route leads to {path} at {authority}. Add one to roundtrip.toml.");
    Refusal::new(404, "no-route", "No route", detail)
}

/// An address rule keeps the client out.
pub fn not_let_in(client: IpAddr, rule: &str) -> Refusal {
    let detail = format!("The edge lets no request of {client} in: {rule}. Its owner can change that in the settings.");
    Refusal::new(403, "firewall", "Not let in", detail)
}

/// An OPTIONS that may go no further is answered here, where nothing but forwarding is done.
pub fn no_further() -> Refusal {
    let detail = "Max-Forwards says that the request ends here, at a proxy, which has nothing of its own to offer.";
    Refusal::new(405, "max-forwards", "Method not allowed", detail)
}

/// RFC 9111, section 5.2.1.7: the client wants it from here or not at all.
pub fn not_cached() -> Refusal {
    let detail = "The request says only-if-cached, and the edge has kept no answer that would do.";
    Refusal::new(504, "not-cached", "Not cached", detail)
}

/// The body is larger than it may be, as announced or as found.
pub fn too_large(bytes_max: u64) -> Refusal {
    let detail = format!("A body may have {bytes_max} bytes.");
    Refusal::new(413, "body-too-large", "Content too large", detail).closing()
}

/// The body came more slowly than it may.
pub fn too_slow() -> Refusal {
    Refusal::new(408, "body-too-slow", "Request timeout", "The request's body came too slowly.").closing()
}
