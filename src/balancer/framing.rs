//! Where an upstream's answer ends must be beyond doubt, too (RFC 9112, sections 6.1 and 6.3): an answer
//! that two readers read differently is how caches and clients behind us are poisoned.

use hyper::HeaderMap;
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

/// What is in doubt, if something is.
pub fn doubt(headers: &HeaderMap) -> Option<&'static str> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (length, second) = (lengths.next(), lengths.next());
    if second.is_some() {
        return Some("it gave more than one Content-Length");
    }
    // A list of equal ones (RFC 9112, section 6.3) may be taken for one, or not: so it is none.
    if length.is_some_and(|length| length.is_empty() || !length.as_bytes().iter().all(u8::is_ascii_digit)) {
        return Some("its Content-Length is no number");
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let (coding, second) = (codings.next()?, codings.next());
    if length.is_some() {
        return Some("it gave both Content-Length and Transfer-Encoding");
    }
    let chunked = second.is_none() && coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    (!chunked).then_some("its Transfer-Encoding says something else than chunked")
}
