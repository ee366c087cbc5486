//! The latest lines, in bounded memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::Level;
use serde::Serialize;

use super::line::Line;
use crate::observe::hop::Hop;

/// Lines kept, and bytes that they may take; the oldest go first.
const LINES_MAX: usize = 4_096;
const BYTES_MAX: usize = 1024 * 1024;

/// Numbers the lines of all tails in one order. A number is taken under the lock of the tail that its line goes to.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A ring of lines.
#[derive(Debug, Default)]
pub struct Tail(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
}

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Only lines after this one.
    pub after: Option<u64>,
    pub hop: Option<Hop>,
    /// At least so grave.
    pub level: Option<Level>,
    /// In lower case.
    pub word: Option<String>,
    pub limit: usize,
}

impl Wanted {
    fn takes(&self, line: &Line) -> bool {
        self.hop.is_none_or(|hop| line.hop == Some(hop))
            && self.level.is_none_or(|level| line.level <= level)
            && self.word.as_ref().is_none_or(|word| line.says(word))
    }
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The oldest first.
    pub lines: Vec<Arc<Line>>,
    /// Who asks for what comes after this misses nothing.
    pub last: u64,
    /// Lines that there are.
    pub kept: usize,
}

impl Tail {
    /// Adds the line that `make` makes with its number.
    pub fn push(&self, make: impl FnOnce(u64) -> Line) {
        let mut kept = self.kept();
        let line = make(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        kept.bytes += line.bytes();
        kept.lines.push_back(Arc::new(line));
        while kept.lines.len() > LINES_MAX || kept.bytes > BYTES_MAX {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= oldest.bytes();
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines after `after`, no later than `until`; and how many there are at all.
    fn between(&self, after: u64, until: u64) -> (Vec<Arc<Line>>, usize) {
        let kept = self.kept();
        let from = kept.lines.partition_point(|line| line.seq <= after);
        let lines = kept.lines.range(from..).take_while(|line| line.seq <= until);
        (lines.cloned().collect(), kept.lines.len())
    }
}

/// Looks through the lines of several tails. With `after`, the first that follow it; else the latest.
pub fn search(tails: &[&Tail], wanted: &Wanted) -> Found {
    // Whoever has such a number, or a lower one, has the lock of its tail, or had it.
    let until = LAST.load(Ordering::Relaxed);
    let (mut lines, mut kept) = (Vec::new(), 0);
    for tail in tails {
        let (of_tail, there) = tail.between(wanted.after.unwrap_or(0), until);
        lines.extend(of_tail);
        kept += there;
    }
    lines.retain(|line| wanted.takes(line));
    lines.sort_unstable_by_key(|line| line.seq);
    let mut last = until;
    if lines.len() > wanted.limit {
        if wanted.after.is_some() {
            lines.truncate(wanted.limit);
            last = lines.last().map_or(until, |line| line.seq);
        } else {
            lines.drain(..lines.len() - wanted.limit);
        }
    }
    Found { lines, last, kept }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn line(seq: u64, level: Level, hop: Hop, text: &str) -> Line {
        let at = OffsetDateTime::UNIX_EPOCH;
        let (target, text) = ("a test".to_owned(), text.to_owned());
        let none = (None, None, None, None);
        let (status, trace_id, instance, us) = none;
        Line { seq, at, level, hop: Some(hop), status, target, text, trace_id, instance, us, one_in: 1 }
    }

    fn texts(found: &Found) -> Vec<&str> {
        found.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn it_is_bounded_by_lines_and_by_bytes() {
        let (many, large) = (Tail::default(), Tail::default());
        for _ in 0..LINES_MAX + 10 {
            many.push(|seq| line(seq, Level::Info, Hop::Data, "x"));
            large.push(|seq| line(seq, Level::Info, Hop::Data, &"x".repeat(2_000)));
        }
        assert_eq!(many.kept().lines.len(), LINES_MAX);
        let large = large.kept();
        let (kept, bytes) = (large.lines.len(), large.bytes);
        assert!(kept > 100 && bytes <= BYTES_MAX, "{kept} lines, {bytes} bytes");
    }

    #[test]
    fn who_follows_misses_nothing_and_sees_nothing_twice() {
        let (one, other) = (Tail::default(), Tail::default());
        for number in 0..10 {
            let tail = if number % 3 == 0 { &one } else { &other };
            let level = if number % 2 == 0 { Level::Warn } else { Level::Info };
            tail.push(|seq| line(seq, level, Hop::Data, &number.to_string()));
        }
        let tails = [&one, &other];
        let latest = search(&tails, &Wanted { limit: 3, ..Wanted::default() });
        assert_eq!((texts(&latest), latest.kept), (vec!["7", "8", "9"], 10));
        let wanted = Wanted { after: Some(0), level: Some(Level::Warn), limit: 2, ..Wanted::default() };
        let first = search(&tails, &wanted);
        let second = search(&tails, &Wanted { after: Some(first.last), ..wanted.clone() });
        let third = search(&tails, &Wanted { after: Some(second.last), ..wanted.clone() });
        assert_eq!((texts(&first), texts(&second), texts(&third)), (vec!["0", "2"], vec!["4", "6"], vec!["8"]));
        assert_eq!(texts(&search(&tails, &Wanted { after: Some(third.last), ..wanted })), [""; 0]);
    }

    #[test]
    fn lines_are_found_by_hop_and_word() {
        let tail = Tail::default();
        tail.push(|seq| line(seq, Level::Info, Hop::Data, "a checkpoint"));
        tail.push(|seq| line(seq, Level::Info, Hop::Dns, "a Checkpoint"));
        let wanted = Wanted { hop: Some(Hop::Dns), word: Some("check".to_owned()), limit: 9, ..Wanted::default() };
        assert_eq!(texts(&search(&[&tail], &wanted)), ["a Checkpoint"]);
    }
}
