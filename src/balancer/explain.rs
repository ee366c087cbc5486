//! A choice, as a person is to see it. Computed only for a request that is recorded in full.

use super::choice::{Eligible, Looks, Pick, bar};
use super::faults;
use super::roster::Member;
use crate::observe::journey::Candidate;
use crate::settings::balancer::{BalancerPolicy, BalancerSettings};

#[derive(Debug)]
pub struct Shown {
    pub why: String,
    pub candidates: Vec<Candidate>,
}

/// All that a choice was made of.
struct Made<'a> {
    members: &'a [Member],
    looks: &'a Looks,
    eligible: &'a Eligible,
    pick: &'a Pick,
    tried: &'a [u64],
    policy: BalancerPolicy,
}

impl Shown {
    pub fn of(
        members: &[Member],
        looks: &Looks,
        eligible: &Eligible,
        pick: &Pick,
        tried: &[u64],
        rules: &BalancerSettings,
    ) -> Self {
        let made = Made { members, looks, eligible, pick, tried, policy: rules.policy };
        let candidates = (0..looks.len()).map(|position| made.candidate(position)).collect();
        Self { why: made.why(rules), candidates }
    }
}

impl Made<'_> {
    fn name(&self, position: usize) -> String {
        self.members.get(position).map_or_else(|| "?".to_owned(), |member| member.upstream.id())
    }

    fn why(&self, rules: &BalancerSettings) -> String {
        let chosen = self.name(self.pick.chosen);
        let mut why = match (self.policy, self.pick.drawn) {
            _ if self.pick.wrong => format!("{chosen}: {}", faults::WHY),
            (BalancerPolicy::StickyCookie, _) if self.pick.kept => format!("the client's cookie names {chosen}"),
            _ if self.eligible.positions.len() == 1 => format!("{chosen} is the only one that can be chosen"),
            (_, Some((a, b))) if a == b => format!("{chosen} was drawn twice, at random by weight"),
            (_, Some((a, b))) => {
                let other = self.name(if a == self.pick.chosen { b } else { a });
                format!("{chosen} and {other} were drawn at random; {chosen} has the lower score")
            }
            (BalancerPolicy::WeightedRoundRobin, None) => format!("{chosen} is owed the most turns by its weight"),
            (BalancerPolicy::Random, None) => format!("{chosen} was drawn at random, by weight"),
            (BalancerPolicy::IpHash, None) => format!("{chosen} ranks highest for the client's address"),
            _ => format!("it is the turn of {chosen}"),
        };
        if self.policy == BalancerPolicy::StickyCookie && !self.pick.kept {
            why.push_str("; the client had no cookie that names one of those");
        }
        if self.eligible.panic {
            let threshold = rules.panic_threshold;
            why.push_str(&format!("; fewer than {threshold} % are healthy, so all are used"));
        }
        if !self.tried.is_empty() {
            let name = |serial: &u64| {
                let position = self.looks.iter().position(|look| look.serial == *serial);
                position.map_or_else(|| "one that is gone".to_owned(), |position| self.name(position))
            };
            why.push_str("; tried before: ");
            why.push_str(&self.tried.iter().map(name).collect::<Vec<_>>().join(", "));
        }
        why
    }

    fn candidate(&self, position: usize) -> Candidate {
        let look = &self.looks[position];
        let drawn = self.pick.drawn.is_some_and(|(a, b)| a == position || b == position);
        let score = self.pick.scores.iter().find(|(scored, _)| *scored == position).map(|(_, score)| *score);
        let (target, addresses) = self.members.get(position).map_or((None, None), |member| {
            let (target, addresses) = member.upstream.place();
            (Some(target), addresses.first().copied())
        });
        Candidate {
            id: self.name(position),
            address: addresses
                .map(|address| address.to_string())
                .or_else(|| target.map(|target| target.authority()))
                .unwrap_or_default(),
            state: look.state.id().to_owned(),
            breaker: look.breaker.id().to_owned(),
            weight: look.weight,
            in_flight: look.in_flight,
            ewma_us: look.ewma.measured_us(),
            score: score.filter(|score| score.is_finite()),
            drawn,
            chosen: self.pick.chosen == position,
            why: self.why_of(position, drawn),
        }
    }

    fn why_of(&self, position: usize, drawn: bool) -> String {
        let look = &self.looks[position];
        if self.tried.contains(&look.serial) {
            return "tried before".to_owned();
        }
        if self.pick.wrong && self.pick.chosen == position {
            return "a fault wants the worst".to_owned();
        }
        if !self.eligible.positions.contains(&position) {
            return bar(look, self.eligible.panic).or_else(|| bar(look, false)).unwrap_or("not asked").to_owned();
        }
        let chosen = self.pick.chosen == position;
        let mut why = match (self.policy, chosen) {
            (BalancerPolicy::StickyCookie, true) if self.pick.kept => "the client's cookie names it",
            (BalancerPolicy::StickyCookie, false) if self.pick.kept => "the client's cookie names another",
            (BalancerPolicy::RoundRobin, true) => "its turn",
            (BalancerPolicy::RoundRobin, false) => "not its turn",
            (BalancerPolicy::WeightedRoundRobin, true) => "owed the most",
            (BalancerPolicy::WeightedRoundRobin, false) => "owed less",
            (BalancerPolicy::Random, true) => "drawn",
            (BalancerPolicy::Random, false) => "not drawn",
            (BalancerPolicy::IpHash, true) => "the highest rank for this address",
            (BalancerPolicy::IpHash, false) => "a lower rank for this address",
            (_, true) if drawn => "drawn, and the lower score",
            (_, false) if drawn => "drawn, and the higher score",
            _ => "not drawn",
        }
        .to_owned();
        if look.weight < f64::from(look.set_weight) {
            why.push_str("; it came back lately and starts slowly");
        }
        why
    }
}
