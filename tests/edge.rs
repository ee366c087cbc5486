//! The edge over real sockets: raw bytes in, raw bytes out, a test upstream behind it.

#[path = "edge/bodies.rs"]
mod bodies;
#[path = "edge/bounds.rs"]
mod bounds;
#[path = "edge/docs.rs"]
mod docs;
#[path = "edge/ends.rs"]
mod ends;
#[path = "edge/expect.rs"]
mod expect;
#[path = "edge/fields.rs"]
mod fields;
#[path = "edge/frames.rs"]
mod frames;
#[path = "edge/framing.rs"]
mod framing;
#[path = "edge/h2.rs"]
mod h2;
#[path = "edge/host.rs"]
mod host;
#[path = "edge/rig.rs"]
mod rig;
#[path = "edge/slow.rs"]
mod slow;
#[path = "edge/stop.rs"]
mod stop;
#[path = "edge/tls.rs"]
mod tls;
#[path = "edge/trace.rs"]
mod trace;
#[path = "edge/upgrade.rs"]
mod upgrade;
