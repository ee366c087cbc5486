//! Whose turn it is. Kept by serial, so that turns survive a change of the list.

use smallvec::SmallVec;

use super::known::Look;
use crate::policy::smooth::{self, Smooth};

#[derive(Debug, Default)]
pub struct Turns {
    /// Who was last, and where it stood then.
    last: Option<(u64, usize)>,
    /// In the order of the list.
    smooth: Vec<Owed>,
}

#[derive(Debug)]
struct Owed {
    serial: u64,
    weight: f64,
    smooth: Smooth,
}

/// Positions with what each was compared by.
pub type Scores = SmallVec<[(usize, f64); 8]>;

impl Turns {
    /// The first of `eligible` (ascending positions of `looks`) after the one that was last.
    pub fn next(&mut self, looks: &[Look], eligible: &[usize]) -> Option<usize> {
        let stands = |serial: u64| looks.iter().position(|look| look.serial == serial);
        // Where the last one is gone, whoever stands in its place is next.
        let last = self.last.and_then(|(serial, stood)| stands(serial).or_else(|| stood.checked_sub(1)));
        let chosen = crate::policy::round_robin::next(last, eligible)?;
        self.last = Some((looks.get(chosen)?.serial, chosen));
        Some(chosen)
    }

    /// The one of `eligible` (ascending positions of `looks`) that is owed most, by weight; and what each was
    /// owed.
    pub fn next_by_weight(&mut self, looks: &[Look], eligible: &[usize]) -> Option<(usize, Scores)> {
        self.follow(looks);
        let mut turns = SmallVec::<[(&mut Smooth, f64); 8]>::new();
        let mut ascending = eligible.iter().copied().peekable();
        for (position, owed) in self.smooth.iter_mut().enumerate() {
            owed.weight = looks.get(position)?.weight;
            if ascending.next_if_eq(&position).is_some() {
                turns.push((&mut owed.smooth, owed.weight));
            }
        }
        let owed = turns.iter().map(|(smooth, weight)| smooth.owed() + weight);
        let before: Scores = eligible.iter().copied().zip(owed).collect();
        let chosen = smooth::pick(&mut turns)?;
        Some((*eligible.get(chosen)?, before))
    }

    /// Brings what is owed into the order of `looks`, if the list has changed. Those that stay keep theirs.
    fn follow(&mut self, looks: &[Look]) {
        if self.smooth.iter().map(|owed| owed.serial).eq(looks.iter().map(|look| look.serial)) {
            return;
        }
        let before = std::mem::take(&mut self.smooth);
        let owed = |look: &Look| {
            let known = before.iter().find(|owed| owed.serial == look.serial);
            let smooth = known.map_or_else(Smooth::default, |owed| owed.smooth);
            Owed { serial: look.serial, weight: look.weight, smooth }
        };
        self.smooth = looks.iter().map(owed).collect();
    }

    /// A request to one failed: in turns by weight, it gets fewer for a while.
    pub fn failed(&mut self, serial: u64, failures_max: u64) {
        if let Some(owed) = self.smooth.iter_mut().find(|owed| owed.serial == serial) {
            owed.smooth.failed(owed.weight, failures_max);
        }
    }
}
