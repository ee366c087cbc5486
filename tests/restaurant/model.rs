//! What a restaurant is, in a few vectors: no database, no locks, no time but a number.

use std::collections::BTreeMap;

use super::world::{Deed, Op, Outcome, Seen, Wanted};

/// Tomato soup, house salad, and the truffle risotto, of which there are few portions.
pub const DISHES: [i64; 3] = [1, 12, 15];
const RARE: usize = 2;
const RARE_PORTIONS: i64 = 20;
/// Two guests, a waiter, a manager.
pub const PEOPLE: usize = 4;
const WAITER: usize = 2;
const MANAGER: usize = 3;
const DRAFTS_MAX: usize = 5;
/// Seconds.
pub const LEASE: i64 = 5;
pub const BACKOFF: i64 = 2;
pub const WAIT: i64 = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ticket {
    Waiting { due: i64 },
    Cooking { until: i64, lease: usize },
    Dead,
    Ended,
}

impl Ticket {
    fn is_under(&self, number: usize) -> bool {
        matches!(self, Ticket::Cooking { lease, .. } if *lease == number)
    }
}

#[derive(Debug, Clone)]
struct Order {
    owner: usize,
    seen: Seen,
    ticket: Option<(usize, Ticket)>,
    /// When it was due last: what is handed back is due as it was.
    due: i64,
}

#[derive(Debug, Default)]
pub struct Model {
    prices: Vec<i64>,
    orders: Vec<Order>,
    tickets: usize,
    /// Of each claim, the order.
    claims: Vec<usize>,
    /// By person, route and key: what was asked for, and the answer.
    keys: BTreeMap<(usize, &'static str, u8), (String, Outcome)>,
    now: i64,
    /// Placed, taken in and given back, since the last day was closed; and what is owed in all.
    day: (i64, i64, i64),
    owed: i64,
    booked: bool,
}

impl Model {
    pub fn new(prices: Vec<i64>) -> Model {
        Model { prices, ..Model::default() }
    }

    pub fn orders(&self) -> Vec<Seen> {
        self.orders.iter().map(|order| order.seen.clone()).collect()
    }

    pub fn apply(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Begin { who, order, draft, key } => {
                self.once(*who, "new", *key, format!("{order:?} {draft}"), |model| model.begin(*who, order, *draft))
            }
            Op::Change { nth, .. } if self.orders.is_empty() => Outcome::Nothing(*nth),
            Op::Change { who, nth, deed, off, key } => {
                let at = nth % self.orders.len();
                self.once(*who, "change", *key, format!("{at} {deed:?}"), |model| model.change(*who, at, deed, *off))
            }
            Op::CloseDay { key } => self.once(MANAGER, "day", *key, String::new(), Model::close_day),
            Op::Claim => self.claim(),
            Op::Finish { nth } => self.report(*nth, "ready", Ticket::Ended),
            Op::GiveUp { nth, dies: true } => self.report(*nth, "placed", Ticket::Dead),
            Op::GiveUp { nth, dies: false } => self.report(*nth, "placed", Ticket::Waiting { due: self.now + BACKOFF }),
            Op::HandBack { nth } => {
                let claimed = nth.checked_rem(self.claims.len()).map(|nth| self.claims[nth]);
                let due = claimed.map_or(0, |at| self.orders[at].due);
                self.report(*nth, "placed", Ticket::Waiting { due })
            }
            Op::Requeue { nth } => self.requeue(*nth),
            Op::Wait => {
                self.now += WAIT;
                Outcome::Done
            }
            Op::Crash => Outcome::Done,
        }
    }

    fn once(
        &mut self,
        who: usize,
        route: &'static str,
        key: Option<u8>,
        what: String,
        work: impl FnOnce(&mut Model) -> Outcome,
    ) -> Outcome {
        let known = key.and_then(|key| self.keys.get(&(who, route, key)));
        if let Some((before, answer)) = known {
            return if *before == what { answer.clone() } else { Outcome::Refused("key") };
        }
        let outcome = work(self);
        if let (Some(key), false) = (key, matches!(outcome, Outcome::Refused(_))) {
            self.keys.insert((who, route, key), (what, outcome.clone()));
        }
        outcome
    }

    fn rare_left(&self) -> i64 {
        let taken = |order: &&Order| order.ticket.is_some() && order.seen.state != "cancelled";
        let rare = self.orders.iter().filter(taken).filter(|order| order.seen.dish == DISHES[RARE]);
        RARE_PORTIONS - rare.map(|order| i64::from(order.seen.quantity)).sum::<i64>()
    }

    fn can_be_had(&self, dish: i64, quantity: u32) -> bool {
        dish != DISHES[RARE] || i64::from(quantity) <= self.rare_left()
    }

    fn begin(&mut self, who: usize, order: &Wanted, draft: bool) -> Outcome {
        let mine = |order: &&Order| order.owner == who && order.seen.state == "draft";
        if draft && self.orders.iter().filter(mine).count() >= DRAFTS_MAX {
            return Outcome::Refused("drafts");
        }
        if !draft && !self.can_be_had(DISHES[order.dish], order.quantity) {
            return Outcome::Refused("stock");
        }
        let state = if draft { "draft" } else { "placed" };
        let mut seen = Seen { index: self.orders.len(), state, version: 1, ..Seen::default() };
        self.write(&mut seen, order);
        self.orders.push(Order { owner: who, seen, ticket: None, due: 0 });
        if !draft {
            self.send(self.orders.len() - 1);
        }
        Outcome::Order(self.orders[self.orders.len() - 1].seen.clone())
    }

