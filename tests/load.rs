//! The load generator: against a server that counts, as a command, and from the console.

mod harness;

#[path = "load/command.rs"]
mod command;
#[path = "load/console.rs"]
mod console;
#[path = "load/engine.rs"]
mod engine;
#[path = "cli/rig.rs"]
mod rig;
#[path = "load/server.rs"]
mod server;
