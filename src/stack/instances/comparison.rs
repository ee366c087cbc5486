//! The requests of two versions, counted over the same time.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::balancer::Balancer;
use crate::policy::canary::{self, Rules, Verdict};
use crate::policy::tally::Tally;

/// The first requests find caches empty and connections unmade: how long these took says nothing of the version.
const WARM_UP: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Comparison {
    balancer: Balancer,
    /// What those of the old version had counted when it began.
    before: HashMap<String, Tally>,
    /// What those of them that are replaced had counted since.
    replaced: Tally,
    new: Vec<New>,
}

/// One of the new version.
#[derive(Debug)]
struct New {
    id: String,
    joined: Instant,
    /// What it had counted when it was warm.
    cold: Option<Tally>,
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
        self.new.push(New { id: id.to_owned(), joined: Instant::now(), cold: None });
    }

    /// Whether neither side was asked anything.
    pub fn is_quiet(&self) -> bool {
        let new = self.new.iter().filter_map(|new| self.balancer.tally(&new.id)).map(|tally| tally.all()).sum::<u64>();
        new + self.old().all() == 0
    }

    fn old(&self) -> Tally {
        let mut old = self.replaced.clone();
        for (id, before) in &self.before {
            if let Some(now) = self.balancer.tally(id) {
                old.add(&now.since(before));
            }
        }
        old
    }

    pub fn verdict(&mut self, rules: &Rules) -> Verdict {
        let old = self.old();
        let (mut new, mut warm) = (Tally::default(), Tally::default());
        for New { id, joined, cold } in &mut self.new {
            let Some(tally) = self.balancer.tally(id) else { continue };
            new.add(&tally);
            if joined.elapsed() >= WARM_UP {
                warm.add(&tally.since(cold.get_or_insert_with(|| tally.clone())));
            }
        }
        canary::judge(&new, &warm, &old, rules)
    }
}
