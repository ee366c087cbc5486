//! What people do with a stack: send a request through it and look at its journey, or send many and measure.

pub mod journeys;
pub mod load;
pub mod presets;
