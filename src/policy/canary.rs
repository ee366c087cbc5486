//! Whether a new version is worse than the one that it is to replace: the shares of failed and of slow requests at
//! both are compared, and only a difference that chance does not explain counts (the test of two proportions).

use std::time::Duration;

use super::tally::Tally;

/// A difference of so many standard errors is no chance, though it is looked for every second.
const STANDARD_ERRORS: f64 = 4.0;
/// One request more or less decides nothing: the normal approximation says little about few.
const EXCESS_MIN: f64 = 3.0;
/// A smaller difference is none that matters.
const DIFFERENCE_MIN: f64 = 0.01;
/// So much longer than the others' p99 nobody calls slow, whatever the factor says.
const SLOWER_MIN: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// With fewer requests than this at the new version nothing is concluded.
    pub minimum: u64,
    /// A request is slow when it takes longer than this share of the others' p99, in per cent.
    pub slow: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Too few requests to tell.
    Open(String),
    Good(String),
    Worse(String),
}

/// Compares the `new` version with the `old` one, both of the same time if that can be had. How long requests took
/// is compared for those of the new one that found it `warm`.
pub fn judge(new: &Tally, warm: &Tally, old: &Tally, rules: &Rules) -> Verdict {
    if new.all() < rules.minimum.max(1) {
        return Verdict::Open(format!("{} of {} requests", new.all(), rules.minimum));
    }
    let failures =
        format!("{} of {} requests failed, {} at the others", new.failed, new.all(), of(old.failed, old.all()));
    if is_more((new.failed, new.all()), (old.failed, old.all())) {
        return Verdict::Worse(failures);
    }
    let (Some(p99), Some(others)) = (warm.quantile(0.99), old.quantile(0.99)) else { return Verdict::Good(failures) };
    let latency = format!("p99 {} ms, {} ms at the others", millis(p99), millis(others));
    let factor = u32::try_from(rules.slow.max(100)).unwrap_or(u32::MAX);
    let limit = (others.saturating_mul(factor) / 100).max(others + SLOWER_MIN);
    let slow = |tally: &Tally| (tally.longer_than(limit), tally.good);
    if warm.good.min(old.good) >= rules.minimum && is_more(slow(warm), slow(old)) {
        return Verdict::Worse(latency);
    }
    Verdict::Good(format!("{failures}; {latency}"))
}

/// Whether the first share is greater than the second by more than chance.
fn is_more((some, of): (u64, u64), (others, of_others): (u64, u64)) -> bool {
    let (n, m) = (of.max(1) as f64, of_others as f64);
    let (share, other) = (some as f64 / n, if of_others == 0 { 0.0 } else { others as f64 / m });
    let pooled = (some + others) as f64 / (n + m);
    let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m.max(n))).sqrt();
    (share - other) * n >= EXCESS_MIN && share - other >= DIFFERENCE_MIN && share - other >= STANDARD_ERRORS * error
}

fn of(some: u64, all: u64) -> String {
    format!("{some} of {all}")
}

fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.1}") } else { format!("{millis:.0}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::random;

    const RULES: Rules = Rules { minimum: 20, slow: 200 };

    /// So many requests that took so long, and failures.
    fn tally(good: u64, millis: u64, failed: u64) -> Tally {
        let mut tally = Tally::default();
        (0..good).for_each(|_| tally.count(false, Duration::from_millis(millis)));
        (0..failed).for_each(|_| tally.count(true, Duration::ZERO));
        tally
    }

    fn is_worse(new: &Tally, old: &Tally) -> bool {
        matches!(judge(new, new, old, &RULES), Verdict::Worse(_))
    }

    #[test]
    fn one_that_fails_is_worse_and_the_reason_says_how_often() {
        let new = tally(30, 2, 10);
        let verdict = judge(&new, &new, &tally(200, 2, 1), &RULES);
        assert_eq!(verdict, Verdict::Worse("10 of 40 requests failed, 1 of 201 at the others".to_owned()));
    }

    #[test]
    fn one_in_twenty_is_found_out_after_some_hundred_requests() {
        assert!(!is_worse(&tally(19, 2, 1), &tally(40, 2, 0)), "one failure of twenty may be chance");
        assert!(is_worse(&tally(380, 2, 20), &tally(800, 2, 0)));
    }

    #[test]
    fn one_that_is_slower_is_worse_and_the_reason_says_by_how_much() {
        let new = tally(40, 212, 0);
        let Verdict::Worse(why) = judge(&new, &new, &tally(200, 3, 0), &RULES) else { panic!("it is slower") };
        assert!(why.starts_with("p99 2") && why.ends_with("ms at the others"), "{why}");
        assert!(!is_worse(&tally(40, 9, 0), &tally(200, 3, 0)), "some milliseconds are not called slow");
    }

    #[test]
    fn failures_that_both_have_are_no_fault_of_the_new_one() {
        assert!(!is_worse(&tally(30, 2, 10), &tally(150, 2, 50)));
    }

    #[test]
    fn with_nobody_to_compare_with_its_failures_alone_count() {
        assert!(is_worse(&tally(0, 0, 20), &Tally::default()));
        assert!(!is_worse(&tally(20, 900, 0), &Tally::default()));
    }

    #[test]
    fn one_or_two_requests_condemn_nobody_however_many_the_others_had() {
        let old = tally(2_000, 2, 0);
        assert!(!is_worse(&tally(20, 2, 2), &old), "two failures");
        let mut new = tally(40, 2, 0);
        new.count(false, Duration::from_secs(1));
        assert!(!is_worse(&new, &old), "one slow one");
    }

    #[test]
    fn what_was_slow_before_it_was_warm_does_not_count() {
        let (new, old) = (tally(40, 212, 0), tally(2_000, 3, 0));
        assert!(!matches!(judge(&new, &Tally::default(), &old, &RULES), Verdict::Worse(_)));
        assert!(!matches!(judge(&new, &tally(40, 3, 0), &old, &RULES), Verdict::Worse(_)));
    }

    /// A release of a version that is as good as the one before, watched for 20 s with 20 requests a second.
    fn is_condemned(seed: u64, share: f64) -> bool {
        let mut state = seed;
        let mut draw = || {
            state = state.wrapping_add(random::STEP);
            (random::split_mix(state) >> 11) as f64 / (1_u64 << 53) as f64
        };
        let (mut new, mut old) = (Tally::default(), Tally::default());
        (0..2_000).for_each(|_| old.count(draw() < share, Duration::from_millis(2)));
        (0..20).any(|_| {
            (0..20).for_each(|_| new.count(draw() < share, Duration::from_millis(2)));
            is_worse(&new, &old)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn of_two_hundred_sound_releases_at_most_six_are_called_back(seed: u64, share in 0.0_f64..0.2) {
            let condemned = (0..200).filter(|run| is_condemned(random::split_mix(seed ^ run), share)).count();
            prop_assert!(condemned <= 6, "{condemned} of 200 at a share of {share}");
        }
    }

    proptest! {
        #[test]
        fn with_too_few_requests_nothing_is_concluded(good in 0_u64..19, millis in 0_u64..1_000, old in 0_u64..100) {
            let new = tally(good, millis, 19 - good);
            let verdict = judge(&new, &new, &tally(old, 1, 0), &RULES);
            prop_assert_eq!(verdict, Verdict::Open("19 of 20 requests".to_owned()));
        }

        #[test]
        fn the_same_as_the_others_is_never_worse(good in 0_u64..300, failed in 0_u64..300, millis in 0_u64..1_000) {
            let same = tally(good, millis, failed);
            prop_assert!(!is_worse(&same, &same));
        }

        #[test]
        fn more_failures_never_acquit(good in 0_u64..200, failed in 0_u64..100, more in 0_u64..100) {
            let old = tally(300, 2, 3);
            prop_assert!(!is_worse(&tally(good, 2, failed), &old) || is_worse(&tally(good, 2, failed + more), &old));
        }
    }
}
