//! What people do with a stack: send a request through it and look at its journey.

pub mod journeys;
pub mod presets;
