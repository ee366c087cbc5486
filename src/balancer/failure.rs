//! Why no upstream answered. Values, so that callers decide without reading texts.

use std::time::Duration;

use crate::observe::hop::Hop;
use crate::web::problem::Problem;

/// No answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("no instance is there to be asked")]
    NoneLeft,
    #[error("no connection could be made ({tried} tried)")]
    Unreachable { tried: usize },
    #[error("{upstream} broke off before it answered: {reason}")]
    Broken { upstream: String, reason: String },
    /// The request's own body ended early or badly: no upstream is to blame.
    #[error("the body of the request broke off")]
    Upload,
    #[error("{upstream} did not answer within {waited:?}")]
    TooSlow { upstream: String, waited: Duration },
}

impl Failure {
    /// Span attribute `error.type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Failure::NoneLeft => "no_instance",
            Failure::Unreachable { .. } => "connect",
            Failure::Broken { .. } => "broken",
            Failure::Upload => "upload",
            Failure::TooSlow { .. } => "timeout",
        }
    }

    /// What the client reads. 503: nobody was there, so try again; 502 and 504: an instance may have done it.
    pub fn problem(&self) -> Problem {
        let hop = Hop::Balancer;
        match self {
            Failure::NoneLeft | Failure::Unreachable { .. } => Problem::new(
                hop,
                503,
                "no-instance",
                "No instance can be reached",
                format!("The balancer found nobody to ask: {self}. Try again in a moment."),
            )
            .retry_after(1),
            Failure::Broken { .. } => Problem::new(
                hop,
                502,
                "broken-answer",
                "An instance broke off",
                format!("{self}. Whether the request took effect is not known."),
            ),
            Failure::Upload => Problem::new(
                Hop::Http,
                400,
                "broken-body",
                "The body broke off",
                "The request's body ended before its announced end, or its framing was wrong.",
            ),
            Failure::TooSlow { .. } => Problem::new(
                hop,
                504,
                "slow-answer",
                "An instance took too long",
                format!("{self}. Whether the request took effect is not known."),
            ),
        }
    }
}
