//! The header sets of documents and of API answers (shared by app and console).

/// Sent with every answer.
pub const ALWAYS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=(), usb=(), payment=()"),
];

/// Sent with HTML documents besides [`ALWAYS`] and the policy of [`document_csp`].
pub const DOCUMENT: [(&str, &str); 3] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cache-control", "no-store"),
];

/// The policy of an API answer: it is data, and if a browser opens it, it does nothing.
pub const API_CSP: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// Where a browser tells of what the policy stopped (CSP Level 3, section 5.3).
pub const CSP_REPORT: &str = "/csp-report";

/// The policy of an HTML document. `connect_also`: further origins the page may ask (the door's name test).
pub fn document_csp(nonce: &str, connect_also: &str) -> String {
    let also = if connect_also.is_empty() { String::new() } else { format!(" {connect_also}") };
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'self'; img-src 'self'; \
         font-src 'self'; connect-src 'self'{also}; manifest-src 'self'; worker-src 'self'; object-src 'none'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'; report-uri {CSP_REPORT}"
    )
}
