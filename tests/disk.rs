//! What a disk can do to the store: lose its power, fill up, write half, fail. The disk is real but for a layer
//! beneath the till's process (disk/disk.c) that loses and fails as it is told.
//!
//! The counts are small here; `POWER_CUTS=10000 cargo test --test disk` and the like make them large.
#![cfg(target_os = "linux")] // The layer is glibc's LD_PRELOAD.

mod harness;

/// The whole program, for what it answers.
#[path = "cli/rig.rs"]
mod program;

mod disk {
    pub mod fails;
    pub mod power;
    pub mod rig;
    pub mod server;
    pub mod till;
}
