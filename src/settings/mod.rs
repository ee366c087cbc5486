//! Start-up configuration, and the one table of what can be changed while a stack runs.
//!
//! [`runtime`] holds the values, [`row`] says what a row of the table is; the rows themselves stand in one
//! file a hop, beside the struct of that hop's values.

pub mod api;
pub mod bad_days;
pub mod balancer;
pub mod client;
pub mod data;
pub mod dns;
pub mod fault;
pub mod http;
#[cfg(test)]
mod lessons;
pub mod row;
pub mod runtime;
pub mod scaling;
pub mod service;
pub mod site;
pub mod startup;
pub mod supplier;
pub mod supply;
