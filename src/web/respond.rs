//! Answers of the actix-web servers (instances, console, door).

use std::ops::Range;

use actix_web::guard::{GuardContext, fn_guard};
use actix_web::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE, RETRY_AFTER,
    VARY,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError, Route, web};

use super::assets::{self, Representation};
use super::etag::{self, Comparison};
use super::problem::{self, Problem};
use super::range::{self, RangeAsk};
use super::{headers, secret};
use crate::observe::hop::Hop;

/// A header's value, when it is text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A problem document (RFC 9457).
pub fn problem(problem: &Problem) -> HttpResponse {
    let mut response = HttpResponse::build(problem.status_code());
    response.insert_header((CONTENT_TYPE, problem::MEDIA_TYPE)).insert_header((CACHE_CONTROL, "no-store"));
    if let Some(seconds) = problem.retry_after_s {
        response.insert_header((RETRY_AFTER, seconds));
    }
    response.body(problem.to_json())
}

/// Handlers return a problem as their error.
impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        problem(self)
    }
}

/// The body did not arrive whole, or is larger than what is taken.
pub fn unreadable(hop: Option<Hop>, error: &actix_web::Error) -> Problem {
    if error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(hop, 413, "too-large", "Too large", "The body is larger than what this address takes (64 KiB).")
    } else {
        Problem::new(hop, 400, "unreadable-body", "The body did not arrive", "The body ended early or is malformed.")
    }
}

/// The headers that every answer carries.
pub fn finish(headers: &mut HeaderMap) {
    for (name, value) in headers::ALWAYS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(headers::API_CSP));
    }
}

/// The page `pages/<name>.html`. `connect_also`: see [`headers::document_csp`].
pub fn page(name: &str, connect_also: &str) -> HttpResponse {
    page_with(name, connect_also, &[])
}

/// The same, with HTML in further places of it.
pub fn page_with(name: &str, connect_also: &str, places: &[(&str, &str)]) -> HttpResponse {
    let Ok(nonce) = secret::random_bytes::<16>().map(|bytes| secret::hex(&bytes)) else {
        let detail = "The system gives no random bytes, without which no page is safe to send.";
        return problem(&Problem::new(None, 500, "no-randomness", "No randomness", detail));
    };
    let Some(html) = assets::page(name, &nonce) else {
        return problem(&Problem::new(None, 404, "no-such-page", "No such page", "There is no such page."));
    };
    let html = places.iter().fold(html, |html, (place, text)| html.replace(place, text));
    let mut response = HttpResponse::Ok();
    for (name, value) in headers::DOCUMENT {
        response.insert_header((name, value));
    }
    response
        .insert_header((CONTENT_SECURITY_POLICY, headers::document_csp(&nonce, connect_also)))
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .body(html)
}

/// A file of the front end, or as much of it as the client still wants. Its address changes with its
/// contents, so it may be kept for ever. `hop`: whose answer it is, for a refusal.
pub fn asset(request: &HttpRequest, hop: Option<Hop>, hash: &str, path: &str) -> Option<HttpResponse> {
    let asset = assets::find(path).filter(|_| hash == assets::TREE_HASH)?;
    let form = asset.representation(&list(request.headers(), &ACCEPT_ENCODING));
    let wanted = wanted(request, &form);
    let length = form.bytes.len();
    let mut response = match &wanted {
        Wanted::Whole => HttpResponse::Ok(),
        Wanted::Part(_) => HttpResponse::PartialContent(),
        Wanted::Unchanged => HttpResponse::NotModified(),
        Wanted::Changed => {
            let detail = "The file is not the one that If-Match names. Ask without it.";
            return Some(problem(&Problem::new(hop, 412, "changed", "Precondition failed", detail)));
        }
        Wanted::Beyond => {
            let detail = format!("In this coding the file has {length} bytes; the range begins beyond them.");
            let mut response = problem(&Problem::new(hop, 416, "range", "Range not satisfiable", detail));
            if let Ok(range) = HeaderValue::try_from(format!("bytes */{length}")) {
                response.headers_mut().insert(CONTENT_RANGE, range);
            }
            return Some(response);
        }
    };
    response
        .insert_header((CACHE_CONTROL, assets::IMMUTABLE))
        .insert_header((VARY, "accept-encoding"))
        .insert_header((ETAG, form.etag));
    let part = match wanted {
        Wanted::Part(part) => {
            response.insert_header((CONTENT_RANGE, format!("bytes {}-{}/{length}", part.start, part.end - 1)));
            part
        }
        Wanted::Whole => 0..length,
        _ => return Some(response.finish()),
    };
    if let Some(coding) = form.coding {
        response.insert_header((CONTENT_ENCODING, coding.token()));
    }
    response.insert_header((CONTENT_TYPE, asset.media_type)).insert_header((ACCEPT_RANGES, "bytes"));
    Some(response.body(web::Bytes::from_static(&form.bytes[part])))
}

