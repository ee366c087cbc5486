//! Spans, journeys, the recorder and the logs. Knows the ids of the hops and no type of theirs.
//!
//! Each side of a socket writes one [`part`] of a trace; the [`recorder`] of a stack joins the parts of
//! one request ([`assemble`]) into a [`journey`]. Every request is counted in the stack's [`metrics`]; the last hour
//! of them is [`live`].

pub mod assemble;
pub mod clock;
pub mod failure;
pub mod happening;
pub mod hop;
pub mod ids;
mod join;
pub mod journey;
pub mod kept;
pub mod live;
pub mod log;
pub mod metrics;
pub mod otlp;
pub mod part;
pub mod rcode;
pub mod recorder;
pub mod redact;
mod repeated;
pub mod search;
pub mod span;
pub mod tap;
