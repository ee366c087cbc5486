//! How many instances there should be: as many as keep each at its target, as Kubernetes' horizontal autoscaler
//! reckons, which also gave the windows: more only when more were needed all the while, fewer only when fewer were.

use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Never fewer, never more.
    pub min: u64,
    pub max: u64,
    /// So many requests under way fill an instance.
    pub concurrency: u64,
    /// How full each is to be, in per cent.
    pub target: u64,
    /// With more requests than these in the balancer's queue another instance is needed, however busy they are.
    pub queue: u64,
    /// How long more must be needed before one is added.
    pub up_after: Duration,
    /// How long fewer must be enough before one is removed.
    pub down_after: Duration,
    /// Nothing is changed for so long after a change.
    pub cool_down: Duration,
}

/// What is there at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// All that count: not those that are being emptied, but those that are dead for now.
    pub instances: u64,
    /// Those of them that are not dead.
    pub alive: u64,
    /// Requests under way at them all, on average since the last look.
    pub in_flight: f64,
    /// Requests in the balancer's queue, likewise.
    pub waiting: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Nothing,
    /// It would, but not yet.
    Wait,
    Add(u64),
    Remove(u64),
}

/// What is to be done, and why, in plain words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub change: Change,
    pub why: String,
}

/// What earlier looks found.
#[derive(Debug, Clone, Default)]
pub struct Autoscale {
    /// How many were needed at each look of the longer window, the oldest first; none of before the last change.
    needed: VecDeque<(Duration, u64)>,
    changed_at: Option<Duration>,
    /// How many there were to be after the last look; others mean that somebody else changed them.
    left: Option<u64>,
}

/// Looks that are remembered, whatever the windows.
const LOOKS_MAX: usize = 4_096;

impl Autoscale {
    /// How long nothing will be changed yet.
    pub fn cooling(&self, rules: &Rules, now: Duration) -> Duration {
        self.changed_at.map_or(Duration::ZERO, |at| (at + rules.cool_down).saturating_sub(now))
    }

    /// Something else changes what is there: what was seen until now says nothing any more.
    pub fn forget(&mut self) {
        self.needed.clear();
    }

    /// Looks at what is there, and decides. What somebody else changed is left alone as long as its own changes.
    pub fn look(&mut self, seen: Seen, rules: &Rules, now: Duration) -> Decision {
        // Two bounds that contradict each other: the upper one is what it costs.
        let rules = &Rules { min: rules.min.min(rules.max), ..*rules };
        if self.left.is_some_and(|left| left != seen.instances) {
            self.forget();
            self.changed_at = Some(now);
        }
        let wanted = needed(seen, rules);
        self.remember(now, wanted, rules);
        let decision = self.decide(seen, wanted, rules, now);
        let left = match decision.change {
            Change::Nothing | Change::Wait => seen.instances,
            Change::Add(count) => seen.instances + count,
            Change::Remove(count) => seen.instances - count,
        };
        if left != seen.instances {
            self.forget();
            self.changed_at = Some(now);
        }
        self.left = Some(left);
        decision
    }

    fn decide(&self, seen: Seen, wanted: u64, rules: &Rules, now: Duration) -> Decision {
        let (there, max) = (seen.instances, rules.max.max(rules.min));
        let decision = |change, why| Decision { change, why };
        if there < rules.min {
            return decision(Change::Add(rules.min - there), format!("fewer than {}", rules.min));
        }
        if there > max {
            return decision(Change::Remove(there - max), format!("more than {max}"));
        }
        let (up, window) = match wanted.cmp(&there) {
            std::cmp::Ordering::Equal => return decision(Change::Nothing, reading(seen, rules)),
            std::cmp::Ordering::Greater => (true, rules.up_after),
            std::cmp::Ordering::Less => (false, rules.down_after),
        };
        let (since, nearest) = self.run(there, up).unwrap_or((now, wanted));
        let (lasted, reading) = (now.saturating_sub(since), reading(seen, rules));
        if lasted < window {
            let why = format!("{reading}, {} of {} s", lasted.as_secs(), window.as_secs());
            return decision(Change::Wait, why);
        }
        let cooling = self.cooling(rules, now);
        if !cooling.is_zero() {
            return decision(
                Change::Wait,
                format!("{reading}, cooling down for {:.0} s more", cooling.as_secs_f64().ceil()),
            );
        }
        // A step up at most doubles, for what is new is cold; a step down is one, for it is hard to take back.
        let change = if up { Change::Add((nearest - there).min(there.max(2))) } else { Change::Remove(1) };
        decision(change, format!("{reading} for {} s", lasted.as_secs()))
    }

