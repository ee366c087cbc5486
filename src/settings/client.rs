//! What can be changed about the stack's own client: how far away it is.

use std::time::Duration;

use super::row::{Field, Row};
use crate::observe::hop::Hop;

/// Where the edge stands, for a caller far away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RegionEdge {
    /// With the instances: each turn on the wire pays the distance.
    #[default]
    Far,
    /// With the caller, as a CDN's: only what it must fetch from the instances does.
    Near,
}

impl RegionEdge {
    const IDS: &'static [&'static str] = &["far", "near"];

    const fn id(self) -> &'static str {
        Self::IDS[self as usize]
    }

    fn from_id(id: &str) -> Self {
        if id == Self::Near.id() { Self::Near } else { Self::Far }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientSettings {
    /// One way.
    pub region_delay: Duration,
    pub region_edge: RegionEdge,
}

impl ClientSettings {
    /// From the caller to the edge.
    pub fn to_edge(&self) -> Duration {
        if self.region_edge == RegionEdge::Far { self.region_delay } else { Duration::ZERO }
    }

    /// From the edge to the instances.
    pub fn to_origin(&self) -> Duration {
        if self.region_edge == RegionEdge::Near { self.region_delay } else { Duration::ZERO }
    }
}

const LESSONS: &[&str] = &["rel.geography", "perf.latency-throughput"];

/// A satellite in geostationary orbit is about 250 ms away. A handshake pays the distance three times, and the edge
/// gives it three seconds.
const REGION_MS_MAX: u64 = 500;

pub static ROWS: &[Row] = &[
    Row {
        key: "client.region_delay",
        hop: Hop::Client,
        help: "How far away our own client is, as the time that a byte takes one way: 40 ms is across a continent, \
               150 ms is the far side of the earth. A new connection pays it six times, a kept one twice.",
        lessons: LESSONS,
        field: Field::Millis { field: |values| &mut values.client.region_delay, min: 0, max: REGION_MS_MAX },
    },
    Row {
        key: "client.region_edge",
        hop: Hop::Client,
        help: "Where the edge stands: far, beside the instances; or near the client, as a CDN's does. Then handshakes \
               are cheap, what the edge has kept costs no distance, and only what it fetches from an instance does, \
               over a connection that is kept.",
        lessons: LESSONS,
        field: Field::Choice {
            choices: RegionEdge::IDS,
            get: |values| values.client.region_edge.id(),
            set: |values, id| values.client.region_edge = RegionEdge::from_id(id),
        },
    },
];
