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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_draw_lies_below_its_bound(state: u64, bound in 1_usize..10_000) {
            prop_assert!(below(split_mix(state), bound) < bound);
        }
    }
}
