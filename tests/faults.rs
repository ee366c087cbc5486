//! What can be broken: each fault has a real effect at its hop, ends by itself, leaves nothing behind, and never touches
//! the console.

mod harness;

#[path = "faults/control.rs"]
mod control;
