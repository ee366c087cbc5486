//! Finding journeys among those that are kept.

use std::sync::Arc;

use super::hop::Hop;
use super::journey::{Journey, Summary};
use super::kept::{Kept, Why};
use super::span::Status;

/// One status, or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statuses {
    One(u16),
    /// The first digit.
    Class(u16),
}

impl Statuses {
    /// `404`, or `4xx`. A request that got no answer has the status 0.
    pub fn parse(text: &str) -> Option<Statuses> {
        if let Some(class) = text.strip_suffix("xx") {
            return class.parse().ok().filter(|class| (1..=5).contains(class)).map(Statuses::Class);
        }
        text.parse().ok().filter(|status| *status == 0 || (100..=599).contains(status)).map(Statuses::One)
    }

    fn hold(self, status: u16) -> bool {
        match self {
            Statuses::One(one) => status == one,
            Statuses::Class(class) => status / 100 == class,
        }
    }
}

/// What is looked for; all that is named must be true.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Where it turned back, or failed, or was struck by a fault.
    pub hop: Option<Hop>,
    /// How its route or its path begins.
    pub route: Option<String>,
    pub status: Option<Statuses>,
    pub min_us: Option<f64>,
    pub max_us: Option<f64>,
    /// The key of a fault that struck it, or how that begins: `fault.dns.`.
    pub fault: Option<String>,
    /// The role that it was sent as, or that whoever sent it has.
    pub sent_as: Option<String>,
    pub probe: Option<bool>,
    /// Why it is kept.
    pub kept: Option<Why>,
    /// Kept before this one: `next` of an earlier answer.
    pub before: Option<u64>,
}

/// Its route, as far as there is one.
fn known(summary: &Summary) -> &str {
    summary.route.as_deref().unwrap_or_default()
}

impl Wanted {
    fn takes(&self, kept: &Kept) -> bool {
        let journey = &kept.journey;
        let summary = &journey.summary;
        self.before.is_none_or(|before| kept.number < before)
            && self.probe.is_none_or(|probe| summary.probe == probe)
            && self.kept.is_none_or(|why| summary.kept == why)
            && self.status.is_none_or(|statuses| statuses.hold(summary.status))
            && self.min_us.is_none_or(|min| summary.total_us >= min)
            && self.max_us.is_none_or(|max| summary.total_us <= max)
            && self.sent_as.as_ref().is_none_or(|role| summary.sent_as.as_ref() == Some(role))
            && self
                .route
                .as_deref()
                .is_none_or(|route| summary.path.starts_with(route) || known(summary).starts_with(route))
            && self.fault.as_deref().is_none_or(|fault| summary.faults.iter().any(|key| key.starts_with(fault)))
            && self.hop.is_none_or(|hop| concerns(journey, hop))
    }
}

/// Whether `hop` is where something about a journey was decided.
fn concerns(journey: &Journey, hop: Hop) -> bool {
    let marked = |status: Status, fault: &Option<String>| status == Status::Error || fault.is_some();
    journey.summary.turn == hop || journey.spans.iter().any(|span| span.hop == hop && marked(span.status, &span.fault))
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The latest first.
    pub journeys: Vec<Arc<Journey>>,
    /// For what comes after; None: that was all.
    pub next: Option<u64>,
    /// Journeys that there are.
    pub kept: usize,
}

/// The latest `limit` of those that are `wanted`.
pub fn search(mut all: Vec<Kept>, wanted: &Wanted, limit: usize) -> Found {
    let kept = all.len();
    all.retain(|kept| wanted.takes(kept));
    all.sort_unstable_by_key(|kept| std::cmp::Reverse(kept.number));
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|kept| kept.number);
    Found { journeys: all.into_iter().map(|kept| kept.journey).collect(), next, kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_or_a_class() {
        assert_eq!(Statuses::parse("404"), Some(Statuses::One(404)));
        assert_eq!(Statuses::parse("5xx"), Some(Statuses::Class(5)));
        for wrong in ["", "xx", "6xx", "40", "600", "4x", "-1"] {
            assert_eq!(Statuses::parse(wrong), None, "{wrong}");
        }
        assert!(Statuses::Class(5).hold(503) && !Statuses::Class(5).hold(499) && Statuses::One(0).hold(0));
    }
}
