//! Every fault is real at its hop, ends by itself and by hand, leaves nothing behind, and never touches the console.

mod harness;

#[path = "faults/api.rs"]
mod api;
#[path = "faults/back.rs"]
mod back;
#[path = "faults/balancer.rs"]
mod balancer;
#[path = "faults/breaking.rs"]
mod breaking;
#[path = "faults/client.rs"]
mod client;
#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/control.rs"]
mod control;
#[path = "faults/data.rs"]
mod data;
#[path = "faults/dns.rs"]
mod dns;
#[path = "faults/http.rs"]
mod http;
#[path = "faults/instance.rs"]
mod instance;
#[path = "edge/rig.rs"]
mod rig;
#[path = "faults/service.rs"]
mod service;
#[path = "faults/supplier.rs"]
mod supplier;
#[path = "faults/tls.rs"]
mod tls;
