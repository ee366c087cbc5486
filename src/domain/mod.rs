//! The nouns of the restaurant and of the console. No I/O, no SQL, no HTTP.

pub mod event;
pub mod kitchen;
pub mod ledger;
pub mod menu;
pub mod money;
pub mod order;
pub mod order_life;
pub mod order_rule;
pub mod page;
pub mod pantry;
pub mod permission;
pub mod session;
pub mod token;