    fn write(&self, seen: &mut Seen, order: &Wanted) {
        seen.dish = DISHES[order.dish];
        seen.quantity = order.quantity;
        seen.table = order.table;
        seen.total = self.prices[order.dish] * i64::from(order.quantity);
    }

    fn send(&mut self, at: usize) {
        self.tickets += 1;
        self.orders[at].ticket = Some((self.tickets, Ticket::Waiting { due: self.now }));
        self.orders[at].due = self.now;
        let total = self.orders[at].seen.total;
        (self.day.0, self.owed, self.booked) = (self.day.0 + 1, self.owed + total, true);
    }

    fn change(&mut self, who: usize, at: usize, deed: &Deed, off: Option<i64>) -> Outcome {
        let staff = who == WAITER || who == MANAGER;
        let may_any = if matches!(deed, Deed::Refund) { who == MANAGER } else { staff };
        let order = &self.orders[at];
        if !may_any && order.owner != who {
            return Outcome::Refused("whose");
        }
        if off.is_some_and(|off| off != 0) {
            return Outcome::Refused("stale");
        }
        let next = match (deed, order.seen.state) {
            (Deed::Edit(_), "draft") => "draft",
            (Deed::Place, "draft") => "placed",
            (Deed::Serve, "ready") => "served",
            (Deed::Pay, "served") => "paid",
            (Deed::Cancel, "draft" | "placed") => "cancelled",
            (Deed::Refund, "paid") => "refunded",
            _ => return Outcome::Refused("state"),
        };
        let Seen { dish, quantity, total, .. } = order.seen;
        if matches!(deed, Deed::Place) && !self.can_be_had(dish, quantity) {
            return Outcome::Refused("stock");
        }
        match deed {
            Deed::Edit(wanted) => {
                let mut seen = self.orders[at].seen.clone();
                self.write(&mut seen, wanted);
                self.orders[at].seen = seen;
            }
            Deed::Place => self.send(at),
            Deed::Serve => {}
            Deed::Pay => (self.day.1, self.owed, self.booked) = (self.day.1 + total, self.owed - total, true),
            Deed::Refund => (self.day.2, self.booked) = (self.day.2 + total, true),
            Deed::Cancel => {
                if let Some((_, ticket)) = &mut self.orders[at].ticket {
                    *ticket = Ticket::Ended;
                    (self.owed, self.booked) = (self.owed - total, true);
                }
            }
        }
        self.step(at, next);
        Outcome::Order(self.orders[at].seen.clone())
    }

    fn step(&mut self, at: usize, state: &'static str) {
        self.orders[at].seen.state = state;
        self.orders[at].seen.version += 1;
    }

    fn close_day(&mut self) -> Outcome {
        if !self.booked {
            return Outcome::Refused("nothing");
        }
        let (orders, takings, refunds) = std::mem::take(&mut self.day);
        self.booked = false;
        Outcome::Day { orders, takings, refunds, owed: self.owed }
    }

    fn claim(&mut self) -> Outcome {
        let now = self.now;
        for at in 0..self.orders.len() {
            if matches!(self.orders[at].ticket, Some((_, Ticket::Cooking { until, .. })) if until <= now) {
                self.wait_from(at, now);
                self.step(at, "placed");
            }
        }
        let due = |(at, order): (usize, &Order)| match order.ticket {
            Some((number, Ticket::Waiting { due })) if due <= now => Some((due, number, at)),
            _ => None,
        };
        let Some((_, _, at)) = self.orders.iter().enumerate().filter_map(due).min() else { return Outcome::Idle };
        if let Some((_, ticket)) = &mut self.orders[at].ticket {
            *ticket = Ticket::Cooking { until: now + LEASE, lease: self.claims.len() };
        }
        self.claims.push(at);
        self.step(at, "cooking");
        Outcome::Claimed(at)
    }

    fn wait_from(&mut self, at: usize, due: i64) {
        self.orders[at].due = due;
        if let Some((_, ticket)) = &mut self.orders[at].ticket {
            *ticket = Ticket::Waiting { due };
        }
    }

    /// The worker of claim number `nth` says what became of it; another's lease it can't end.
    fn report(&mut self, nth: usize, state: &'static str, becomes: Ticket) -> Outcome {
        let Some(nth) = nth.checked_rem(self.claims.len()) else { return Outcome::Idle };
        let at = self.claims[nth];
        let order = &mut self.orders[at];
        let Some((_, ticket)) = order.ticket.as_mut().filter(|(_, ticket)| ticket.is_under(nth)) else {
            return Outcome::Refused("lease");
        };
        if let Ticket::Waiting { due } = becomes {
            order.due = due;
        }
        *ticket = becomes;
        self.step(at, state);
        Outcome::Done
    }

    fn requeue(&mut self, nth: usize) -> Outcome {
        let Some(at) = nth.checked_rem(self.orders.len()) else { return Outcome::Idle };
        match &self.orders[at].ticket {
            Some((_, Ticket::Dead)) => {
                self.wait_from(at, self.now);
                // The ticket is shown with the order: that is a new version of it.
                self.orders[at].seen.version += 1;
                Outcome::Done
            }
            Some(_) => Outcome::Refused("state"),
            None => Outcome::Refused("whose"),
        }
    }
}