enum Wanted {
    Whole,
    /// Of the bytes as they would be sent.
    Part(Range<usize>),
    Unchanged,
    Changed,
    Beyond,
}

/// What a request wants of `form`: conditions first, then the range (RFC 9110, section 13.2.2).
fn wanted(request: &HttpRequest, form: &Representation) -> Wanted {
    let fields = request.headers();
    let (held, expected) = (list(fields, &IF_NONE_MATCH), list(fields, &IF_MATCH));
    if fields.contains_key(IF_MATCH) && !etag::lists(expected.as_bytes(), form.etag.as_bytes(), Comparison::Strong) {
        return Wanted::Changed;
    }
    if etag::lists(held.as_bytes(), form.etag.as_bytes(), Comparison::Weak) {
        return Wanted::Unchanged;
    }
    // Only GET has ranges (section 14.2), and If-Range wants exactly these bytes (section 13.1.5).
    let same = header(fields, IF_RANGE.as_str()).is_none_or(|tag| tag.trim() == form.etag);
    match header(fields, RANGE.as_str()).filter(|_| same && request.method() == Method::GET) {
        None => Wanted::Whole,
        Some(range) => match range::range(range, form.bytes.len()) {
            RangeAsk::Whole => Wanted::Whole,
            RangeAsk::Part(part) => Wanted::Part(part),
            RangeAsk::Beyond => Wanted::Beyond,
        },
    }
}

/// All values of a list field as one (RFC 9110, section 5.3).
fn list(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get_all(name).filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",")
}

/// The icon, for browsers that ask for `/favicon.ico` whatever the page says.
pub fn icon() -> HttpResponse {
    match assets::find("icon.svg") {
        Some(asset) => HttpResponse::Ok().insert_header((CONTENT_TYPE, asset.media_type)).body(asset.plain),
        None => HttpResponse::NoContent().finish(),
    }
}

/// Characters of a report that are logged.
const REPORT_CHARS_MAX: usize = 512;

/// Takes a browser's report of what the policy stopped. Anybody can send one, so it is logged short and escaped.
pub async fn csp_report(body: Result<web::Bytes, actix_web::Error>) -> Result<HttpResponse, Problem> {
    let bytes = body.map_err(|error| unreadable(None, &error))?;
    let text: String = String::from_utf8_lossy(&bytes).chars().take(REPORT_CHARS_MAX).collect();
    log::warn!(target: "csp", "a page was stopped by its policy: {text:?}");
    Ok(HttpResponse::NoContent().finish())
}

/// A route for GET. Whatever answers GET answers HEAD (RFC 9110, section 9.1); actix leaves the body out.
pub fn get() -> Route {
    let get_or_head = |context: &GuardContext<'_>| matches!(context.head().method, Method::GET | Method::HEAD);
    web::route().guard(fn_guard(get_or_head))
}

/// An address that answers every other method with 405 and `Allow` (RFC 9110, section 15.5.6).
pub fn resource(path: &'static str, allow: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        let detail = format!("This address takes {allow}.");
        let refused = Problem::new(None, 405, "method-not-allowed", "Method not allowed", detail);
        let mut response = problem(&refused);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        response
    }))
}
