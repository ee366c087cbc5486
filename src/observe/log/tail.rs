//! The latest lines, in bounded memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::line::Line;
use crate::observe::hop::Hop;
use log::Level;

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
#[derive(Debug, Clone)]
pub struct Found {
    /// The oldest first.
    pub lines: Vec<Arc<Line>>,
    /// Who asks for what comes after this misses nothing.
    pub last: u64,
    /// Lines that there are.
    pub kept: usize,
}

impl Tail {
    /// Adds the line, and numbers it.
    pub fn push(&self, line: Line) {
        let bytes = line.bytes();
        let mut kept = self.kept();
        let seq = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        kept.bytes += bytes;
        kept.lines.push_back(Arc::new(Line { seq, ..line }));
        while kept.lines.len() > LINES_MAX || kept.bytes > BYTES_MAX {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= oldest.bytes();
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines after `after`, no later than `until`, but only the newest `most` of them. Whoever logs waits meanwhile.
    fn between(&self, after: u64, until: u64, most: usize) -> Between {
        let kept = self.kept();
        let from = kept.lines.partition_point(|line| line.seq <= after);
        let to = kept.lines.partition_point(|line| line.seq <= until).max(from);
        let newest = kept.lines.range(from.max(to.saturating_sub(most))..to);
        Between { lines: newest.cloned().collect(), count: to - from, kept: kept.lines.len() }
    }
}

struct Between {
    lines: Vec<Arc<Line>>,
    /// Of those that are not in `lines`, too.
    count: usize,
    /// Lines that the tail has.
    kept: usize,
}

/// The newest `most` lines of several tails after this one, and how many come before those.
pub fn newest(tails: &[&Tail], after: u64, most: usize) -> (Found, usize) {
    let until = LAST.load(Ordering::Relaxed);
    let (mut lines, mut count, mut kept) = (Vec::new(), 0, 0);
    for tail in tails {
        let of_tail = tail.between(after, until, most);
        lines.extend(of_tail.lines);
        count += of_tail.count;
        kept += of_tail.kept;
    }
    lines.sort_unstable_by_key(|line| line.seq);
    lines.drain(..lines.len().saturating_sub(most));
    let left_out = count - lines.len();
    (Found { lines, last: until, kept }, left_out)
}

/// Looks through the lines of several tails. With `after`, the first that follow it; else the latest.
pub fn search(tails: &[&Tail], wanted: &Wanted) -> Found {
    // Whoever has such a number, or a lower one, has the lock of its tail, or had it.
    let until = LAST.load(Ordering::Relaxed);
    let (mut lines, mut kept) = (Vec::new(), 0);
    for tail in tails {
        let of_tail = tail.between(wanted.after.unwrap_or(0), until, usize::MAX);
        lines.extend(of_tail.lines);
        kept += of_tail.kept;
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

    fn line(level: Level, hop: Hop, text: &str) -> Line {
        let at = OffsetDateTime::UNIX_EPOCH;
        let (target, text) = ("a test".to_owned(), text.to_owned());
        let none = (None, None, None, None);
        let (status, trace_id, instance, us) = none;
        Line { seq: 0, at, level, hop: Some(hop), status, target, text, trace_id, instance, us, one_in: 1 }
    }

    fn texts(found: &Found) -> Vec<&str> {
        found.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn it_is_bounded_by_lines_and_by_bytes() {
        let (many, large) = (Tail::default(), Tail::default());
        for _ in 0..LINES_MAX + 10 {
            many.push(line(Level::Info, Hop::Data, "x"));
            large.push(line(Level::Info, Hop::Data, &"x".repeat(2_000)));
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
            tail.push(line(level, Hop::Data, &number.to_string()));
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
    fn of_much_that_is_new_only_the_newest_is_told_and_the_rest_counted() {
        let (one, other) = (Tail::default(), Tail::default());
        for number in 0..10 {
            let tail = if number % 3 == 0 { &one } else { &other };
            tail.push(line(Level::Info, Hop::Data, &number.to_string()));
        }
        let tails = [&one, &other];
        let (found, left_out) = newest(&tails, 0, 3);
        assert_eq!((texts(&found), left_out, found.kept), (vec!["7", "8", "9"], 7, 10));
        one.push(line(Level::Info, Hop::Data, "new"));
        let (found, left_out) = newest(&tails, found.last, 3);
        assert_eq!((texts(&found), left_out), (vec!["new"], 0));
        assert_eq!(newest(&tails, found.last, 3).0.lines, []);
    }

    #[test]
    fn lines_are_found_by_hop_and_word() {
        let tail = Tail::default();
        tail.push(line(Level::Info, Hop::Data, "a checkpoint"));
        tail.push(line(Level::Info, Hop::Dns, "a Checkpoint"));
        let wanted = Wanted { hop: Some(Hop::Dns), word: Some("check".to_owned()), limit: 9, ..Wanted::default() };
        assert_eq!(texts(&search(&[&tail], &wanted)), ["a Checkpoint"]);
    }
}
