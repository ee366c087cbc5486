//! Why a request goes no further, and how the client reads it.

use crate::observe::hop::Hop;
use crate::web::problem::Problem;

/// An answer of the edge's own.
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

    pub fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    /// A head that breaks the grammar of HTTP/1.1 (RFC 9112, sections 2 to 5).
    pub fn malformed(why: &str) -> Self {
        Self::new(400, "malformed", "Malformed request", why).closing()
    }

    /// Where the request ends is in doubt (RFC 9112, section 6).
    pub fn ambiguous(why: &str) -> Self {
        Self::new(400, "ambiguous-framing", "Ambiguous request", why).closing()
    }

    pub fn target_too_long(bytes_max: u64) -> Self {
        let detail = format!("A target may have {bytes_max} bytes.");
        Self::new(414, "target-too-long", "URI too long", detail).closing()
    }

    pub fn head_too_large(fields_max: u64, bytes_max: u64) -> Self {
        let detail = format!("Up to {fields_max} fields and {bytes_max} bytes are taken.");
        Self::new(431, "head-too-large", "Request header fields too large", detail).closing()
    }

    /// A head that does not end.
    pub fn head_too_slow() -> Self {
        Self::new(408, "head-too-slow", "Request timeout", "The request's head took too long to come.").closing()
    }
}
