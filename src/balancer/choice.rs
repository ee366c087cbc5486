//! Which upstream, and why.

use std::net::IpAddr;
use std::time::Duration;

use smallvec::SmallVec;

use super::Balancer;
use super::Caller;
use super::explain::Shown;
use super::faults;
use super::in_flight::InFlight;
use super::known::{Look, now};
use super::roster::Member;
use super::turns::Scores;
use crate::policy::health::State;
use crate::policy::{least_request, p2c, panic_mode, random, rendezvous};
use crate::settings::balancer::{BalancerPolicy, BalancerSettings};

/// As many times another is chosen when the chosen one has just been taken.
const RACES_MAX: usize = 8;

pub type Looks = SmallVec<[Look; 8]>;
pub type Positions = SmallVec<[usize; 8]>;
/// Serials of those that were asked before.
pub type Tried = SmallVec<[u64; 4]>;

/// What was chosen, and, if asked for, what a person is to see of it.
#[derive(Debug)]
pub struct Choice {
    pub in_flight: InFlight,
    pub policy: BalancerPolicy,
    /// What a sticky cookie is to say from now on.
    pub stick_to: Option<String>,
    pub shown: Option<Shown>,
}

/// Why nobody can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nobody {
    /// Nobody is there, or all were asked.
    Left,
    /// All that could be are full.
    Free,
    /// All that could be have an open breaker; until the first lets somebody try, if that is known.
    Permitted(Option<Duration>),
}

/// Who may be chosen.
#[derive(Debug)]
pub struct Eligible {
    pub positions: Positions,
    pub panic: bool,
}

/// What the policy did.
#[derive(Debug)]
pub struct Pick {
    pub chosen: usize,
    pub drawn: Option<(usize, usize)>,
    pub scores: Scores,
    /// The client's cookie decided.
    pub kept: bool,
    /// A fault decided.
    pub wrong: bool,
}

impl Pick {
    fn of(chosen: usize) -> Self {
        Self { chosen, drawn: None, scores: Scores::new(), kept: false, wrong: false }
    }

    /// The worst, which a fault wants.
    pub fn wrong(chosen: usize) -> Self {
        Self { wrong: true, ..Self::of(chosen) }
    }
}

/// How one is to be chosen.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// So that a person can see why.
    pub show: bool,
    /// A fault wants the worst.
    pub wrong: bool,
}

impl Balancer {
    /// Chooses one that is not among `tried`, and takes a place there.
    pub(super) fn choose(
        &self,
        caller: &Caller,
        tried: &[u64],
        rules: &BalancerSettings,
        how: How,
    ) -> Result<Choice, Nobody> {
        let members = self.0.members.load();
        for _ in 0..RACES_MAX {
            let now = now();
            let looks: Looks = members.iter().map(|member| member.upstream.look(rules, now)).collect();
            let eligible = eligible(&looks, tried, rules)?;
            let worst = if how.wrong { faults::worst(&looks, tried) } else { None };
            let pick = worst.or_else(|| self.pick(&members, &looks, &eligible, caller, rules)).ok_or(Nobody::Left)?;
            let Some(Member { upstream, .. }) = members.get(pick.chosen) else { return Err(Nobody::Left) };
            let Some(in_flight) = upstream.admit(rules, eligible.panic || pick.wrong) else { continue };
            let sticks = rules.policy == BalancerPolicy::StickyCookie && !pick.kept;
            return Ok(Choice {
                in_flight,
                policy: rules.policy,
                stick_to: sticks.then(|| upstream.token.clone()),
                shown: how.show.then(|| Shown::of(&members, &looks, &eligible, &pick, tried, rules)),
            });
        }
        Err(Nobody::Free)
    }

