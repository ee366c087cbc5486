//! When too few are healthy, all are used: sending everything to the few that are left would fell them too
//! (Envoy's panic threshold).

/// Whether fewer than `threshold` percent of those `present` are available. 0 turns the rule off.
pub const fn is_on(available: usize, present: usize, threshold: u64) -> bool {
    (available as u64) * 100 < threshold * (present as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_enough_and_less_is_not_and_zero_is_never() {
        assert!(!is_on(1, 2, 50) && is_on(1, 3, 50) && is_on(0, 1, 50));
        assert!(!is_on(0, 3, 0) && !is_on(0, 0, 50));
    }
}
