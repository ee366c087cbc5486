//! The requests of two versions, counted over the same time.

use std::collections::HashMap;

use crate::balancer::Balancer;
use crate::policy::canary::{self, Rules, Verdict};
use crate::policy::tally::Tally;

#[derive(Debug)]
pub struct Comparison {
    balancer: Balancer,
    /// What those of the old version had counted when it began.
    before: HashMap<String, Tally>,
    /// What those of them that are replaced had counted since.
    replaced: Tally,
    new: Vec<String>,
}

impl Comparison {
    /// From now on, with those of `old` on the one side.
    pub fn begin(balancer: &Balancer, old: &[String]) -> Self {
        let before = old.iter().filter_map(|id| Some((id.clone(), balancer.tally(id)?))).collect();
        Self { balancer: balancer.clone(), before, replaced: Tally::default(), new: Vec::new() }
    }

    /// This one of the old version is about to go.
    pub fn leaves(&mut self, id: &str) {
        if let (Some(before), Some(now)) = (self.before.remove(id), self.balancer.tally(id)) {
            self.replaced.add(&now.since(&before));
        }
    }

    /// This one is of the new version.
    pub fn joins(&mut self, id: &str) {
        self.new.push(id.to_owned());
    }

    pub fn verdict(&self, rules: &Rules) -> Verdict {
        let mut old = self.replaced.clone();
        for (id, before) in &self.before {
            if let Some(now) = self.balancer.tally(id) {
                old.add(&now.since(before));
            }
        }
        let mut new = Tally::default();
        self.new.iter().filter_map(|id| self.balancer.tally(id)).for_each(|tally| new.add(&tally));
        canary::judge(&new, &old, rules)
    }
}
