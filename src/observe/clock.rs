//! The monotonic clock that all spans use. Never a stack's own (breakable) clock.

use std::time::Duration;

/// A moment, in nanoseconds of the machine's monotonic clock.
///
/// On Unix this is `CLOCK_MONOTONIC` (clock_gettime(2)), which all processes of the machine share, so
/// the spans of `probe`, another process, stand on the same axis as the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Tick(u64);

impl Tick {
    /// The present moment.
    #[cfg(unix)]
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Self(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
    }

    /// The present moment, counted from this process' first look at the clock.
    #[cfg(not(unix))]
    pub fn now() -> Self {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        Self(START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64)
    }

    /// A moment at so many nanoseconds; for tests and for parts that come from another process.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to here; zero when `earlier` is later.
    pub const fn since(self, earlier: Tick) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Tick {
    type Output = Tick;

    fn add(self, duration: Duration) -> Tick {
        Tick(self.0.saturating_add(duration.as_nanos() as u64))
    }
}

/// Microseconds with a decimal, as every screen and export shows them.
pub fn micros(duration: Duration) -> f64 {
    (duration.as_nanos() as f64 / 100.0).round() / 10.0
}
