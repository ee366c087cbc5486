//! The way from an edge that stands near its caller to the instances (`client.region_edge` near).

use std::time::Duration;

use crate::faults::wire::Length;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::span::{Direction, Span};

/// A new connection's first round trip, beneath `span`.
pub async fn there_and_back(one_way: Duration, span: &Span) {
    if !one_way.is_zero() {
        let _way = named(span.child(Hop::Balancer, "Distance to the origin, there and back"), one_way);
        Length::of(one_way).round_trip().await;
    }
}

/// Records both ways of an exchange that was answered.
pub fn record(one_way: Duration, span: &Span, sent: Tick, answered: Tick) {
    if one_way.is_zero() {
        return;
    }
    let arrived = (sent + one_way).min(answered);
    named(span.record(Hop::Balancer, "Distance to the origin", sent, arrived), one_way);
    let left = answered.as_nanos().saturating_sub(one_way.as_nanos() as u64);
    let back =
        span.record(Hop::Balancer, "Distance back from the origin", Tick::from_nanos(left).max(arrived), answered);
    named(back, one_way).direction(Direction::Back);
}

fn named(span: Span, one_way: Duration) -> Span {
    span.attribute("roundtrip.client.one_way_ms", || one_way.as_millis() as u64);
    span
}
