//! Probes, and what a journey looks like from outside.

use std::collections::HashSet;
use std::sync::Arc;

use roundtrip::client::{Answer, Connection, Outgoing};
use roundtrip::observe::hop::Hop;
use roundtrip::observe::journey::{Journey, JourneySpan};
use serde_json::Value;

use super::{House, PATIENCE};

/// A request over a new connection to the app's name that only the embedded DNS knows.
pub fn outgoing(house: &House, method: &str, path: &str, body: Option<&Value>) -> Outgoing {
    let mut headers = Vec::new();
    if body.is_some() {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    Outgoing {
        method: method.to_owned(),
        headers,
        body: body.map_or_else(Default::default, |body| body.to_string().into()),
        connection: Connection::Fresh,
        timeout: PATIENCE,
        ..Outgoing::get(format!("{}{path}", house.stack.app_url()))
    }
}

/// Sends a probe and waits for its journey.
pub async fn probe(house: &House, outgoing: Outgoing) -> (Answer, Arc<Journey>) {
    let answer = house.stack.client().send(outgoing).await.expect("an answer");
    let journey = house.stack.recorder().finish(answer.part.clone()).await;
    (answer, journey)
}

/// The first span of this name.
pub fn span<'a>(journey: &'a Journey, name: &str) -> Option<&'a JourneySpan> {
    journey.spans.iter().find(|span| span.name == name)
}

/// The first value of an attribute, wherever it stands.
pub fn attribute<'a>(journey: &'a Journey, key: &str) -> Option<&'a Value> {
    journey.spans.iter().find_map(|span| span.attributes.get(key))
}

/// The hops that have a span.
pub fn hops(journey: &Journey) -> HashSet<Hop> {
    journey.spans.iter().map(|span| span.hop).collect()
}
