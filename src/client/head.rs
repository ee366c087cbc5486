//! The request's head, and the same request as a curl command.

use std::net::IpAddr;
use std::path::Path;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request};
use time::OffsetDateTime;

use super::url::Url;
use super::{Outgoing, Trouble, USER_AGENT};
use crate::observe::hop::Hop;
use crate::observe::redact;
use crate::observe::span::Context;
use crate::web::probe::{self, Probe, ProbeKey};
use crate::web::traceparent::{self, TraceParent};

/// Longest body that a curl command shows.
const CURL_BODY_BYTES_MAX: usize = 4_096;
/// Counted or decided by the client itself; sent twice they would let two readers disagree (RFC 9112,
/// section 6.3).
const OWN: [&str; 3] = ["content-length", "transfer-encoding", "connection"];

/// The request as it is sent, its head in the order in which clients usually send it.
pub(super) fn request(
    outgoing: &Outgoing,
    url: &Url,
    context: &Context,
    key: Option<&ProbeKey>,
) -> Result<Request<Full<Bytes>>, Trouble> {
    let bad = |what: String| Trouble::new(Hop::Client, format!("{what} can't be sent. Check it for stray characters."));
    let method = Method::from_bytes(outgoing.method.as_bytes())
        .ok()
        .filter(|method| method != Method::CONNECT)
        .ok_or_else(|| bad(format!("The method '{}'", outgoing.method)))?;
    let mut request = Request::new(Full::new(outgoing.body.clone()));
    *request.method_mut() = method;
    *request.uri_mut() = url.target.parse().map_err(|_| bad(format!("The path '{}'", url.target)))?;
    for (name, value) in fields(outgoing, url, context, key) {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
        let (parsed, value) = parsed.ok_or_else(|| bad(format!("The header '{name}'")))?;
        request.headers_mut().append(parsed, value);
    }
    Ok(request)
}

fn fields(outgoing: &Outgoing, url: &Url, context: &Context, key: Option<&ProbeKey>) -> Vec<(String, String)> {
    let given: Vec<(String, String)> =
        outgoing.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    let given = || given.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    let mut fields: Vec<(String, String)> = Vec::with_capacity(10);
    let mut usual = |name: &str, value: Option<String>| {
        let before = fields.len();
        fields.extend(given().filter(|(known, _)| known == name).cloned());
        if fields.len() == before
            && let Some(value) = value
        {
            fields.push((name.to_owned(), value));
        }
    };
    usual("host", Some(url.authority.clone()));
    usual("user-agent", Some(USER_AGENT.to_owned()));
    usual("accept", Some("*/*".to_owned()));
    usual("content-type", None);
    // RFC 9110, section 8.6: a method that expects content says so even when there is none.
    let expected = matches!(outgoing.method.as_str(), "POST" | "PUT" | "PATCH");
    if expected || !outgoing.body.is_empty() {
        usual("content-length", Some(outgoing.body.len().to_string()));
    }
    usual("cookie", None);
    let placed = ["host", "user-agent", "accept", "content-type", "cookie", traceparent::NAME, probe::PROBE];
    for (name, value) in given().filter(|(name, _)| !placed.contains(&name.as_str())) {
        fields.push((name.clone(), value.clone()));
    }
    let parent = TraceParent { trace_id: context.trace_id, parent: context.key, sampled: context.detail };
    fields.push((traceparent::NAME.to_owned(), parent.to_string()));
    if let Some(key) = key {
        let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or(0);
        let probe = Probe {
            trace_id: context.trace_id,
            key: context.key,
            bypass_caches: context.bypass_caches,
            expires_unix_s: now + probe::VALID_S,
        };
        fields.push((probe::PROBE.to_owned(), probe.sign(key)));
    }
    fields
}

/// The same request for curl(1), without its secrets. `resolved`: what our DNS said, since curl would ask
/// another.
pub(super) fn curl(outgoing: &Outgoing, url: &Url, resolved: Option<IpAddr>, ca: Option<&Path>) -> String {
    let mut command = "curl".to_owned();
    let mut add = |option: &str, value: &str| {
        command.push(' ');
        command.push_str(option);
        if !value.is_empty() {
            command.push_str(&format!(" {}", quoted(value)));
        }
    };
    if let Some(ca) = ca.filter(|_| url.https) {
        add("--cacert", &ca.display().to_string());
    }
    if let Some(ip) = resolved {
        let ip = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        add("--resolve", &format!("{}:{}:{ip}", url.host, url.port));
    }
    match outgoing.method.as_str() {
        "GET" if outgoing.body.is_empty() => {}
        "HEAD" => add("--head", ""),
        method => add("--request", method),
    }
    for (name, value) in &outgoing.headers {
        let lower = name.to_ascii_lowercase();
        // What redaction would change is a secret.
        if redact::header(&lower, value) == *value && !OWN.contains(&lower.as_str()) {
            add("--header", &format!("{lower}: {value}"));
        }
    }
    if !outgoing.body.is_empty() {
        match shown_body(&outgoing.body) {
            Some(body) => add("--data-raw", body),
            None => add("--data-binary", "@BODY"),
        }
    }
    add(&quoted(&format!("{}{}", url.origin(), url.target)), "");
    command
}

/// The body, if it is short, is text, and carries no secret.
fn shown_body(body: &Bytes) -> Option<&str> {
    let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= CURL_BODY_BYTES_MAX)?;
    (redact::body(text) == text).then_some(text)
}

/// A word for a POSIX shell (section 2.2.2 of its language: nothing is special between single quotes).
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@,+%[]".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) && !word.contains('[') {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curl_command_carries_no_secret_and_survives_a_shell() {
        let mut outgoing = Outgoing::get("https://bistro.localhost:8444/api/v1/menu?a=1&b=it's");
        outgoing.headers = vec![("Cookie".into(), "s=topsecret".into()), ("Accept".into(), "text/html".into())];
        outgoing.method = "POST".into();
        outgoing.body = Bytes::from_static(b"{\"password\":\"topsecret\"}");
        let url = Url::parse(&outgoing.url).expect("a url");
        let ip = Some(IpAddr::from([127, 0, 0, 1]));
        let shown = curl(&outgoing, &url, ip, Some(Path::new("/a b/ca.pem")));
        assert_eq!(
            shown,
            "curl --cacert '/a b/ca.pem' --resolve bistro.localhost:8444:127.0.0.1 --request POST \
             --header 'accept: text/html' --data-binary @BODY \
             'https://bistro.localhost:8444/api/v1/menu?a=1&b=it'\\''s'"
        );
    }
}
