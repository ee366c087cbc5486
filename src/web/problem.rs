//! Problem documents (RFC 9457): what happened, at which hop, what to do.

use serde::{Deserialize, Serialize};

use crate::observe::hop::Hop;

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{status} {title}: {detail}")]
pub struct Problem {
    /// A stable id of the kind of problem, a relative reference: `/problems/unknown-dish`.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// What happened to this request, and what to do about it.
    pub detail: String,
    /// The hop that refused; None for the console, which is no hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<Hop>,
    /// Field by field, when the request's body or query was wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Seconds after which another try makes sense; also sent as `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// A JSON Pointer (RFC 6901) to the field.
    pub pointer: String,
    pub detail: String,
}

impl Problem {
    /// `kind` is the last part of the type's reference: `unknown-dish`.
    pub fn new(hop: impl Into<Option<Hop>>, status: u16, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("/problems/{kind}"),
            title: title.to_owned(),
            status,
            detail: detail.into(),
            hop: hop.into(),
            errors: Vec::new(),
            retry_after_s: None,
        }
    }

    pub fn field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The document.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}