    fn pick(
        &self,
        members: &[Member],
        looks: &Looks,
        eligible: &Eligible,
        caller: &Caller,
        rules: &BalancerSettings,
    ) -> Option<Pick> {
        let positions = &eligible.positions;
        match rules.policy {
            BalancerPolicy::RoundRobin => self.0.turns().next(looks, positions).map(Pick::of),
            BalancerPolicy::WeightedRoundRobin => {
                let (chosen, scores) = self.0.turns().next_by_weight(looks, positions)?;
                Some(Pick { scores, ..Pick::of(chosen) })
            }
            BalancerPolicy::LeastRequest => self.better_of_two(looks, positions, |_, load| load),
            BalancerPolicy::P2cPeakEwma => self.quicker_of_two(looks, positions),
            BalancerPolicy::Random => {
                let chosen = random::weighted(&weights(looks, positions), self.0.random())?;
                positions.get(chosen).copied().map(Pick::of)
            }
            BalancerPolicy::IpHash => highest(looks, positions, caller.address),
            BalancerPolicy::StickyCookie => {
                let named = |position: &usize| {
                    let token = members.get(*position).map(|member| member.upstream.token.as_str());
                    token.is_some() && token == caller.sticky.as_deref()
                };
                match positions.iter().copied().find(named) {
                    Some(chosen) => Some(Pick { kept: true, ..Pick::of(chosen) }),
                    None => self.quicker_of_two(looks, positions),
                }
            }
        }
    }

    fn quicker_of_two(&self, looks: &Looks, positions: &[usize]) -> Option<Pick> {
        self.better_of_two(looks, positions, |look, load| look.ewma.cost(load, look.at))
    }

    fn better_of_two(&self, looks: &Looks, positions: &[usize], score: fn(&Look, f64) -> f64) -> Option<Pick> {
        let weights = weights(looks, positions);
        let mean = weights.iter().sum::<f64>() / weights.len().max(1) as f64;
        let (a, b) = p2c::draw(&weights, self.0.random())?;
        let of = |drawn: usize| {
            let look = &looks[positions[drawn]];
            score(look, least_request::score(look.in_flight, look.weight, mean))
        };
        let (score_a, score_b) = (of(a), of(b));
        let (a, b) = (positions[a], positions[b]);
        let chosen = if p2c::first_is_better(score_a, score_b) { a } else { b };
        let scores = Scores::from_slice(&[(a, score_a), (b, score_b)]);
        Some(Pick { drawn: Some((a, b)), scores, ..Pick::of(chosen) })
    }
}

/// An address keeps its upstream while that is there: slow start would move it there and back.
fn highest(looks: &Looks, positions: &[usize], address: IpAddr) -> Option<Pick> {
    let key = match address {
        IpAddr::V4(address) => rendezvous::hash(&address.octets()),
        IpAddr::V6(address) => rendezvous::hash(&address.octets()),
    };
    let score = |position: &usize| {
        let look = &looks[*position];
        (*position, rendezvous::score(key, look.hash, f64::from(look.set_weight)))
    };
    let scores: Scores = positions.iter().map(score).collect();
    let (chosen, _) = *scores.iter().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    Some(Pick { scores, ..Pick::of(chosen) })
}

fn weights(looks: &Looks, positions: &[usize]) -> SmallVec<[f64; 8]> {
    positions.iter().map(|position| looks[*position].weight).collect()
}

/// Whether it is there to be used at all.
fn is_present(look: &Look) -> bool {
    !matches!(look.state, State::Stopped | State::Draining) && look.set_weight > 0
}

fn is_well(look: &Look) -> bool {
    look.state == State::Healthy || look.state == State::Probing && !look.trial_taken
}

/// Why one cannot be chosen, in plain words; None when it can.
pub fn bar(look: &Look, panic: bool) -> Option<&'static str> {
    match look.state {
        State::Stopped => Some("taken out"),
        State::Draining => Some("draining: no new requests"),
        _ if look.set_weight == 0 => Some("its weight is 0"),
        _ if !look.permitted => Some("its circuit breaker is open"),
        _ if look.full => Some("full"),
        _ if panic => None,
        State::Healthy => None,
        State::Probing if !look.trial_taken => None,
        State::Probing => Some("on trial, and another request is the trial"),
        State::Ejected => Some("ejected"),
        State::Starting | State::Unhealthy => Some("not healthy"),
    }
}

