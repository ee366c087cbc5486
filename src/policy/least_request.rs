//! Least request: how loaded one is for its weight.

/// The lower, the better: one more than the requests under way for each unit of `weight`. `mean` is the mean
/// weight of those compared.
///
/// Envoy compares `weight / (active + 1)`. That sends each request of an idle time to the heaviest; here the
/// weights of the draw ([`super::p2c::draw`]) decide while nobody is busy, and the load once they are.
pub fn score(in_flight: u64, weight: f64, mean: f64) -> f64 {
    if weight <= 0.0 {
        return f64::INFINITY;
    }
    in_flight as f64 * mean / weight + 1.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{p2c, random};
    use super::*;

    #[test]
    fn under_load_what_is_under_way_comes_to_stand_as_the_weights() {
        let weights = [1.0, 3.0];
        let mut in_flight = [0_u64; 2];
        // Requests come and none ends.
        for state in 0..4_000_u64 {
            let (a, b) = p2c::draw(&weights, random::split_mix(state)).expect("two are there");
            let of = |position: usize| score(in_flight[position], weights[position], 2.0);
            let chosen = if p2c::first_is_better(of(a), of(b)) { a } else { b };
            in_flight[chosen] += 1;
        }
        assert!((950..1_050).contains(&in_flight[0]), "{in_flight:?}");
    }

    proptest! {
        #[test]
        fn more_under_way_or_less_weight_is_never_better(a in 0_u64..1_000, b in 0_u64..1_000, weight in 1_u8..100) {
            let weight = f64::from(weight);
            prop_assert_eq!(a <= b, score(a, weight, 1.0) <= score(b, weight, 1.0));
            prop_assert!(score(a, weight, 1.0) >= score(a, weight + 1.0, 1.0));
        }
    }
}
