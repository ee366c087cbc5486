//! How long the write-ahead log is, and when it is worth moving into the file.

use std::cell::Cell;
use std::ffi::c_int;
use std::time::Duration;

use rusqlite::hooks::Wal;

/// Pages in the log from which on it is moved into the file (SQLite's own figure): 4 MiB.
const MOVE_FROM: i32 = 1_000;
/// Pages from which on it is also cut: 32 MiB. So long it gets only when some reader holds on to its end.
const CUT_FROM: i32 = 8_192;
/// Pages from which on readers are waited for, since they may follow each other without a gap: 64 MiB.
const WAIT_FROM: i32 = 16_384;
/// As long as a read may take, and a little more.
const WAIT_MAX: Duration = Duration::from_millis(1_100);

thread_local! {
    /// Pages in the log after the latest commit of this thread: a thread writes to one file only.
    static PAGES: Cell<i32> = const { Cell::new(0) };
}

/// What SQLite calls after each commit to the log (sqlite.org/c3ref/wal_hook.html).
pub fn note(_: &Wal, pages: c_int) -> rusqlite::Result<()> {
    PAGES.set(pages);
    Ok(())
}

/// How to shorten the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shorten {
    pub cut: bool,
    pub wait: Duration,
}

/// Decides when to. One a writer.
#[derive(Debug, Default)]
pub struct LogSize {
    /// Pages at the last attempt: whoever stood in the way may stand there still.
    tried_at: i32,
}

impl LogSize {
    /// What to do about the log of this thread's commits now.
    pub fn due(&mut self) -> Option<Shorten> {
        self.decide(PAGES.get())
    }

    fn decide(&mut self, pages: i32) -> Option<Shorten> {
        if pages < self.tried_at {
            // It began anew.
            self.tried_at = 0;
        }
        // Waiting costs everybody who wants to write: rarely.
        let step = if pages > WAIT_FROM { CUT_FROM } else { MOVE_FROM };
        if pages < self.tried_at + step {
            return None;
        }
        self.tried_at = pages;
        let wait = if pages > WAIT_FROM { WAIT_MAX } else { Duration::ZERO };
        Some(Shorten { cut: pages > CUT_FROM, wait })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_moved_every_thousand_pages_and_cut_beyond_its_bound() {
        let mut size = LogSize::default();
        let moved = Some(Shorten { cut: false, wait: Duration::ZERO });
        assert_eq!(size.decide(999), None);
        assert_eq!(size.decide(1_003), moved);
        assert_eq!(size.decide(1_900), None, "tried a moment ago");
        assert_eq!(size.decide(2_100), moved);
        assert_eq!(size.decide(3), None, "it began anew");
        assert_eq!(size.decide(1_000), moved);
        assert_eq!(size.decide(8_193), Some(Shorten { cut: true, wait: Duration::ZERO }));
        assert_eq!(size.decide(16_385), Some(Shorten { cut: true, wait: WAIT_MAX }));
        assert_eq!(size.decide(20_000), None, "waiting is rare");
    }
}
