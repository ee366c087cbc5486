//! Every fault is real at its hop, ends by itself, leaves nothing behind when it is withdrawn, and never touches the
//! console.

#[path = "faults/breaking.rs"]
mod breaking;
#[path = "faults/client.rs"]
mod client;
#[path = "faults/dns.rs"]
mod dns;
mod harness;
#[path = "faults/http.rs"]
mod http;
#[path = "edge/rig.rs"]
mod rig;
#[path = "faults/tls.rs"]
mod tls;
