//! Spans, journeys and the recorder. Knows the ids of the hops and no type of theirs.
//!
//! Each side of a socket writes one *part* (a [`Trace`]) of spans; the [`Recorder`](recorder::Recorder)
//! of a stack joins the parts of one request into a [`Journey`](journey::Journey).

pub mod clock;
pub mod hop;
pub mod ids;
pub mod journey;
pub mod redact;
pub mod span;
pub mod tap;
