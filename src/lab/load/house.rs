//! Loads that are offered for a stack: ordinary traffic, through its DNS, its TLS and its edge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::mix::{Mix, MixFile, RequestFile};
use super::{BACKLOG_MAX, LoadError, Plan};
use crate::client::Url;
use crate::client::lean::{Origin, Reach};
use crate::policy::arrivals::{Spacing, Stage};
use crate::stack::Stack;

/// What may be asked of one's own machine.
pub const RATE_MAX: u64 = 20_000;
pub const DURATION_MAX_S: u64 = 3_600;
pub const CONNECTIONS_MAX: usize = 1_024;
/// Patience of a guest.
const TIMEOUT: Duration = Duration::from_secs(10);
const SEED: u64 = 1;

/// A mix by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Offer {
    pub id: &'static str,
    pub title: &'static str,
    #[serde(skip)]
    text: Sends,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sends {
    /// A file of `data/load`.
    File(&'static str),
    /// One path.
    Path(&'static str),
}

static RESTAURANT: &[Offer] = &[
    Offer {
        id: "reads",
        title: "read the menu and its dishes",
        text: Sends::File(include_str!("../../../data/load/reads.toml")),
    },
    Offer { id: "orders", title: "place orders", text: Sends::File(include_str!("../../../data/load/orders.toml")) },
    Offer {
        id: "mixed",
        title: "read, and one in ten orders",
        text: Sends::File(include_str!("../../../data/load/mixed.toml")),
    },
    Offer { id: "menu", title: "read the menu", text: Sends::Path("/api/v1/menu") },
    Offer { id: "dish", title: "read one dish", text: Sends::Path("/api/v1/menu/12") },
];

/// Of a service of somebody's own only its front is known.
static OWN_SERVICE: &[Offer] =
    &[Offer { id: "front", title: "read your service's front page", text: Sends::Path("/") }];

/// What is offered, with the restaurant or before somebody's own service.
pub fn offered(restaurant: bool) -> &'static [Offer] {
    if restaurant { RESTAURANT } else { OWN_SERVICE }
}

/// A load of one of the offers, as somebody wishes it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Wish {
    pub mix: &'static str,
    pub rate: u64,
    pub duration_s: u64,
    pub arrivals: Arrive,
    pub connections: usize,
}

/// How requests are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrive {
    Constant,
    Poisson,
}

/// The load that `wish` comes to for `stack`.
pub fn plan(stack: &Stack, wish: &Wish) -> Result<Plan, LoadError> {
    let bad = |error: &dyn std::fmt::Display| LoadError::Plan(error.to_string());
    let offer = offered(stack.has_restaurant()).iter().find(|offer| offer.id == wish.mix);
    let offer = offer.ok_or_else(|| LoadError::Plan(format!("there is no mix '{}'", wish.mix)))?;
    let file = match offer.text {
        Sends::File(text) => MixFile::parse(text).map_err(|error| bad(&error))?,
        Sends::Path(path) => MixFile { request: vec![RequestFile::new("GET", path)], ..MixFile::default() },
    };
    let url = Url::parse(&stack.app_url()).map_err(|error| bad(&error))?;
    let mix = Mix::new(file, &url, &BTreeMap::new(), SEED).map_err(|error| bad(&error))?;
    // Its own front door, wherever that listens.
    let origin = Origin::new(stack.client(), url, Reach::Anywhere, true);
    Ok(Plan {
        origin: Arc::new(origin),
        mix,
        stages: vec![Stage::steady(wish.rate as f64, Duration::from_secs(wish.duration_s))],
        spacing: match wish.arrivals {
            Arrive::Constant => Spacing::Constant,
            Arrive::Poisson => Spacing::Poisson,
        },
        seed: SEED,
        connections: wish.connections,
        keep_alive: true,
        threads: 1,
        timeout: TIMEOUT,
        backlog_max: BACKLOG_MAX,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mix_that_is_offered_can_be_sent() {
        let url = Url::parse("https://bistro.localhost:8444").expect("a url");
        for offer in RESTAURANT {
            if let Sends::File(text) = offer.text {
                let file = MixFile::parse(text).expect(offer.id);
                Mix::new(file, &url, &BTreeMap::new(), 1).expect(offer.id);
            }
        }
    }
}
