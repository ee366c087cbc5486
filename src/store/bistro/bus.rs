//! What wakes those who wait for a change, within the process: no copy of what changed, only that it did.
//! A topic is fired after the COMMIT that changed it: before it, they would read the old state and sleep on.

use std::sync::Arc;

use tokio::sync::watch;

/// What can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The kitchen's tickets, or whether it is paused.
    Tickets,
    /// What is to be bought.
    Purchases,
    /// What can be had of the menu.
    Menu,
}

impl Topic {
    pub const ALL: [Topic; 3] = [Topic::Tickets, Topic::Purchases, Topic::Menu];
}

/// The bus of one stack. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Bus(Arc<[watch::Sender<u64>; Topic::ALL.len()]>);

impl Default for Bus {
    fn default() -> Self {
        Self(Arc::new(std::array::from_fn(|_| watch::Sender::new(0))))
    }
}

impl Bus {
    /// Counts the topic's changes up, which wakes everybody who listens.
    pub fn fire(&self, topic: Topic) {
        self.0[topic as usize].send_modify(|changes| *changes += 1);
    }

    /// The number of changes so far, and of each to come. Mark it as seen (`borrow_and_update`) before
    /// reading the state: then a change in between is not missed.
    pub fn listen(&self, topic: Topic) -> watch::Receiver<u64> {
        self.0[topic as usize].subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_to_a_topic_hears_of_its_changes_alone() {
        let bus = Bus::default();
        let (tickets, menu) = (bus.listen(Topic::Tickets), bus.listen(Topic::Menu));
        bus.clone().fire(Topic::Tickets);
        bus.fire(Topic::Tickets);
        assert!(tickets.has_changed().is_ok_and(|changed| changed));
        assert_eq!((*tickets.borrow(), *menu.borrow()), (2, 0));
        assert!(menu.has_changed().is_ok_and(|changed| !changed));
    }
}
