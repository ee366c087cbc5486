//! What can be broken about the edge: its handshakes, its answers, the connections beneath them.

mod answer;
mod body;
mod handshake;
mod trickle;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use answer::Late;
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
    /// The head that is written next is to trickle.
    trickles: AtomicBool,
    late: Mutex<Option<Late>>,
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
    fn trickle(&self, late: Late) {
        *self.late() = Some(late);
        self.0.trickles.store(true, Ordering::Release);
    }

    fn take_trickle(&self) -> Option<Late> {
        // Of most writes it is asked in vain: those take no lock.
        if !self.0.trickles.load(Ordering::Acquire) {
            return None;
        }
        self.0.trickles.store(false, Ordering::Relaxed);
        self.late().take()
    }

    /// A whole value: a panic elsewhere leaves no half of one.
    fn late(&self) -> MutexGuard<'_, Option<Late>> {
        self.0.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
