//! What faults do to a choice of the balancer: it is late, or the worst that could be made.

use std::time::Duration;

use super::choice::{Looks, Pick};
use super::known::Look;
use super::roster::Roster;
use super::upstream::Upstream;
use crate::faults::{self, Place, Strike, is_on, strike};
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::span::Span;
use crate::policy::health::State;
use crate::settings::fault::Fault;

/// What the trace says of a choice that a fault made.
pub const WHY: &str = "the fault fault.balancer.wrong_instance is on, and it is the worst that there is";

impl Roster {
    /// Before a request goes to the chosen one: in a span of its own, and counted in what is spent.
    pub async fn hold_up(&self, path: &str, upstream: &Upstream, parent: &Span) -> Duration {
        if self.settings.snapshot().faults.none() {
            return Duration::ZERO;
        }
        let instance = upstream.id();
        let place = Place { instance: Some(&instance), ..Place::path(path) };
        let Some(late) = strike(&self.settings, Fault::BalancerDelay, place) else { return Duration::ZERO };
        let held = parent.child(Hop::Balancer, "Held up by a fault");
        late.mark(&held);
        let began = Tick::now();
        faults::wait(&self.settings, late, place).await;
        held.end();
        Tick::now().since(began)
    }

    /// Whether the worst is to be chosen for a request to `path`.
    pub fn goes_wrong(&self, path: &str) -> Option<Strike> {
        strike(&self.settings, Fault::BalancerWrongInstance, Place::path(path))
    }

    /// Whether nobody looks after the upstreams: they stay in the state that they are in.
    pub fn is_blind(&self) -> bool {
        is_on(&self.settings, Fault::BalancerNoHealthChecks, Place::ANYWHERE).is_some()
    }

    /// Whether what fails stays failed.
    pub fn never_retries(&self, path: &str) -> Option<Strike> {
        is_on(&self.settings, Fault::BalancerNoRetries, Place::path(path))
    }
}

/// The worst of those that may be asked at all: one that is out before one that is slow, the slowest before the busiest.
pub fn worst(looks: &Looks, tried: &[u64]) -> Option<Pick> {
    let there = |look: &Look| {
        !matches!(look.state, State::Stopped | State::Draining)
            && look.set_weight > 0
            && look.permitted
            && !look.full
            && !tried.contains(&look.serial)
    };
    let badness = |look: &Look| {
        let ill = look.state != State::Healthy;
        (ill, look.ewma.measured_us().unwrap_or_default(), look.in_flight)
    };
    let candidates = looks.iter().enumerate().filter(|(_, look)| there(look)).map(|(at, look)| (at, badness(look)));
    let worse =
        |a: &(bool, f64, u64), b: &(bool, f64, u64)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2));
    candidates.max_by(|(_, a), (_, b)| worse(a, b)).map(|(at, _)| Pick::wrong(at))
}
