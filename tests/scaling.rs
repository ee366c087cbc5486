//! Instances that come and go while traffic flows: no request is lost, whatever is changed.

#[path = "scaling/autoscaler.rs"]
mod autoscaler;
#[path = "scaling/control.rs"]
mod control;
mod harness;
#[path = "scaling/instances.rs"]
mod instances;
#[path = "scaling/rollouts.rs"]
mod rollouts;
#[path = "scaling/traffic.rs"]
mod traffic;
