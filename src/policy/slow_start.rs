//! Slow start: one that came back gets its share little by little, while its caches and pools are cold.

use std::time::Duration;

/// The least share of its weight.
const LEAST: f64 = 0.1;

/// The part of its weight that one has `since` it came back: `max(10 %, max(t, 1 s) / window)` (Envoy's
/// formula at aggression 1). A window of 0 turns the rule off.
pub fn share(since: Duration, window: Duration) -> f64 {
    if since >= window {
        return 1.0;
    }
    (since.as_secs_f64().max(1.0) / window.as_secs_f64()).clamp(LEAST, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_share_grows_from_a_tenth_to_the_whole(since_ms in 0_u64..40_000, window_s in 0_u64..30) {
            let (since, window) = (Duration::from_millis(since_ms), Duration::from_secs(window_s));
            let now = share(since, window);
            prop_assert!((LEAST..=1.0).contains(&now) && now <= share(since + Duration::from_secs(1), window));
            prop_assert!(since < window || now == 1.0);
        }
    }

    #[test]
    fn half_the_window_is_half_the_weight() {
        assert_eq!(share(Duration::from_secs(5), Duration::from_secs(10)), 0.5);
        assert_eq!(share(Duration::ZERO, Duration::from_secs(60)), LEAST);
    }
}
