//! What may become of an order, and by whose hand. Pure: the store applies it under the writer's lock.

use super::order::{OrderRequest, OrderState};
use super::permission::Permission;

/// Something done to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Another table, other dishes.
    Edit,
    Place,
    /// A worker of the kitchen takes its ticket.
    Cook,
    /// The worker gave up, or died: the ticket waits again.
    PutBack,
    Finish,
    Serve,
    Pay,
    Cancel,
    Refund,
}

/// It can't be done to an order in that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {} can't be {}", .state.id(), .action.participle())]
pub struct Impossible {
    pub state: OrderState,
    pub action: Action,
}

impl Action {
    pub const ALL: [Action; 9] = [
        Action::Edit,
        Action::Place,
        Action::Cook,
        Action::PutBack,
        Action::Finish,
        Action::Serve,
        Action::Pay,
        Action::Cancel,
        Action::Refund,
    ];

    /// As addresses and events name it.
    pub const fn id(self) -> &'static str {
        match self {
            Action::Edit => "edit",
            Action::Place => "place",
            Action::Cook => "cook",
            Action::PutBack => "put-back",
            Action::Finish => "finish",
            Action::Serve => "serve",
            Action::Pay => "pay",
            Action::Cancel => "cancel",
            Action::Refund => "refund",
        }
    }

    pub fn from_id(id: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.id() == id)
    }

    const fn participle(self) -> &'static str {
        match self {
            Action::Edit => "edited",
            Action::Place => "placed",
            Action::Cook => "cooked",
            Action::PutBack => "put back",
            Action::Finish => "finished",
            Action::Serve => "served",
            Action::Pay => "paid",
            Action::Cancel => "cancelled",
            Action::Refund => "refunded",
        }
    }

    /// Where it leads, or why it does not. What a kitchen has begun to cook is eaten or paid for, not
    /// cancelled: the food can't be put back.
    pub const fn from(self, state: OrderState) -> Result<OrderState, Impossible> {
        use OrderState::{Cancelled, Cooking, Draft, Paid, Placed, Ready, Refunded, Served};
        match (self, state) {
            (Action::Edit, Draft) => Ok(Draft),
            (Action::Place, Draft) | (Action::PutBack, Cooking) => Ok(Placed),
            (Action::Cook, Placed) => Ok(Cooking),
            (Action::Finish, Cooking) => Ok(Ready),
            (Action::Serve, Ready) => Ok(Served),
            (Action::Pay, Served) => Ok(Paid),
            (Action::Cancel, Draft | Placed) => Ok(Cancelled),
            (Action::Refund, Paid) => Ok(Refunded),
            (action, state) => Err(Impossible { state, action }),
        }
    }
}

/// What people do to an order; the rest the kitchen's workers do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    Edit(OrderRequest),
    Place,
    Serve,
    Pay,
    Cancel,
    Refund,
}

impl Deed {
    /// One that needs nothing but its name.
    pub fn from_id(id: &str) -> Option<Deed> {
        let deeds = [Deed::Place, Deed::Serve, Deed::Pay, Deed::Cancel, Deed::Refund];
        deeds.into_iter().find(|deed| deed.action().id() == id)
    }

    pub const fn action(&self) -> Action {
        match self {
            Deed::Edit(_) => Action::Edit,
            Deed::Place => Action::Place,
            Deed::Serve => Action::Serve,
            Deed::Pay => Action::Pay,
            Deed::Cancel => Action::Cancel,
            Deed::Refund => Action::Refund,
        }
    }

    /// What it takes to do it to one's own order, and to anybody's.
    pub const fn permissions(&self) -> (Permission, Permission) {
        match self {
            Deed::Edit(_) | Deed::Place | Deed::Cancel => (Permission::OrderPlace, Permission::OrderServe),
            Deed::Serve | Deed::Pay => (Permission::OrderServe, Permission::OrderServe),
            Deed::Refund => (Permission::OrderRefund, Permission::OrderRefund),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_order_stays_as_it_is() {
        for action in Action::ALL {
            assert!(action.from(OrderState::Cancelled).is_err());
            assert!(action.from(OrderState::Refunded).is_err());
        }
    }

    #[test]
    fn every_state_is_reached_from_a_draft() {
        let mut reached = vec![OrderState::Draft];
        let mut next = 0;
        while let Some(&state) = reached.get(next) {
            next += 1;
            for found in Action::ALL.into_iter().filter_map(|action| action.from(state).ok()) {
                if !reached.contains(&found) {
                    reached.push(found);
                }
            }
        }
        assert!(OrderState::ALL.into_iter().all(|state| reached.contains(&state)), "{reached:?}");
    }

    #[test]
    fn only_what_nobody_has_begun_to_cook_is_cancelled() {
        let from: Vec<_> = OrderState::ALL.into_iter().filter(|&state| Action::Cancel.from(state).is_ok()).collect();
        assert_eq!(from, [OrderState::Draft, OrderState::Placed]);
    }
}