    /// Since when without a break more (`up`) or fewer than `there` were needed, and of what was needed since then
    /// what is nearest to that.
    fn run(&self, there: u64, up: bool) -> Option<(Duration, u64)> {
        let in_run = |needed: u64| if up { needed > there } else { needed < there };
        let nearer = |a: u64, b: u64| if up { a.min(b) } else { a.max(b) };
        let run = self.needed.iter().rev().take_while(|(_, needed)| in_run(*needed));
        run.copied().reduce(|(_, nearest), (at, needed)| (at, nearer(nearest, needed)))
    }

    fn remember(&mut self, now: Duration, wanted: u64, rules: &Rules) {
        let window = rules.up_after.max(rules.down_after);
        // One look older than the window stays: it says that the whole of it was so.
        while self.needed.len() >= LOOKS_MAX || self.needed.get(1).is_some_and(|(at, _)| *at + window <= now) {
            self.needed.pop_front();
        }
        self.needed.push_back((now, wanted));
    }
}

/// As many as keep each at its target, beside those that are dead, within the bounds.
fn needed(seen: Seen, rules: &Rules) -> u64 {
    let each = (rules.concurrency.max(1) * rules.target.max(1)) as f64 / 100.0;
    let by_load = (seen.in_flight / each).ceil() as u64 + (seen.instances - seen.alive.min(seen.instances));
    let by_queue = if is_queueing(seen, rules) { seen.instances + 1 } else { 0 };
    by_load.max(by_queue).clamp(rules.min, rules.max.max(rules.min))
}

fn is_queueing(seen: Seen, rules: &Rules) -> bool {
    seen.waiting > rules.queue as f64
}

