//! Which copies of a series are kept: the latest ones, and one of each day before.

use std::collections::BTreeSet;

use time::{Date, OffsetDateTime};

/// How many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The latest ones.
    pub latest: usize,
    /// Days (UTC) of which the last one is kept.
    pub days: usize,
}

impl Retention {
    /// A day of hourly copies and a week of daily ones.
    pub const HOURLY: Retention = Retention { latest: 24, days: 7 };

    /// Which of the copies made at `times` are kept, in the same order. A copy from after `now` was made by a
    /// clock that was ahead: it comes last, or it would stand in the way of all that are made until then.
    pub fn kept(self, times: &[OffsetDateTime], now: OffsetDateTime) -> Vec<bool> {
        let mut newest_first: Vec<usize> = (0..times.len()).collect();
        newest_first.sort_by_key(|&index| (times[index] > now, std::cmp::Reverse(times[index])));
        let mut kept = vec![false; times.len()];
        let mut days: BTreeSet<Date> = BTreeSet::new();
        for (rank, index) in newest_first.into_iter().enumerate() {
            let day = times[index].to_offset(time::UtcOffset::UTC).date();
            let last_of_its_day = !days.contains(&day) && days.len() < self.days;
            if last_of_its_day {
                days.insert(day);
            }
            kept[index] = rank < self.latest || last_of_its_day;
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::Duration;

    use super::*;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_750_000_000).expect("a time")
    }

    fn hours_ago(hours: impl Iterator<Item = i64>) -> Vec<OffsetDateTime> {
        hours.map(|hours| now() - Duration::hours(hours)).collect()
    }

    #[test]
    fn of_a_month_of_hours_a_day_of_hours_and_the_last_of_seven_days_are_kept() {
        let times = hours_ago(0..24 * 30);
        let kept = Retention::HOURLY.kept(&times, now());
        assert!(kept[..24].iter().all(|kept| *kept));
        let days: BTreeSet<Date> =
            times.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(time, _)| time.date()).collect();
        assert_eq!(days.len(), 7);
        // Two of the seven days lie within the latest 24 hours.
        assert_eq!(kept.iter().filter(|kept| **kept).count(), 24 + 5);
    }

    proptest! {
        #[test]
        fn copies_from_after_now_push_none_out_that_are_not(hours in prop::collection::vec(-2_000_i64..2_000, 1..200)) {
            let times = hours_ago(hours.iter().copied());
            let kept = Retention::HOURLY.kept(&times, now());
            let past: Vec<OffsetDateTime> = times.iter().copied().filter(|time| *time <= now()).collect();
            let kept_past: Vec<bool> =
                times.iter().zip(&kept).filter(|(time, _)| **time <= now()).map(|(_, kept)| *kept).collect();
            prop_assert_eq!(kept_past, Retention::HOURLY.kept(&past, now()));
        }

        #[test]
        fn the_latest_is_always_kept_and_their_number_is_bounded(hours in prop::collection::vec(0_i64..2_000, 1..200)) {
            let times = hours_ago(hours.iter().copied());
            let kept = Retention::HOURLY.kept(&times, now());
            let newest = times.iter().enumerate().max_by_key(|(_, time)| **time).map(|(index, _)| index);
            prop_assert!(newest.is_some_and(|index| times.iter().zip(&kept).any(|(time, kept)| *time == times[index] && *kept)));
            prop_assert!(kept.iter().filter(|kept| **kept).count() <= 31);
        }
    }
}
