//! How columns become domain values.

use std::time::Duration;

use rusqlite::Row;
use rusqlite::types::Type;
use time::OffsetDateTime;

use crate::domain::money::Money;
use crate::web::secret::sha256;

/// Milliseconds since 1970 UTC, as times are stored.
pub fn millis(at: OffsetDateTime) -> i64 {
    // Until the year 292,277,026 this fits.
    (at.unix_timestamp_nanos() / 1_000_000) as i64
}

/// Beyond it lies nothing that was noted to wait for `longest` at most, unless the clock was set back since; then it
/// has waited. With room for what was timed before `now` is, or by a setting that is smaller by now.
pub fn horizon(now: OffsetDateTime, longest: Duration) -> i64 {
    const ROOM: Duration = Duration::from_secs(60);
    millis(now + longest + ROOM)
}

/// The time as it will read back.
pub fn whole_millis(at: OffsetDateTime) -> OffsetDateTime {
    from_millis(millis(at)).unwrap_or(at)
}

fn from_millis(millis: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
}

/// A column of milliseconds.
pub fn moment(row: &Row<'_>, index: usize) -> rusqlite::Result<OffsetDateTime> {
    from_millis(row.get(index)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(index, i64::MAX))
}

/// A column of cents.
pub fn money(row: &Row<'_>, index: usize) -> rusqlite::Result<Money> {
    row.get(index).map(Money::from_cents)
}

/// A column of text that is the id of something.
pub fn parsed<T>(row: &Row<'_>, index: usize, parse: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text = row.get_ref(index)?.as_str()?;
    parse(text).ok_or_else(|| {
        let error = format!("unknown {text:?}").into();
        rusqlite::Error::FromSqlConversionFailure(index, Type::Text, error)
    })
}

/// What is stored of a secret. Plain SHA-256: 128 random bits or more need no stretching.
pub fn hashed(secret: &str) -> [u8; 32] {
    sha256(secret.as_bytes())
}
