//! What an invented order is: drawn from a seed, so that the same seed invents the same.

use crate::domain::ledger::Kind;
use crate::domain::order::{OrderId, OrderState, TABLES, TicketState};
use crate::domain::order_life::Action;
use crate::policy::random::{STEP, below, split_mix, weighted};

/// Dishes that an order has at most, and portions of each.
const LINES_MAX: usize = 4;
const PORTIONS_MAX: usize = 3;
/// Orders of one guest, on average.
const ORDERS_A_GUEST: usize = 3;
/// How orders end, and how many of a hundred.
const ENDS: [(OrderState, f64); 4] =
    [(OrderState::Paid, 84.0), (OrderState::Served, 8.0), (OrderState::Cancelled, 5.0), (OrderState::Refunded, 3.0)];

/// A dish as the menu has it.
#[derive(Debug, Clone)]
pub struct Dish {
    pub id: i64,
    pub name: String,
    pub price_cents: i64,
    /// Positions in the pantry, and what a portion takes.
    pub recipe: Vec<(usize, i64)>,
}

/// One step of an order's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    pub action: Action,
    pub by: By,
    /// Since it was placed.
    pub after_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Kitchen,
    Guest,
    Waiter,
    Manager,
}

/// An order that nobody placed.
#[derive(Debug, Clone)]
pub struct Invented {
    pub id: OrderId,
    /// Whether a guest comes with it who was not here before.
    pub new_guest: bool,
    pub table: u16,
    /// Positions in the menu, and portions.
    pub lines: Vec<(usize, i64)>,
    pub state: OrderState,
    pub events: Vec<Event>,
}

/// Draws one number after the other.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Draw {
        // Mixed first: neighbouring seeds must not draw the same numbers a step apart.
        Draw(split_mix(seed))
    }

    fn number(&mut self) -> u64 {
        let number = split_mix(self.0);
        self.0 = self.0.wrapping_add(STEP);
        number
    }

    fn below(&mut self, bound: usize) -> usize {
        below(self.number(), bound)
    }

    fn between(&mut self, from_s: i64, to_s: i64) -> i64 {
        let span = usize::try_from((to_s - from_s) * 1_000).unwrap_or_default();
        from_s * 1_000 + self.below(span) as i64
    }

    /// The next order, of a menu of so many dishes.
    pub fn order(&mut self, dishes: usize) -> Invented {
        let id = OrderId::from_bits(u128::from(self.number()) << 64 | u128::from(self.number()));
        let new_guest = self.below(ORDERS_A_GUEST) == 0;
        let table = 1 + self.below(usize::from(TABLES)) as u16;
        let mut lines: Vec<(usize, i64)> = Vec::with_capacity(LINES_MAX);
        for _ in 0..1 + self.below(LINES_MAX) {
            let (dish, portions) = (self.below(dishes), 1 + self.below(PORTIONS_MAX) as i64);
            if lines.iter().all(|(known, _)| *known != dish) {
                lines.push((dish, portions));
            }
        }
        let end = weighted(&ENDS.map(|(_, share)| share), self.number()).unwrap_or_default();
        let state = ENDS[end].0;
        let events = self.life(state);
        Invented { id, new_guest, table, lines, state, events }
    }

    /// What happened to an order that ended as `state`.
    fn life(&mut self, state: OrderState) -> Vec<Event> {
        if state == OrderState::Cancelled {
            return vec![Event { action: Action::Cancel, by: By::Guest, after_ms: self.between(5, 90) }];
        }
        let steps = [
            (Action::Cook, By::Kitchen, 10, 240, true),
            (Action::Finish, By::Kitchen, 180, 900, true),
            (Action::Serve, By::Waiter, 20, 180, true),
            (Action::Pay, By::Waiter, 900, 3_600, state != OrderState::Served),
            (Action::Refund, By::Manager, 60, 1_200, state == OrderState::Refunded),
        ];
        let mut after_ms = 0;
        let steps = steps.into_iter().filter(|(_, _, _, _, happened)| *happened);
        steps
            .map(|(action, by, from, to, _)| {
                after_ms += self.between(from, to);
                Event { action, by, after_ms }
            })
            .collect()
    }
}

impl Invented {
    pub fn kinds(&self) -> impl Iterator<Item = (Kind, i64)> {
        let booked = |event: &Event| match event.action {
            Action::Pay => Some((Kind::Payment, event.after_ms)),
            Action::Refund => Some((Kind::Refund, event.after_ms)),
            Action::Cancel => Some((Kind::Cancellation, event.after_ms)),
            _ => None,
        };
        std::iter::once((Kind::Sale, 0)).chain(self.events.iter().filter_map(booked))
    }

    /// Its ticket's state, and when it ended.
    pub fn ticket(&self) -> (TicketState, i64) {
        let ended = |action| self.events.iter().find(|event| event.action == action).map(|event| event.after_ms);
        match ended(Action::Cancel) {
            Some(after_ms) => (TicketState::Cancelled, after_ms),
            None => (TicketState::Done, ended(Action::Finish).unwrap_or_default()),
        }
    }

    /// When the last thing happened to it.
    pub fn last_ms(&self) -> i64 {
        self.events.last().map_or(0, |event| event.after_ms)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_invented_life_follows_the_rules_of_orders(seed: u64) {
            let mut draw = Draw::new(seed);
            for _ in 0..50 {
                let order = draw.order(40);
                let mut state = OrderState::Placed;
                for event in &order.events {
                    state = event.action.from(state).expect("a step that can be taken");
                }
                prop_assert_eq!(state, order.state);
                prop_assert!(!order.lines.is_empty());
                prop_assert!(order.events.is_sorted_by_key(|event| event.after_ms));
            }
        }
    }

    #[test]
    fn another_seed_invents_other_orders() {
        let ids = |seed| -> Vec<OrderId> {
            let mut draw = Draw::new(seed);
            (0..100).map(|_| draw.order(40).id).collect()
        };
        assert_eq!(ids(7), ids(7));
        assert!(ids(7).iter().all(|id| !ids(8).contains(id)));
    }
}
