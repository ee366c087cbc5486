//! What a request has to be before anybody else sees it.

use hyper::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Version};

use super::framing::HeadFacts;
use super::headers::passed_through;
use super::limits::EdgeLimits;
use super::site::Rules;
use crate::observe::hop::Hop;
use crate::web::host::HostList;
use crate::web::problem::Problem;

/// Why a request goes no further.
#[derive(Debug)]
pub struct Refusal {
    pub problem: Box<Problem>,
    /// Whether the connection is of no use any more: where a request ends is in doubt, or its body is unread.
    pub close: bool,
}

impl Refusal {
    pub fn new(status: u16, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self { problem: Box::new(Problem::new(Hop::Http, status, kind, title, detail)), close: false }
    }

    fn closing(self) -> Self {
        Self { close: true, ..self }
    }
}

/// The authority that the request is for, when all rules are kept. `facts`: what HTTP/1.1 bytes said that
/// hyper doesn't tell; None for h2, where the framing is the protocol's own.
pub fn check(
    request: &Parts,
    facts: Option<HeadFacts>,
    hosts: &HostList,
    limits: &EdgeLimits,
    via: &str,
) -> Result<String, Refusal> {
    if request.version < Version::HTTP_2 {
        framing(request, facts)?;
    }
    sizes(request, facts, limits)?;
    // CONNECT would make us a tunnel, TRACE would show our own fields (RFC 9110, sections 9.3.6 and 9.3.8).
    if matches!(request.method, Method::CONNECT | Method::TRACE) {
        let detail = format!("{} is not done here.", request.method);
        return Err(Refusal::new(405, "method-not-allowed", "Method not allowed", detail));
    }
    // Servers that turn fields into variables read `a_b` as `a-b`: two names for one field.
    if let Some(name) = request.headers.keys().find(|name| name.as_str().contains('_')) {
        let detail = format!("The field name {name} has an underscore; some servers would read it as a dash.");
        return Err(Refusal::new(400, "bad-field-name", "Bad field name", detail));
    }
    let authority = authority(request)?;
    if !hosts.allows(&authority) {
        let detail = format!("This server answers to {}, not to {authority}.", hosts.canonical());
        return Err(Refusal::new(421, "misdirected", "Misdirected request", detail));
    }
    if passed_through(&request.headers, via) {
        let detail = format!("Via says that the request has passed {via} before: it goes in a circle.");
        return Err(Refusal::new(508, "loop", "Loop detected", detail));
    }
    Ok(authority)
}

/// RFC 9112, sections 6.1 to 6.3: where a request ends must be beyond doubt, for us and for whoever is next.
fn framing(request: &Parts, facts: Option<HeadFacts>) -> Result<(), Refusal> {
    let refuse = |why: &str| Err(Refusal::new(400, "ambiguous-framing", "Ambiguous request", why).closing());
    let codings: Vec<&[u8]> = request.headers.get_all(TRANSFER_ENCODING).iter().map(|value| value.as_bytes()).collect();
    let Some(facts) = facts else { return refuse("The request's head could not be followed.") };
    if facts.transfer_encodings != codings.len() {
        return refuse("The request's head could not be followed.");
    }
    if facts.bare_lf {
        return refuse("A line of the head ends with LF alone.");
    }
    if facts.content_lengths > 1 {
        return refuse("There is more than one Content-Length.");
    }
    if !codings.is_empty() && facts.content_lengths > 0 {
        return refuse("There are both Content-Length and Transfer-Encoding.");
    }
    match codings.as_slice() {
        [] => Ok(()),
        [only] if only.eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => refuse("Transfer-Encoding says more than chunked."),
    }
}

fn sizes(request: &Parts, facts: Option<HeadFacts>, limits: &EdgeLimits) -> Result<(), Refusal> {
    let target = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > limits.target_bytes_max {
        let detail = format!("The target has {target} bytes; {} are taken.", limits.target_bytes_max);
        return Err(Refusal::new(414, "target-too-long", "URI too long", detail).closing());
    }
    let (fields, bytes) = (request.headers.len(), facts.map_or(0, |facts| facts.bytes));
    if fields > limits.fields_max || bytes > limits.head_bytes_max {
        let detail = format!("Up to {} fields and {} bytes are taken.", limits.fields_max, limits.head_bytes_max);
        return Err(Refusal::new(431, "head-too-large", "Request header fields too large", detail).closing());
    }
    Ok(())
}

/// RFC 9112, section 3.2: exactly one valid Host; the target's authority beats it (section 3.2.2). RFC 9113,
/// section 8.3.1: `:authority` stands for it, and a Host that differs is an error.
fn authority(request: &Parts) -> Result<String, Refusal> {
    let refuse = |why: &str| Err(Refusal::new(400, "bad-host", "Bad Host", why).closing());
    let mut hosts = request.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    let target = request.uri.authority().map(Authority::as_str);
    if second.is_some() {
        return refuse("There is more than one Host.");
    }
    let host = match host.map(|host| host.to_str()) {
        Some(Ok(host)) => Some(host),
        Some(Err(_)) => return refuse("Host is not text."),
        None => None,
    };
    let h2 = request.version >= Version::HTTP_2;
    let authority = match (host, target) {
        (None, Some(target)) if h2 => target,
        (Some(host), Some(target)) if h2 && !host.eq_ignore_ascii_case(target) => {
            return refuse("Host and :authority differ.");
        }
        (Some(_), Some(target)) => target,
        (Some(host), None) => host,
        (None, _) => return refuse("There is no Host."),
    };
    match authority.parse::<Authority>() {
        Ok(_) if !authority.contains('@') => Ok(authority.to_owned()),
        _ => refuse("Host is not the name of a host."),
    }
}

/// A body that announces to be larger than its route takes is not waited for.
pub fn announced_body(request: &Parts, rules: &Rules) -> Result<(), Refusal> {
    let announced = request.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > rules.body_bytes_max) {
        return Err(too_large(rules));
    }
    Ok(())
}

/// No route of the site is for this host and path.
pub fn no_route(authority: &str, path: &str) -> Refusal {
    let detail = format!("No route leads to {path} at {authority}. Add one to roundtrip.toml.");
    Refusal::new(404, "no-route", "No route", detail)
}

/// RFC 9111, section 5.2.1.7: the client wants it from here or not at all.
pub fn not_cached() -> Refusal {
    let detail = "The request says only-if-cached, and the edge has kept no answer that would do.";
    Refusal::new(504, "not-cached", "Not cached", detail)
}

/// The body is larger than it may be, as announced or as found.
pub fn too_large(rules: &Rules) -> Refusal {
    let detail = format!("A body may have {} bytes.", rules.body_bytes_max);
    Refusal::new(413, "body-too-large", "Content too large", detail).closing()
}

/// The body took longer than it may.
pub fn too_slow(rules: &Rules) -> Refusal {
    let detail = format!("A body may take {} s.", rules.body_timeout.as_secs());
    Refusal::new(408, "body-too-slow", "Request timeout", detail).closing()
}
