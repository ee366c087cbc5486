//! Which upstream, and why.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Balancer;
use super::upstream::{Standing, Upstream};
use crate::observe::journey::Candidate;
use crate::policy::health::State;
use crate::policy::{p2c, round_robin};
use crate::settings::balancer::BalancerPolicy;

/// With fewer than one in so many healthy, all are used: sending everything to the few that are left would
/// fell them too (Envoy's panic threshold of 50 %).
const PANIC_BELOW_ONE_IN: usize = 2;

/// What was chosen, and, if asked for, what a person is to see of it.
#[derive(Debug)]
pub struct Choice {
    pub upstream: Arc<Upstream>,
    pub position: usize,
    pub policy: BalancerPolicy,
    pub shown: Option<Shown>,
}

#[derive(Debug)]
pub struct Shown {
    pub why: String,
    pub candidates: Vec<Candidate>,
}

/// Who may be chosen.
struct Eligible {
    positions: Vec<usize>,
    panic: bool,
}

/// What the policy did.
struct Pick {
    chosen: usize,
    drawn: Option<(usize, usize)>,
}

impl Balancer {
    /// Chooses one that is not among `tried`; None when nobody is left.
    pub(super) fn choose(&self, tried: &[usize], show: bool) -> Option<Choice> {
        let standings: Vec<Standing> = self.0.upstreams.iter().map(|upstream| upstream.standing()).collect();
        let eligible = eligible(&standings, tried);
        let policy = self.0.settings.snapshot().balancer.policy;
        let pick = match policy {
            BalancerPolicy::RoundRobin => self.in_turn(&eligible.positions),
            BalancerPolicy::P2cPeakEwma => self.better_of_two(&eligible.positions, &standings),
        }?;
        let upstream = Arc::clone(self.0.upstreams.get(pick.chosen)?);
        let shown = show.then(|| Shown {
            why: self.why(policy, &pick, &eligible, tried),
            candidates: self.candidates(policy, &pick, &standings, &eligible, tried),
        });
        Some(Choice { upstream, position: pick.chosen, policy, shown })
    }

    fn in_turn(&self, eligible: &[usize]) -> Option<Pick> {
        let mut last = self.0.last_turn.load(Ordering::Relaxed);
        loop {
            let chosen = round_robin::next((last != usize::MAX).then_some(last), eligible)?;
            match self.0.last_turn.compare_exchange_weak(last, chosen, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(Pick { chosen, drawn: None }),
                Err(other) => last = other,
            }
        }
    }

    fn better_of_two(&self, eligible: &[usize], standings: &[Standing]) -> Option<Pick> {
        let (a, b) = p2c::draw(eligible.len(), self.random())?;
        let (a, b) = (eligible[a], eligible[b]);
        let chosen = if p2c::first_is_better(standings[a].cost, standings[b].cost) { a } else { b };
        Some(Pick { chosen, drawn: Some((a, b)) })
    }

    fn why(&self, policy: BalancerPolicy, pick: &Pick, eligible: &Eligible, tried: &[usize]) -> String {
        let name = |position: usize| self.0.upstreams[position].id.as_str();
        let chosen = name(pick.chosen);
        let mut why = match (policy, pick.drawn) {
            _ if eligible.positions.len() == 1 => format!("{chosen} is the only one that can be chosen"),
            (BalancerPolicy::P2cPeakEwma, Some((a, b))) => {
                let other = name(if a == pick.chosen { b } else { a });
                format!("{chosen} and {other} were drawn at random; {chosen} has the lower score")
            }
            _ => format!("it is the turn of {chosen}"),
        };
        if eligible.panic {
            why.push_str("; fewer than half are healthy, so all are used");
        }
        if !tried.is_empty() {
            why.push_str("; tried before: ");
            why.push_str(&tried.iter().map(|position| name(*position)).collect::<Vec<_>>().join(", "));
        }
        why
    }

    fn candidates(
        &self,
        policy: BalancerPolicy,
        pick: &Pick,
        standings: &[Standing],
        eligible: &Eligible,
        tried: &[usize],
    ) -> Vec<Candidate> {
        let shown = |(position, (upstream, standing)): (usize, (&Arc<Upstream>, &Standing))| {
            let drawn = pick.drawn.is_some_and(|(a, b)| a == position || b == position);
            let chosen = pick.chosen == position;
            let why = match (chosen, drawn, policy) {
                _ if tried.contains(&position) => "tried before",
                _ if !eligible.positions.contains(&position) => "not healthy",
                (true, true, _) => "drawn, and the lower score",
                (true, false, _) => "its turn",
                (false, true, _) => "drawn, and the higher score",
                (false, false, BalancerPolicy::P2cPeakEwma) => "not drawn",
                (false, false, BalancerPolicy::RoundRobin) => "not its turn",
            };
            Candidate {
                id: upstream.id.clone(),
                address: upstream.address().to_string(),
                state: standing.state.id().to_owned(),
                in_flight: standing.in_flight,
                ewma_us: standing.ewma_us,
                score: drawn.then_some(standing.cost),
                drawn,
                chosen,
                why: why.to_owned(),
            }
        };
        self.0.upstreams.iter().zip(standings).enumerate().map(shown).collect()
    }
}

/// The healthy ones; in a panic, and when a retry has no healthy one left, all. A retry asks the healthy
/// ones first even in a panic: it has met a dead one already.
fn eligible(standings: &[Standing], tried: &[usize]) -> Eligible {
    let present = standings.iter().filter(|standing| standing.state != State::Stopped).count();
    let healthy = standings.iter().filter(|standing| standing.state == State::Healthy).count();
    let panic = healthy * PANIC_BELOW_ONE_IN < present;
    let untried = |wanted: fn(State) -> bool| -> Vec<usize> {
        let fits = |position: &usize| wanted(standings[*position].state) && !tried.contains(position);
        (0..standings.len()).filter(fits).collect()
    };
    if !panic || !tried.is_empty() {
        let positions = untried(|state| state == State::Healthy);
        if !positions.is_empty() {
            return Eligible { positions, panic: false };
        }
    }
    Eligible { positions: untried(|state| state != State::Stopped), panic }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn standing(state: State) -> Standing {
        Standing { state, in_flight: 0, ewma_us: None, cost: 0.0 }
    }

    fn any_state() -> impl Strategy<Value = State> {
        prop::sample::select(vec![State::Starting, State::Healthy, State::Unhealthy, State::Stopped])
    }

    proptest! {
        #[test]
        fn a_stopped_or_tried_one_is_never_eligible_and_an_unhealthy_one_only_in_a_panic(
            states in prop::collection::vec(any_state(), 0..8),
            tried in prop::collection::vec(0_usize..8, 0..3),
        ) {
            let standings: Vec<Standing> = states.iter().copied().map(standing).collect();
            let eligible = eligible(&standings, &tried);
            let healthy = states.iter().filter(|state| **state == State::Healthy).count();
            let present = states.iter().filter(|state| **state != State::Stopped).count();
            for position in &eligible.positions {
                prop_assert!(states[*position] != State::Stopped && !tried.contains(position));
                prop_assert!(states[*position] == State::Healthy || healthy * 2 < present || !tried.is_empty());
            }
        }
    }
}
