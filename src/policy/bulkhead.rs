//! A bulkhead: at most so many calls to one other service at a time, so that a slow one can't take everybody
//! who asks it down with it (Nygard, Release It!, chapter 5).

/// Calls under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bulkhead {
    inside: u64,
}

impl Bulkhead {
    pub const fn inside(&self) -> u64 {
        self.inside
    }

    /// Whether one more may begin while there may be `max`; if so, it is counted until it [leaves](Self::leave).
    /// Nobody waits: who finds it full is better told so at once.
    pub const fn enter(&mut self, max: u64) -> bool {
        let room = self.inside < max;
        if room {
            self.inside += 1;
        }
        room
    }

    /// One that had entered is done.
    pub const fn leave(&mut self) {
        self.inside = self.inside.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_more_than_its_room_are_inside_and_each_that_leaves_makes_room(
            max in 0_u64..8,
            steps in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            let (mut bulkhead, mut inside) = (Bulkhead::default(), 0);
            for comes in steps {
                if comes {
                    let room = inside < max;
                    prop_assert_eq!(bulkhead.enter(max), room);
                    inside += u64::from(room);
                } else if inside > 0 {
                    bulkhead.leave();
                    inside -= 1;
                }
                prop_assert_eq!(bulkhead.inside(), inside);
                prop_assert!(inside <= max);
            }
        }
    }

    #[test]
    fn with_less_room_than_before_those_inside_stay_and_nobody_comes() {
        let mut bulkhead = Bulkhead::default();
        assert!(bulkhead.enter(2) && bulkhead.enter(2) && !bulkhead.enter(1));
        bulkhead.leave();
        assert!(!bulkhead.enter(1) && bulkhead.enter(2));
    }
}
