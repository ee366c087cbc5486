//! Whose turn it is. Kept by serial, so that turns survive a change of the list.

use smallvec::SmallVec;

use super::known::Look;
use crate::policy::smooth::{self, Smooth};

#[derive(Debug, Default)]
pub struct Turns {
    /// Who was last, and where it stood then.
    last: Option<(u64, usize)>,
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

    /// The one that is owed most, by weight; and what each was owed.
    pub fn next_by_weight(&mut self, looks: &[Look], eligible: &[usize]) -> Option<(usize, Scores)> {
        self.smooth.retain(|owed| looks.iter().any(|look| look.serial == owed.serial));
        for look in looks {
            match self.smooth.iter_mut().find(|owed| owed.serial == look.serial) {
                Some(owed) => owed.weight = look.weight,
                None => {
                    let (serial, weight) = (look.serial, look.weight);
                    self.smooth.push(Owed { serial, weight, smooth: Smooth::default() });
                }
            }
        }
        let position = |owed: &Owed| looks.iter().position(|look| look.serial == owed.serial);
        let mut positions = SmallVec::<[usize; 8]>::new();
        let mut turns = SmallVec::<[(&mut Smooth, f64); 8]>::new();
        self.smooth.sort_by_key(|owed| position(owed));
        for owed in &mut self.smooth {
            if let Some(position) = position(owed).filter(|position| eligible.contains(position)) {
                positions.push(position);
                turns.push((&mut owed.smooth, owed.weight));
            }
        }
        let before: Scores =
            positions.iter().zip(&turns).map(|(at, (smooth, weight))| (*at, smooth.owed() + weight)).collect();
        let chosen = smooth::pick(&mut turns)?;
        Some((*positions.get(chosen)?, before))
    }

    /// A request to one failed: in turns by weight, it gets fewer for a while.
    pub fn failed(&mut self, serial: u64, failures_max: u64) {
        if let Some(owed) = self.smooth.iter_mut().find(|owed| owed.serial == serial) {
            owed.smooth.failed(owed.weight, failures_max);
        }
    }
}
