//! Guests who order without a pause, and what they were told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::super::CliError;
use super::child::App;
use crate::client::Outgoing;

/// At the same time.
const GUESTS: u64 = 8;
/// An answer that does not come is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// An order that the server said it has.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub id: String,
    /// When the answer was there.
    pub at: Instant,
    pub waited: Duration,
}

/// Orders under way.
pub struct Load {
    guests: JoinSet<Vec<Acknowledged>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    pub fn start(app: &App) -> Result<Load, CliError> {
        let (mut guests, stop) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for guest in 0..GUESTS {
            guests.spawn(order_on(app.client.clone(), format!("{}/api/v1/orders", app.url), guest, Arc::clone(&stop)));
        }
        Ok(Load { guests, stop })
    }

    /// What was acknowledged until now.
    pub async fn stop(self) -> Vec<Acknowledged> {
        self.stop.store(true, Relaxed);
        self.guests.join_all().await.into_iter().flatten().collect()
    }
}

/// Until it is told to stop, or nobody answers any more.
async fn order_on(client: crate::client::Client, url: String, guest: u64, stop: Arc<AtomicBool>) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    let mut number = guest;
    while !stop.load(Relaxed) {
        // Dishes of which there is plenty.
        let body = json!({ "table": 1 + guest, "lines": [{ "menu_item_id": 1 + number % 3, "quantity": 1 }] });
        number += 1;
        let request = Outgoing {
            method: "POST".to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.to_string().into(),
            timeout: PATIENCE,
            ..Outgoing::get(url.clone())
        };
        let sent = Instant::now();
        let Ok(answer) = client.send(request).await else { break };
        let at = Instant::now();
        if answer.status == 201 {
            let order: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let id = order["id"].as_str().map(str::to_owned);
            acknowledged.extend(id.map(|id| Acknowledged { id, at, waited: at - sent }));
        }
    }
    acknowledged
}

/// What guests waited.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Waits {
    pub orders: usize,
    pub median_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Waits {
    /// Of orders that were answered between two moments.
    pub fn of(orders: &[Acknowledged], from: Instant, to: Instant) -> Waits {
        let within = orders.iter().filter(|order| (from..to).contains(&order.at));
        let mut waits: Vec<Duration> = within.map(|order| order.waited).collect();
        waits.sort_unstable();
        let at = |share: usize| {
            let index = (waits.len() * share / 100).min(waits.len().saturating_sub(1));
            waits.get(index).map_or(0.0, |wait| (wait.as_secs_f64() * 1e4).round() / 10.0)
        };
        Waits { orders: waits.len(), median_ms: at(50), p99_ms: at(99), max_ms: at(100) }
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms (p99 {} ms, at most {} ms)", self.median_ms, self.p99_ms, self.max_ms)
    }
}
