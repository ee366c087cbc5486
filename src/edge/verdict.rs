//! What the gate of a connection, its service and the one who drives it tell each other.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use super::framing::Mark;
use super::refusal::Refusal;
use crate::observe::clock::Tick;

/// What is to be known about a request that hyper doesn't tell.
#[derive(Debug)]
pub enum Verdict {
    Sound,
    Marked(Mark),
    Refused(Refusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Decision {
    Open,
    Stays,
    Switches,
}

/// What a [`Gate`](super::gate::Gate), the service and the one who drives the connection share. All three run in one task;
/// atomics because it moves between threads.
#[derive(Debug)]
struct State {
    /// Heads let in.
    heads: AtomicUsize,
    /// Heads asked about.
    asked: AtomicUsize,
    /// Since when a head has been coming in (nanoseconds of [`Tick`]); 0: none is.
    head_since: AtomicU64,
    /// When bytes last left the other way, likewise.
    wrote_at: AtomicU64,
    /// The head has taken too long.
    late: AtomicBool,
    /// Of the last head's body, some is yet to come.
    body_open: AtomicBool,
    decision: AtomicU8,
    /// Verdicts other than sound, each with the number of its head: rare, so that the lock is.
    notes: Mutex<VecDeque<(usize, Verdict)>>,
    notes_left: AtomicUsize,
}

/// The service's and the driver's view of a gate; and the gate's own, which tells them.
#[derive(Debug, Clone)]
pub struct Watch(Arc<State>);

impl Watch {
    pub fn new() -> Self {
        Self(Arc::new(State {
            heads: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            head_since: AtomicU64::new(0),
            wrote_at: AtomicU64::new(0),
            late: AtomicBool::new(false),
            body_open: AtomicBool::new(false),
            decision: AtomicU8::new(Decision::Open as u8),
            notes: Mutex::default(),
            notes_left: AtomicUsize::new(0),
        }))
    }

    /// The verdict on the next head; heads are served in the order in which they came. One that hyper
    /// found and we did not is a smuggled one.
    pub fn next_head(&self) -> Verdict {
        let number = self.0.asked.fetch_add(1, Ordering::Relaxed) + 1;
        if number > self.0.heads.load(Ordering::Relaxed) {
            return Verdict::Refused(Refusal::ambiguous("The request's head could not be followed."));
        }
        if self.0.notes_left.load(Ordering::Relaxed) == 0 {
            return Verdict::Sound;
        }
        let mut notes = self.notes();
        let verdict = match notes.front() {
            Some((at, _)) if *at == number => notes.pop_front().map_or(Verdict::Sound, |(_, verdict)| verdict),
            _ => Verdict::Sound,
        };
        self.0.notes_left.store(notes.len(), Ordering::Relaxed);
        verdict
    }

    /// Since when a head has been coming in.
    pub fn head_since(&self) -> Option<Tick> {
        let since = self.0.head_since.load(Ordering::Relaxed);
        (since > 0).then(|| Tick::from_nanos(since))
    }

    /// When the client last took bytes.
    pub fn wrote_at(&self) -> Tick {
        Tick::from_nanos(self.0.wrote_at.load(Ordering::Relaxed))
    }

    /// The head that is coming in gets no more time. The gate notices when it is next read from.
    pub fn head_is_late(&self) {
        self.0.late.store(true, Ordering::Relaxed);
    }

    /// Says whether a request that asked for another protocol got it.
    pub fn decide(&self, switches: bool) {
        let decision = if switches { Decision::Switches } else { Decision::Stays };
        self.0.decision.store(decision as u8, Ordering::Relaxed);
    }

    /// Whether all of the request's body has come, whoever has read it.
    pub fn body_has_come(&self) -> bool {
        !self.0.body_open.load(Ordering::Relaxed)
    }

    pub fn body_is_open(&self, open: bool) {
        self.0.body_open.store(open, Ordering::Relaxed);
    }

    /// Heads let in.
    pub fn heads(&self) -> usize {
        self.0.heads.load(Ordering::Relaxed)
    }

    /// So many heads more are let in; `marks` says what is special about some of them, by their number
    /// among these.
    pub fn let_in(&self, heads: usize, marks: Vec<(usize, Mark)>) {
        let before = self.0.heads.fetch_add(heads, Ordering::Relaxed);
        for (number, mark) in marks {
            self.note(before + number, Verdict::Marked(mark));
        }
    }

    /// A head is refused, and another let in in its place.
    pub fn refuse(&self, refusal: Refusal) {
        let number = self.0.heads.fetch_add(1, Ordering::Relaxed) + 1;
        self.note(number, Verdict::Refused(refusal));
        self.no_head_comes();
    }

    /// A head begins to come in.
    pub fn head_comes(&self) {
        self.0.head_since.store(Tick::now().as_nanos(), Ordering::Relaxed);
    }

    pub fn no_head_comes(&self) {
        self.0.head_since.store(0, Ordering::Relaxed);
    }

    /// What was decided about another protocol since this was last asked: whether it is spoken from here on.
    pub fn decided(&self) -> Option<bool> {
        let decision = self.0.decision.swap(Decision::Open as u8, Ordering::Relaxed);
        (decision != Decision::Open as u8).then_some(decision == Decision::Switches as u8)
    }

    /// Whether the head that is coming in has been said to be late since this was last asked.
    pub fn was_late(&self) -> bool {
        self.0.late.load(Ordering::Relaxed) && self.0.late.swap(false, Ordering::Relaxed)
    }

    fn note(&self, number: usize, verdict: Verdict) {
        let mut notes = self.notes();
        notes.push_back((number, verdict));
        self.0.notes_left.store(notes.len(), Ordering::Relaxed);
    }

    /// Notes that bytes have left.
    pub fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(_)) = polled {
            self.0.wrote_at.store(Tick::now().as_nanos(), Ordering::Relaxed);
        }
        polled
    }

    fn notes(&self) -> MutexGuard<'_, VecDeque<(usize, Verdict)>> {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