/// What was seen, in plain words.
fn reading(seen: Seen, rules: &Rules) -> String {
    if is_queueing(seen, rules) {
        return format!("queue longer than {}", rules.queue);
    }
    let room = (seen.alive.max(1) * rules.concurrency.max(1)) as f64;
    format!("{:.0} % busy", seen.in_flight / room * 100.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);
    const RULES: Rules = Rules {
        min: 1,
        max: 6,
        concurrency: 10,
        target: 70,
        queue: 8,
        up_after: Duration::from_secs(10),
        down_after: Duration::from_secs(60),
        cool_down: Duration::from_secs(30),
    };

    fn seen(instances: u64, in_flight: f64, waiting: f64) -> Seen {
        Seen { instances, alive: instances, in_flight, waiting }
    }

    /// A look each second; what was decided, and when, until something was changed.
    fn until_change(autoscale: &mut Autoscale, seen: Seen, from: u32) -> (u32, Decision) {
        let mut looks = (from..from + 600).map(|second| (second, autoscale.look(seen, &RULES, S * second)));
        looks.find(|(_, decision)| matches!(decision.change, Change::Add(_) | Change::Remove(_))).expect("a change")
    }

    #[test]
    fn one_is_added_when_they_were_too_busy_for_the_whole_window_and_the_reason_says_so() {
        let mut autoscale = Autoscale::default();
        let busy = seen(1, 8.3, 0.0);
        assert_eq!(autoscale.look(busy, &RULES, S * 100).why, "83 % busy, 0 of 10 s");
        let waiting = autoscale.look(busy, &RULES, S * 104);
        assert_eq!((waiting.change, waiting.why.as_str()), (Change::Wait, "83 % busy, 4 of 10 s"));
        let (second, decision) = until_change(&mut autoscale, busy, 105);
        assert_eq!((second, decision.change), (110, Change::Add(1)));
        assert_eq!(decision.why, "83 % busy for 10 s");
    }

    #[test]
    fn a_moment_of_calm_begins_the_window_anew() {
        let mut autoscale = Autoscale::default();
        let (busy, calm) = (seen(1, 9.0, 0.0), seen(1, 1.0, 0.0));
        for second in 0..10 {
            autoscale.look(busy, &RULES, S * second);
        }
        assert_eq!(autoscale.look(calm, &RULES, S * 10).change, Change::Nothing);
        assert_eq!(until_change(&mut autoscale, busy, 11).0, 21);
    }

    #[test]
    fn a_queue_adds_one_however_busy_they_are() {
        let mut autoscale = Autoscale::default();
        let (_, decision) = until_change(&mut autoscale, seen(2, 0.0, 9.0), 0);
        assert_eq!((decision.change, decision.why.as_str()), (Change::Add(1), "queue longer than 8 for 10 s"));
    }

    #[test]
    fn after_a_change_nothing_is_changed_until_it_has_cooled_down() {
        let mut autoscale = Autoscale::default();
        let (added, _) = until_change(&mut autoscale, seen(1, 60.0, 0.0), 0);
        let waits = autoscale.look(seen(3, 60.0, 0.0), &RULES, S * (added + 1));
        assert_eq!(waits.change, Change::Wait);
        for second in added + 2..added + 12 {
            autoscale.look(seen(3, 60.0, 0.0), &RULES, S * second);
        }
        let cooling = autoscale.look(seen(3, 60.0, 0.0), &RULES, S * (added + 12));
        assert_eq!(cooling.why, "200 % busy, cooling down for 18 s more");
        assert_eq!(until_change(&mut autoscale, seen(3, 60.0, 0.0), added + 13).0, added + 30);
    }

    #[test]
    fn one_at_a_time_is_removed_and_the_last_never() {
        let mut autoscale = Autoscale::default();
        let (second, decision) = until_change(&mut autoscale, seen(4, 0.0, 0.0), 0);
        assert_eq!((second, decision.change, decision.why.as_str()), (60, Change::Remove(1), "0 % busy for 60 s"));
        for second in 61..400 {
            assert_eq!(autoscale.look(seen(1, 0.0, 0.0), &RULES, S * second).change, Change::Nothing);
        }
    }

    #[test]
    fn a_dead_one_is_no_reason_by_itself_but_the_load_that_the_others_bear_is() {
        let mut autoscale = Autoscale::default();
        let one_dead = |in_flight| Seen { instances: 3, alive: 2, in_flight, waiting: 0.0 };
        for second in 0..200 {
            assert_eq!(autoscale.look(one_dead(13.0), &RULES, S * second).change, Change::Nothing);
        }
        assert_eq!(until_change(&mut autoscale, one_dead(17.0), 200).1.change, Change::Add(1));
    }

    proptest! {
        /// Though the load has asked for another number all the while.
        #[test]
        fn what_a_person_changes_within_the_bounds_is_left_alone_for_the_window_and_the_time_to_cool_down(
            in_flight in 0.0_f64..60.0, before in 1_u64..=6, after in 1_u64..=6, looks in 1_u32..90,
        ) {
            prop_assume!(before != after);
            let mut autoscale = Autoscale::default();
            // Its own changes are not carried out: nor are they what this is about.
            for second in 0..looks {
                autoscale.left = Some(before);
                autoscale.look(seen(before, in_flight, 0.0), &RULES, S * second);
                autoscale.left = Some(before);
            }
            let cooled = looks + RULES.cool_down.as_secs() as u32;
            for second in looks..cooled {
                let change = autoscale.look(seen(after, in_flight, 0.0), &RULES, S * second).change;
                prop_assert!(matches!(change, Change::Nothing | Change::Wait), "{change:?} after {second} s");
            }
            // As little as it undoes it does not stand in the way for ever.
            let needed = needed(seen(after, in_flight, 0.0), &RULES);
            let change = |second| autoscale.look(seen(after, in_flight, 0.0), &RULES, S * second).change;
            let changes = (cooled..cooled + 100).map(change).any(|change| matches!(change, Change::Add(_) | Change::Remove(_)));
            prop_assert_eq!(changes, needed != after);
        }

        /// Whatever is seen: it stays within the bounds, and between two changes lies the time to cool down.
        #[test]
        fn it_stays_within_its_bounds_and_never_changes_twice_within_the_time_to_cool_down(
            load in prop::collection::vec((0.0_f64..200.0, 0.0_f64..20.0, 1_u32..40), 1..60),
            (min, more) in (1_u64..5, 0_u64..8),
            (up_after, down_after, cool_down) in (0_u64..20, 0_u64..40, 0_u64..60),
        ) {
            let rules = Rules {
                min,
                max: min + more,
                up_after: S * up_after as u32,
                down_after: S * down_after as u32,
                cool_down: S * cool_down as u32,
                ..RULES
            };
            let (mut autoscale, mut there, mut now, mut changed) = (Autoscale::default(), min, 0, None);
            for (in_flight, waiting, seconds) in load {
                for _ in 0..seconds {
                    now += 1;
                    let before = there;
                    match autoscale.look(seen(there, in_flight, waiting), &rules, S * now).change {
                        Change::Add(count) => there += count,
                        Change::Remove(count) => there -= count,
                        Change::Nothing | Change::Wait => {}
                    }
                    prop_assert!((rules.min..=rules.max).contains(&there));
                    if there != before {
                        prop_assert!(changed.is_none_or(|at| now - at >= cool_down as u32), "{changed:?} {now}");
                        changed = Some(now);
                    }
                }
            }
        }

        /// More load never asks for fewer.
        #[test]
        fn more_load_needs_as_many_or_more(
            less in 0.0_f64..300.0, more in 0.0_f64..300.0, waiting in 0.0_f64..20.0, longer in 0.0_f64..20.0, instances in 1_u64..10,
        ) {
            let (busier, longer) = (less + more, waiting + longer);
            prop_assert!(needed(seen(instances, less, waiting), &RULES) <= needed(seen(instances, busier, longer), &RULES));
        }

        /// Bounds that were changed hold at once.
        #[test]
        fn whoever_is_out_of_bounds_is_brought_back_at_once(there in 0_u64..20, in_flight in 0.0_f64..100.0) {
            let change = Autoscale::default().look(seen(there, in_flight, 0.0), &RULES, S).change;
            let after = match change {
                Change::Add(count) => there + count,
                Change::Remove(count) => there - count,
                Change::Nothing | Change::Wait => there,
            };
            prop_assert_eq!(after, there.clamp(RULES.min, RULES.max));
        }

        /// A steady load comes to rest, and at rest each instance is at its target or a bound holds.
        #[test]
        fn a_steady_load_comes_to_rest(in_flight in 0.0_f64..60.0, start in 1_u64..=6) {
            let (mut autoscale, mut there, mut last) = (Autoscale::default(), start, 0);
            for second in 0..2_000 {
                match autoscale.look(seen(there, in_flight, 0.0), &RULES, S * second).change {
                    Change::Add(count) => (there, last) = (there + count, second),
                    Change::Remove(count) => (there, last) = (there - count, second),
                    Change::Nothing | Change::Wait => {}
                }
            }
            prop_assert!(last < 1_000, "it still changed at {last}");
            prop_assert_eq!(there, needed(seen(there, in_flight, 0.0), &RULES));
        }
    }
}
