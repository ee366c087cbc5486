//! Requests that are due and wait for a connection, in the order in which they came due.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// A request that came due.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub number: u64,
    pub due: Instant,
    /// A connection was free for it: how late it is taken is the generator's doing.
    pub free: bool,
}

/// Between the clock and the connections.
#[derive(Debug)]
pub struct Backlog {
    state: Mutex<State>,
    wake: Notify,
    most: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Arrival>,
    idle: usize,
    closed: bool,
}

impl Backlog {
    /// For at most `most` requests.
    pub fn new(most: usize) -> Self {
        Self { state: Mutex::default(), wake: Notify::new(), most }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request in and says whether a connection was free for it; None when there is no room.
    pub fn push(&self, number: u64, due: Instant) -> Option<bool> {
        let free = {
            let mut state = self.state();
            if state.waiting.len() >= self.most {
                return None;
            }
            let free = state.idle > state.waiting.len();
            state.waiting.push_back(Arrival { number, due, free });
            free
        };
        self.wake.notify_one();
        Some(free)
    }

    /// The next request; None once all is over.
    pub async fn next(&self) -> Option<Arrival> {
        loop {
            let mut woken = pin!(self.wake.notified());
            // In line before the look: what is put in after it wakes somebody.
            woken.as_mut().enable();
            {
                let mut state = self.state();
                if let Some(arrival) = state.waiting.pop_front() {
                    return Some(arrival);
                }
                if state.closed {
                    return None;
                }
                state.idle += 1;
            }
            let _idle = Idle(self);
            woken.await;
        }
    }

    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Nothing more comes; what is in it is still taken.
    pub fn close(&self) {
        self.state().closed = true;
        self.wake.notify_waiters();
    }

    /// Takes out what nobody took, and says how many.
    pub fn clear(&self) -> usize {
        let mut state = self.state();
        let left = state.waiting.len();
        state.waiting.clear();
        left
    }
}

/// Somebody who waits, counted until it is woken or gives up.
struct Idle<'a>(&'a Backlog);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.idle = state.idle.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_request_is_taken_once_by_somebody() {
        let backlog = Arc::new(Backlog::new(100_000));
        let mut takers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let backlog = Arc::clone(&backlog);
            takers.spawn(async move {
                let mut taken = Vec::new();
                while let Some(arrival) = backlog.next().await {
                    taken.push(arrival.number);
                    tokio::task::yield_now().await;
                }
                taken
            });
        }
        for number in 0..20_000 {
            assert!(backlog.push(number, Instant::now()).is_some());
            if number % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
        backlog.close();
        let mut taken: Vec<u64> = takers.join_all().await.into_iter().flatten().collect();
        taken.sort_unstable();
        assert_eq!(taken, (0..20_000).collect::<Vec<u64>>());
        assert_eq!(backlog.state().idle, 0);
    }

    #[tokio::test]
    async fn it_holds_no_more_than_its_bound_and_says_whether_somebody_was_free() {
        let backlog = Backlog::new(2);
        let put = |number| backlog.push(number, Instant::now());
        assert_eq!([put(0), put(1), put(2)], [Some(false), Some(false), None]);
        assert_eq!(backlog.next().await.map(|arrival| arrival.number), Some(0));
        assert_eq!((put(3), put(4), backlog.clear(), backlog.waiting()), (Some(false), None, 2, 0));
        let (first, free) = tokio::join!(biased; backlog.next(), async { (put(5), put(6)) });
        assert_eq!(first.map(|arrival| (arrival.number, arrival.free)), Some((5, true)));
        assert_eq!(free, (Some(true), Some(false)));
        backlog.close();
        assert_eq!(backlog.next().await.map(|arrival| arrival.number), Some(6));
        assert!(backlog.next().await.is_none());
    }
}
