//! What can be broken about the edge: its handshakes, its answers, the connections beneath them.

mod answer;
mod body;
mod handshake;
mod trickle;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub use answer::{Reset, Strikes};
pub use body::Flaw;
pub use handshake::{Plan, of_handshake};
pub use trickle::Trickle;

/// What a request can do to the connection that carries it, in HTTP/1.1.
#[derive(Debug, Clone, Default)]
pub struct Levers(Arc<State>);

#[derive(Debug, Default)]
struct State {
    resets: AtomicBool,
    /// Over how many milliseconds the head that is written next is to trickle; 0: not at all.
    trickle_ms: AtomicU64,
}

impl Levers {
    /// The connection is to end with a reset, once it ends.
    pub fn reset(&self) {
        self.0.resets.store(true, Ordering::Relaxed);
    }

    pub fn resets(&self) -> bool {
        self.0.resets.load(Ordering::Relaxed)
    }

    /// The head that is written next is to take so long.
    fn trickle(&self, over: Duration) {
        self.0.trickle_ms.store(u64::try_from(over.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn take_trickle(&self) -> Option<Duration> {
        if self.0.trickle_ms.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Some(Duration::from_millis(self.0.trickle_ms.swap(0, Ordering::Relaxed)))
    }
}
