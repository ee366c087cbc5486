//! Requests without a pause, each counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use roundtrip::stack::instances::Instances;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::{House, PATIENCE, order_of};

/// So many ask at once.
const CLIENTS: usize = 6;

pub struct Traffic {
    answered: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
    clients: JoinSet<BTreeMap<u16, usize>>,
}

impl Traffic {
    /// Reads of the menu from instances, until it is ended.
    pub fn on(house: &House) -> Traffic {
        house.edge_keeps_nothing();
        set(house, "http.limit.enabled", json!(false));
        let (answered, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (person, answered, enough) = (house.visitor(), Arc::clone(&answered), Arc::clone(&enough));
            clients.spawn(async move {
                let mut statuses = BTreeMap::new();
                while !enough.load(Ordering::SeqCst) {
                    *statuses.entry(person.get("/api/v1/menu").await.status).or_default() += 1;
                    answered.fetch_add(1, Ordering::SeqCst);
                }
                statuses
            });
        }
        Traffic { answered, enough, clients }
    }

    /// Waits for so many more answers.
    pub async fn flows(&self, more: usize) {
        let until = self.answered.load(Ordering::SeqCst) + more;
        soon(|| self.answered.load(Ordering::SeqCst) >= until).await;
    }

    /// How many answers of each status there were.
    pub async fn end(mut self) -> BTreeMap<u16, usize> {
        self.enough.store(true, Ordering::SeqCst);
        let mut all = BTreeMap::new();
        while let Some(statuses) = self.clients.join_next().await {
            for (status, count) in statuses.expect("a client ends") {
                *all.entry(status).or_default() += count;
            }
        }
        all
    }

    /// As [`Self::end`]: all were answered well.
    pub async fn loses_nothing(self) {
        let statuses = self.end().await;
        assert!(statuses.keys().all(|status| *status == 200), "{statuses:?}");
    }
}

pub fn set(house: &House, key: &str, value: serde_json::Value) {
    house.stack.settings().change([(key, &value)]).expect("it fits");
}

/// Waits until it is so.
pub async fn soon(mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE * 2, wait).await.expect("it becomes so");
}

pub fn own(house: &House) -> &Instances {
    house.stack.own_instances().expect("a restaurant")
}

pub fn ids(house: &House) -> Vec<String> {
    own(house).list().into_iter().map(|instance| instance.id).collect()
}

/// Places so many orders, each to be cooked.
pub async fn orders(house: &House, count: usize) {
    let waiter = house.staff("waiter").await;
    for _ in 0..count {
        assert_eq!(waiter.post("/api/v1/orders", &order_of(12, 1)).await.status, 201);
    }
}