/// The healthy ones; in a panic, and when a retry has no healthy one left, all. A retry asks the healthy
/// ones first even in a panic: it has met a dead one already. An open breaker holds in a panic too.
pub fn eligible(looks: &[Look], tried: &[u64], rules: &BalancerSettings) -> Result<Eligible, Nobody> {
    let present = looks.iter().filter(|look| is_present(look)).count();
    let well = looks.iter().filter(|look| is_present(look) && matches!(look.state, State::Healthy | State::Probing));
    let panic = panic_mode::is_on(well.count(), present, rules.panic_threshold);
    let untried = |panic: bool| -> Positions {
        let fits = |look: &Look| bar(look, panic).is_none() && !tried.contains(&look.serial);
        looks.iter().enumerate().filter(|(_, look)| fits(look)).map(|(position, _)| position).collect()
    };
    if !panic || !tried.is_empty() {
        let positions = untried(false);
        if !positions.is_empty() {
            return Ok(Eligible { positions, panic: false });
        }
    }
    let all = panic || !tried.is_empty() && rules.panic_threshold > 0;
    let could = || looks.iter().filter(|look| is_present(look) && !tried.contains(&look.serial));
    let full = |look: &Look| look.permitted && look.full && (panic || is_well(look));
    if all && !could().any(|look| !panic && full(look)) {
        let positions = untried(true);
        if !positions.is_empty() {
            return Ok(Eligible { positions, panic: true });
        }
    }
    if could().any(full) {
        return Err(Nobody::Free);
    }
    if could().any(|look| !look.permitted) {
        return Err(Nobody::Permitted(could().filter_map(|look| look.open_for).min()));
    }
    Err(Nobody::Left)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::breaker;
    use crate::policy::ewma::PeakEwma;

    fn any_look() -> impl Strategy<Value = Look> {
        let states = [
            State::Starting,
            State::Healthy,
            State::Healthy,
            State::Unhealthy,
            State::Ejected,
            State::Probing,
            State::Draining,
            State::Stopped,
        ];
        let state = prop::sample::select(states.to_vec());
        (state, any::<[bool; 3]>(), 0_u32..4).prop_map(|(state, [trial_taken, permitted, full], set_weight)| Look {
            serial: 0,
            hash: 0,
            state,
            trial_taken,
            breaker: breaker::State::Closed,
            permitted,
            open_for: None,
            full,
            in_flight: 0,
            set_weight,
            weight: f64::from(set_weight),
            ewma: PeakEwma::new(Duration::ZERO),
            at: Duration::ZERO,
        })
    }

    fn looks() -> impl Strategy<Value = Vec<Look>> {
        let numbered = |looks: Vec<Look>| {
            let number = |(serial, look): (usize, Look)| Look { serial: serial as u64, ..look };
            looks.into_iter().enumerate().map(number).collect()
        };
        prop::collection::vec(any_look(), 0..8).prop_map(numbered)
    }

    proptest! {
        #[test]
        fn one_that_is_stopped_draining_full_open_or_tried_is_never_eligible_and_a_sick_one_only_in_a_panic(
            looks in looks(),
            tried in prop::collection::vec(0_u64..8, 0..3),
        ) {
            let rules = BalancerSettings::default();
            let present = looks.iter().filter(|look| is_present(look)).count();
            let well = |look: &&Look| is_present(look) && matches!(look.state, State::Healthy | State::Probing);
            let panic = looks.iter().filter(well).count() * 2 < present;
            let takes = |look: &&Look| {
                is_present(look) && is_well(look) && look.permitted && !look.full && !tried.contains(&look.serial)
            };
            match eligible(&looks, &tried, &rules) {
                Ok(eligible) => for position in &eligible.positions {
                    let look = &looks[*position];
                    prop_assert!(is_present(look) && look.permitted && !look.full && !tried.contains(&look.serial));
                    prop_assert!(is_well(look) || panic || !tried.is_empty());
                    prop_assert!(is_well(look) || looks.iter().filter(takes).count() == 0 || tried.is_empty());
                },
                Err(_) => prop_assert_eq!(looks.iter().filter(takes).count(), 0),
            }
        }
    }
}
