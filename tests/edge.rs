//! The edge over real sockets: raw bytes in, raw bytes out, a test upstream behind it.

#[path = "edge/rig.rs"]
mod rig;
