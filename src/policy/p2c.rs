//! The power of two choices (Mitzenmacher 2001): draw two at random, take the better. Nearly as good as
//! comparing all, without everybody running to the same one.

use super::random;

/// Two positions of `weights` to be compared; None when there is none.
///
/// Equal weights: two distinct ones, each pair as likely as any other (Finagle's way of drawing). Unequal
/// weights: two draws by weight that may hit the same one. Two distinct ones of two would always be both,
/// and the lighter one would then win as often as the heavier; this way, equal scores give each its share.
pub fn draw(weights: &[f64], random: u64) -> Option<(usize, usize)> {
    let (count, again) = (weights.len(), random::split_mix(random));
    match weights {
        [] => None,
        [_] => Some((0, 0)),
        [first, others @ ..] if others.iter().all(|weight| weight == first) => {
            let a = random::below(random, count);
            let b = random::below(again, count - 1);
            Some((a, if b >= a { b + 1 } else { b }))
        }
        _ => Some((random::weighted(weights, random)?, random::weighted(weights, again)?)),
    }
}

/// Whether the first of two drawn is taken: the lower score, the first where they are equal.
pub fn first_is_better(first: f64, second: f64) -> bool {
    first <= second
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn of_equal_weights_two_distinct_ones_are_drawn(count in 2_usize..100, random: u64) {
            let drawn = draw(&vec![1.0; count], random);
            prop_assert!(drawn.is_some_and(|(a, b)| a != b && a < count && b < count), "{drawn:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn with_equal_scores_each_is_chosen_by_its_weight(weights in prop::collection::vec(1_u8..6, 2..6), seed: u64) {
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let mut chosen = vec![0_u32; weights.len()];
            for step in 0..20_000_u64 {
                let random = random::split_mix(seed.wrapping_add(step.wrapping_mul(random::STEP)));
                let (first, _) = draw(&weights, random).expect("somebody is there");
                chosen[first] += 1;
            }
            let sum: f64 = weights.iter().sum();
            for (weight, chosen) in weights.iter().zip(chosen) {
                prop_assert!((f64::from(chosen) / 20_000.0 - weight / sum).abs() < 0.03);
            }
        }
    }

    #[test]
    fn each_is_drawn_about_as_often_as_any_other() {
        let mut drawn = [0_u32; 5];
        for state in 0..10_000_u64 {
            let Some((a, b)) = draw(&[1.0; 5], random::split_mix(state)) else { continue };
            drawn[a] += 1;
            drawn[b] += 1;
        }
        assert!(drawn.iter().all(|count| (3_700..4_300).contains(count)), "{drawn:?}");
        assert_eq!((draw(&[], 7), draw(&[2.0], 7)), (None, Some((0, 0))));
    }
}
