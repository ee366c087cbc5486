//! Why no upstream answered. Values, so that callers decide without reading texts.

use std::time::Duration;

use crate::observe::hop::Hop;
use crate::web::problem::Problem;

/// No answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("no instance is there to be asked")]
    NoneLeft,
    /// Nothing was written.
    #[error("no connection to {upstream} could be made: {reason} ({tried} tried)")]
    Unreachable { upstream: String, reason: String, tried: usize },
    /// Nothing was written: whoever is there, it cannot be trusted to be the upstream.
    #[error("{upstream} cannot be trusted: {reason}")]
    Certificate { upstream: String, reason: &'static str },
    #[error("{upstream} broke off before it answered: {reason}")]
    Broken { upstream: String, reason: String },
    /// The request's own body ended early or badly: no upstream is to blame.
    #[error("the body of the request broke off")]
    Upload,
    #[error("{upstream} did not answer within {waited:?}")]
    TooSlow { upstream: String, waited: Duration },
    #[error("all instances are full, and {waiting} requests wait already")]
    QueueFull { waiting: u64 },
    #[error("all instances are full, and none had a place within {waited:?}")]
    QueueTooSlow { waited: Duration },
    #[error("the circuit breaker of each instance that could be asked is open")]
    CircuitOpen { retry_after: Duration },
}

impl Failure {
    /// Span attribute `error.type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Failure::NoneLeft => "no_instance",
            Failure::Unreachable { .. } => "connect",
            Failure::Certificate { .. } => "certificate",
            Failure::Broken { .. } => "broken",
            Failure::Upload => "upload",
            Failure::TooSlow { .. } => "timeout",
            Failure::QueueFull { .. } | Failure::QueueTooSlow { .. } => "overloaded",
            Failure::CircuitOpen { .. } => "circuit_open",
        }
    }

    /// What the client reads. 503: nobody was there, so try again; 502 and 504: an instance may have done it.
    pub fn problem(&self) -> Problem {
        let problem = |status, kind, title, detail| Problem::new(Hop::Balancer, status, kind, title, detail);
        match self {
            Failure::NoneLeft | Failure::Unreachable { .. } => {
                let detail = format!("The balancer found nobody to ask: {self}. Try again in a moment.");
                problem(503, "no-instance", "No instance can be reached", detail).retry_after(1)
            }
            Failure::Certificate { .. } => {
                let detail =
                    format!("{self}. Nothing was sent. Renew or correct the certificate there, or trust it here.");
                problem(502, "upstream-certificate", "An instance's certificate is not accepted", detail)
            }
            Failure::Broken { .. } => {
                let detail = format!("{self}. Whether the request took effect is not known.");
                problem(502, "broken-answer", "An instance broke off", detail)
            }
            Failure::Upload => Problem::new(
                Hop::Http,
                400,
                "broken-body",
                "The body broke off",
                "The request's body ended before its announced end, or its framing was wrong.",
            ),
            Failure::TooSlow { .. } => {
                let detail = format!("{self}. Whether the request took effect is not known.");
                problem(504, "slow-answer", "An instance took too long", detail)
            }
            Failure::QueueFull { .. } | Failure::QueueTooSlow { .. } => {
                let detail =
                    format!("The balancer turned the request away: {self}. Nothing was sent. Try again later.");
                problem(503, "overloaded", "The balancer is overloaded", detail).retry_after(1)
            }
            Failure::CircuitOpen { retry_after } => {
                let detail = format!("{self}, since too many requests failed. Nothing was sent. Try again later.");
                let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
                problem(503, "circuit-open", "The circuit breaker is open", detail).retry_after(seconds.max(1))
            }
        }
    }
}
