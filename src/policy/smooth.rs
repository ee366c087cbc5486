//! Smooth weighted round robin (nginx): weights 5, 1, 1 give `aabacaa` and not `aaaaabc`.

/// What one's turns depend on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Smooth {
    /// How much it is owed.
    current: f64,
    /// How much of its weight failures have taken away.
    lost: f64,
}

impl Smooth {
    /// What this pick compared.
    pub const fn owed(&self) -> f64 {
        self.current
    }

    /// A request to it failed: it loses a part of its weight, and gets it back pick by pick. Without a
    /// greatest number of failures (0) they cost nothing (nginx, `max_fails=0`).
    pub fn failed(&mut self, weight: f64, failures_max: u64) {
        if failures_max > 0 {
            self.lost = (self.lost + weight / failures_max as f64).min(weight);
        }
    }

    fn earn(&mut self, weight: f64) -> f64 {
        let effective = (weight - self.lost).max(0.0);
        self.lost = (self.lost - 1.0).max(0.0);
        self.current += effective;
        effective
    }
}

/// Whose turn it is: each earns its weight, the one owed most is taken and pays what all have earned.
pub fn pick(turns: &mut [(&mut Smooth, f64)]) -> Option<usize> {
    let earned: f64 = turns.iter_mut().map(|(smooth, weight)| smooth.earn(*weight)).sum();
    let mut best: Option<usize> = None;
    for (position, (smooth, _)) in turns.iter().enumerate() {
        // The first of equals, as nginx has it.
        if best.is_none_or(|best| smooth.current > turns[best].0.current) {
            best = Some(position);
        }
    }
    if let Some((smooth, _)) = best.and_then(|best| turns.get_mut(best)) {
        smooth.current -= earned;
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picks(all: &mut [Smooth], weights: &[f64], count: usize) -> Vec<usize> {
        let mut picked = Vec::new();
        for _ in 0..count {
            let mut turns: Vec<_> = all.iter_mut().zip(weights.iter().copied()).collect();
            picked.extend(pick(&mut turns));
        }
        picked
    }

    #[test]
    fn the_heavy_one_s_turns_are_spread() {
        let mut all = [Smooth::default(); 3];
        assert_eq!(picks(&mut all, &[5.0, 1.0, 1.0], 7), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn a_failure_costs_turns_that_come_back() {
        let mut all = [Smooth::default(); 2];
        (0..5).for_each(|_| all[0].failed(4.0, 5));
        let picked = picks(&mut all, &[4.0, 4.0], 100);
        let early = picked[..6].iter().filter(|position| **position == 0).count();
        let late = picked[50..].iter().filter(|position| **position == 0).count();
        assert!(early < 3 && late == 25, "{picked:?}");
    }

    #[test]
    fn failures_that_are_not_counted_cost_no_turns() {
        let mut failed = Smooth::default();
        failed.failed(4.0, 0);
        assert_eq!(failed, Smooth::default());
    }

    proptest! {
        #[test]
        fn a_round_gives_each_exactly_its_weight(weights in prop::collection::vec(1_u8..8, 1..8), rounds in 1_usize..4) {
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let round = weights.iter().sum::<f64>() as usize;
            let mut all = vec![Smooth::default(); weights.len()];
            let picked = picks(&mut all, &weights, round * rounds);
            for (position, weight) in weights.iter().enumerate() {
                let turns = picked.iter().filter(|other| **other == position).count();
                prop_assert_eq!(turns, *weight as usize * rounds);
            }
        }
    }
}
