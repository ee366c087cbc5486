//! Whether a stack should get requests, and why not.

use crate::observe::metrics::process;
use crate::policy::health::State;

use super::Stack;

/// With less free, the next orders may not find room.
const DISK_FREE_MIN: u64 = 64 * 1024 * 1024;

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Reason {
    /// `stack`, `database`, `instances` or `disk`.
    pub check: &'static str,
    pub why: String,
}

impl Stack {
    /// Why it should get no requests now; empty when it is ready.
    pub fn unready(&self) -> Vec<Reason> {
        let reason = |check, why: &str| Reason { check, why: why.to_owned() };
        let mut reasons = Vec::new();
        // The edge and the DNS server were bound before it started, and go together.
        if self.servers().is_none() {
            reasons.push(reason("stack", "it is being stopped: edge and DNS server no longer listen"));
        }
        if let Some(bistro) = &self.bistro {
            reasons.extend(bistro.usage().troubles().into_iter().map(|why| Reason { check: "database", why }));
        }
        if !self.instances().iter().any(|instance| instance.state == State::Healthy) {
            reasons.push(reason("instances", "no instance is healthy"));
        }
        if let Some(disk) = process::disk(&self.data_dir).filter(|disk| disk.free_bytes < DISK_FREE_MIN) {
            let why = format!("{} MiB are free where the data is", disk.free_bytes / 1024 / 1024);
            reasons.push(Reason { check: "disk", why });
        }
        reasons
    }
}
