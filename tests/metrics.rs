//! What is told to those who watch: metrics by the formats' own rules, the live series, and health.

mod harness;

#[path = "metrics/format.rs"]
mod format;
#[path = "metrics/health.rs"]
mod health;
#[path = "metrics/live.rs"]
mod live;
#[path = "metrics/told.rs"]
mod told;
