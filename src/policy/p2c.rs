//! The power of two choices (Mitzenmacher 2001): draw two at random, take the better. Nearly as good as
//! comparing all, without everybody running to the same one.

use super::random;

/// Two distinct positions below `count`, each pair as likely as any other (Finagle's way of drawing).
/// The same one twice when there is only one; None when there is none.
pub fn draw(count: usize, random: u64) -> Option<(usize, usize)> {
    match count {
        0 => None,
        1 => Some((0, 0)),
        _ => {
            let a = random::below(random, count);
            let b = random::below(random::split_mix(random), count - 1);
            Some((a, if b >= a { b + 1 } else { b }))
        }
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
        fn two_distinct_ones_are_drawn(count in 2_usize..100, random: u64) {
            let drawn = draw(count, random);
            prop_assert!(drawn.is_some_and(|(a, b)| a != b && a < count && b < count), "{drawn:?}");
        }
    }

    #[test]
    fn each_is_drawn_about_as_often_as_any_other() {
        let mut drawn = [0_u32; 5];
        for state in 0..10_000_u64 {
            let Some((a, b)) = draw(5, random::split_mix(state)) else { continue };
            drawn[a] += 1;
            drawn[b] += 1;
        }
        assert!(drawn.iter().all(|count| (3_700..4_300).contains(count)), "{drawn:?}");
        assert_eq!((draw(0, 7), draw(1, 7)), (None, Some((0, 0))));
    }
}
