//! Random numbers that a seed repeats: rules take the number, callers draw it.

/// The step between two states (Steele, Lea, Flood 2014: SplitMix64).
pub const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number drawn at `state`; the next draw is made at `state + STEP`.
pub const fn split_mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below `bound` (0 for 0), from the upper half of `random` (Lemire 2019, without the rejection:
/// the bias is `bound / 2^32`).
pub const fn below(random: u64, bound: usize) -> usize {
    (((random >> 32) * bound as u64) >> 32) as usize
}

/// A number in `(0, 1)`: 52 bits, and never an end of the interval.
pub fn unit(random: u64) -> f64 {
    ((random >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

/// A position of `weights`, each as likely as its share of their sum; None when all are 0.
pub fn weighted(weights: &[f64], random: u64) -> Option<usize> {
    let mut point = unit(random) * weights.iter().sum::<f64>();
    let mut last = None;
    for (position, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        last = Some(position);
        if point < *weight {
            break;
        }
        point -= weight;
    }
    last
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_draw_lies_below_its_bound(state: u64, bound in 1_usize..10_000) {
            prop_assert!(below(split_mix(state), bound) < bound);
            prop_assert!(unit(state) > 0.0 && unit(state) < 1.0);
        }

        #[test]
        fn one_without_weight_is_never_drawn(weights in prop::collection::vec(0_u8..4, 0..10), state: u64) {
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            match weighted(&weights, split_mix(state)) {
                Some(position) => prop_assert!(weights[position] > 0.0),
                None => prop_assert!(weights.iter().all(|weight| *weight == 0.0)),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn each_is_drawn_by_its_share(weights in prop::collection::vec(1_u8..6, 1..6), seed: u64) {
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let mut drawn = vec![0_u32; weights.len()];
            for step in 0..20_000_u64 {
                let random = split_mix(seed.wrapping_add(step.wrapping_mul(STEP)));
                drawn[weighted(&weights, random).unwrap_or_default()] += 1;
            }
            let sum: f64 = weights.iter().sum();
            for (weight, drawn) in weights.iter().zip(drawn) {
                prop_assert!((f64::from(drawn) / 20_000.0 - weight / sum).abs() < 0.03);
            }
        }
    }
}
