//! Rendezvous hashing (Thaler, Ravishankar 1998): each key ranks all nodes and takes the first. When a node
//! leaves, only its own keys move; when it comes back, they come back.

use super::random;

/// A well-mixed number for some bytes (FNV-1a, then SplitMix64's finaliser). Not against an adversary: a key
/// that is chosen badly harms its owner.
pub fn hash(bytes: &[u8]) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    random::split_mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, fnv))
}

/// How high `key` ranks `node`; the highest takes it. `-w / ln(h)` gives each node its share by weight, and a
/// changed weight moves no key between two others (Schindelhauer, Schomaker 2005).
pub fn score(key: u64, node: u64, weight: f64) -> f64 {
    -weight / random::unit(random::split_mix(key ^ node.rotate_left(32))).ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(key: u64, nodes: &[(u64, f64)]) -> u64 {
        let best = nodes.iter().max_by(|a, b| score(key, a.0, a.1).total_cmp(&score(key, b.0, b.1)));
        best.expect("a node").0
    }

    fn nodes(weights: &[u8]) -> Vec<(u64, f64)> {
        let node = |(index, weight): (usize, &u8)| (hash(format!("i{index}").as_bytes()), f64::from(*weight));
        weights.iter().enumerate().map(node).collect()
    }

    proptest! {
        #[test]
        fn only_the_keys_of_one_that_leaves_move(
            weights in prop::collection::vec(1_u8..6, 2..8),
            gone in 0_usize..8,
            keys in prop::collection::vec(any::<u64>(), 100),
        ) {
            let all = nodes(&weights);
            let gone = gone % all.len();
            let left: Vec<_> = all.iter().copied().filter(|node| *node != all[gone]).collect();
            for key in keys {
                let before = place(key, &all);
                prop_assert!(before == all[gone].0 || place(key, &left) == before);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn each_node_has_its_share_of_the_addresses(weights in prop::collection::vec(1_u8..6, 1..6), base: u16) {
            let all = nodes(&weights);
            let mut taken = vec![0_u32; all.len()];
            for host in 0..20_000_u32 {
                let address = (u32::from(base) << 16 | host).to_be_bytes();
                let node = place(hash(&address), &all);
                taken[all.iter().position(|(id, _)| *id == node).expect("one of them")] += 1;
            }
            let sum: u32 = weights.iter().copied().map(u32::from).sum();
            for (weight, taken) in weights.iter().zip(taken) {
                let share = f64::from(*weight) / f64::from(sum);
                prop_assert!((f64::from(taken) / 20_000.0 - share).abs() < 0.03, "{taken} of {share}");
            }
        }
    }
}
