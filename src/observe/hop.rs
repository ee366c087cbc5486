//! The stations of a request's way.

use serde::{Deserialize, Serialize};

/// One station of the way, in the order of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hop {
    Client,
    Dns,
    Tls,
    Http,
    Balancer,
    Api,
    Service,
    Data,
}

impl Hop {
    /// All hops, in the order of the way.
    pub const ALL: [Hop; 8] =
        [Hop::Client, Hop::Dns, Hop::Tls, Hop::Http, Hop::Balancer, Hop::Api, Hop::Service, Hop::Data];

    /// The id used in JSON, settings and on the command line.
    pub const fn id(self) -> &'static str {
        match self {
            Hop::Client => "client",
            Hop::Dns => "dns",
            Hop::Tls => "tls",
            Hop::Http => "http",
            Hop::Balancer => "balancer",
            Hop::Api => "api",
            Hop::Service => "service",
            Hop::Data => "data",
        }
    }
}
