//! Start-up configuration, and the one table of what can be changed while a stack runs.

pub mod runtime;
pub mod startup;
