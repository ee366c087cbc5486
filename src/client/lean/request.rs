//! The bytes of requests that differ in little.

use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};

use super::Jar;
use crate::client::{USER_AGENT, Url};

/// Counted or decided here; from elsewhere they would let two readers disagree (RFC 9112, section 6.3).
const OWN: [&str; 5] = ["content-length", "transfer-encoding", "connection", "host", "cookie"];

/// What can't be sent, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRequest(pub String);

/// What requests of one kind have in common.
#[derive(Debug, Clone)]
pub struct Shape {
    method: String,
    /// The lines that never change.
    fixed: Vec<u8>,
    /// Sent with cookies where something is changed: who acts for somebody says from which page.
    origin: Vec<u8>,
    safe: bool,
    /// Even without a body, its length is said (RFC 9110, section 8.6).
    says_length: bool,
}

impl Shape {
    /// `headers` have names in any case, and values that [`is_field_value`] lets through.
    pub fn new(method: &str, url: &Url, headers: &[(String, String)]) -> Result<Self, BadRequest> {
        let method = Method::from_bytes(method.as_bytes())
            .ok()
            .filter(|method| method != Method::CONNECT)
            .ok_or_else(|| BadRequest(format!("the method '{method}' can't be sent")))?;
        let mut fixed = format!("host: {}\r\n", url.authority).into_bytes();
        let given = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        for (name, value) in [("user-agent", USER_AGENT), ("accept", "*/*")] {
            if !given(name) {
                field(&mut fixed, name, value.as_bytes());
            }
        }
        for (name, value) in headers {
            let name = field_name(name)?;
            if !is_field_value(value) {
                return Err(BadRequest(format!("the header '{name}' can't be sent; check it for stray characters")));
            }
            field(&mut fixed, &name, value.as_bytes());
        }
        let says_length = matches!(method.as_str(), "POST" | "PUT" | "PATCH");
        let safe = method.is_safe();
        Ok(Self { method: method.to_string(), fixed, origin: url.origin().into_bytes(), safe, says_length })
    }

    /// The answer has no body, whatever its head says.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Writes a request. `headers` are those that differ from one to the next, with names of [`field_name`];
    /// what is written into targets and values was checked before.
    pub fn write<'a>(
        &self,
        into: &mut Vec<u8>,
        target: &str,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        jar: &Jar,
        body: &[u8],
    ) {
        into.clear();
        for part in [self.method.as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1\r\n", &self.fixed] {
            into.extend_from_slice(part);
        }
        for (name, value) in headers {
            field(into, name, value.as_bytes());
        }
        if !jar.line().is_empty() {
            field(into, "cookie", jar.line());
            if !self.safe {
                field(into, "origin", &self.origin);
            }
        }
        if self.says_length || !body.is_empty() {
            field(into, "content-length", body.len().to_string().as_bytes());
        }
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(body);
    }
}

fn field(into: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        into.extend_from_slice(part);
    }
}

/// A header's name in lower case, if somebody may give it.
pub fn field_name(name: &str) -> Result<String, BadRequest> {
    let parsed =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| BadRequest(format!("'{name}' is no name of a header")))?;
    match OWN.contains(&parsed.as_str()) {
        true => Err(BadRequest(format!("the header '{name}' is the client's own to send"))),
        false => Ok(parsed.as_str().to_owned()),
    }
}

/// Whether it may stand in a header's value.
pub fn is_field_value(text: &str) -> bool {
    HeaderValue::from_str(text).is_ok()
}

/// Whether it may stand in a request line (RFC 9112, section 3.2.1): visible ASCII, and no fragment.
pub fn is_target(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_what_is_due_and_no_header_twice() {
        let url = Url::parse("https://bistro.localhost:8444/").expect("a url");
        let headers = [("Accept".to_owned(), "application/json".to_owned())];
        let shape = Shape::new("POST", &url, &headers).expect("a shape");
        let mut bytes = Vec::new();
        shape.write(&mut bytes, "/api/v1/orders", [("idempotency-key", "k1")].into_iter(), &Jar::with("s=1"), b"{}");
        let expected = format!(
            "POST /api/v1/orders HTTP/1.1\r\nhost: bistro.localhost:8444\r\nuser-agent: {USER_AGENT}\r\n\
             accept: application/json\r\nidempotency-key: k1\r\ncookie: s=1\r\n\
             origin: https://bistro.localhost:8444\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        assert_eq!(String::from_utf8(bytes).expect("text"), expected);
    }

    #[test]
    fn nothing_that_would_end_a_line_is_sent() {
        let url = Url::parse("http://localhost/").expect("a url");
        for (method, name, value) in [
            ("GET /", "a", "b"),
            ("CONNECT", "a", "b"),
            ("GET", "a b", "c"),
            ("GET", "a", "b\r\nc: d"),
            ("GET", "Content-Length", "5"),
            ("GET", "Host", "other"),
        ] {
            assert!(Shape::new(method, &url, &[(name.to_owned(), value.to_owned())]).is_err(), "{method} {name}");
        }
        for wrong in ["menu", "/a b", "/a\r\n", "/a#b", ""] {
            assert!(!is_target(wrong), "{wrong}");
        }
    }
}
