//! Each in turn: whoever comes after the last one.

/// The first of `candidates` (ascending positions) after `last`; the first of all when there is none.
///
/// Positions are those of the whole list, so that turns are kept when candidates come and go: a plain
/// counter modulo the number of candidates would jump.
pub fn next(last: Option<usize>, candidates: &[usize]) -> Option<usize> {
    let after = last.and_then(|last| candidates.iter().copied().find(|candidate| *candidate > last));
    after.or_else(|| candidates.first().copied())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn everyone_gets_the_same_number_of_turns(count in 1_usize..20, rounds in 1_usize..10, first: Option<u8>) {
            let candidates: Vec<usize> = (0..count).collect();
            let mut turns = vec![0; count];
            let mut last = first.map(usize::from);
            for _ in 0..count * rounds {
                last = next(last, &candidates);
                turns[last.unwrap_or_default()] += 1;
            }
            prop_assert!(turns.iter().all(|turns| *turns == rounds));
        }

        #[test]
        fn only_a_candidate_is_chosen(candidates in prop::collection::btree_set(0_usize..50, 0..20), last: Option<u8>) {
            let candidates: Vec<usize> = candidates.into_iter().collect();
            match next(last.map(usize::from), &candidates) {
                Some(chosen) => prop_assert!(candidates.contains(&chosen)),
                None => prop_assert!(candidates.is_empty()),
            }
        }
    }
}
