//! Whether a request failed: one notion, for counters, kept traces and logs.

use std::borrow::Cow;

/// Why a request counts as failed. What a client did wrong is no failure, nor that it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Failure {
    /// It was answered with a status of 500 or above.
    Status = 1,
    /// Its connection was closed without an answer.
    NoAnswer,
    /// Its answer broke off before the end, whatever its head had said.
    BrokenOff,
}

impl Failure {
    /// What the status alone says.
    pub const fn of_status(status: u16) -> Option<Failure> {
        if status >= 500 { Some(Failure::Status) } else { None }
    }

    /// OpenTelemetry's `error.type` of a request with this status.
    pub fn error_type(self, status: u16) -> Cow<'static, str> {
        match self {
            Failure::Status => status.to_string().into(),
            Failure::NoAnswer => "reset".into(),
            Failure::BrokenOff => "truncated".into(),
        }
    }
}
