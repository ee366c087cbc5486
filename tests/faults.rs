//! Every fault: its real effect at its own hop, its end by hand and by its time, and a console that nothing harms.

mod harness;

#[path = "faults/api.rs"]
mod api;
#[path = "faults/back.rs"]
mod back;
#[path = "faults/balancer.rs"]
mod balancer;
#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/control.rs"]
mod control;
#[path = "faults/data.rs"]
mod data;
#[path = "faults/instance.rs"]
mod instance;
#[path = "faults/service.rs"]
mod service;
#[path = "faults/supplier.rs"]
mod supplier;
