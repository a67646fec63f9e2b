//! Conversion of values for statements: timestamps, and the numbers of advisory locks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_postgres::types::ToSql;

use crate::clock::Timestamp;

/// The values of a statement's `$1`, `$2` and so on.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The first millisecond of the year 1 and the last one of the year 9999. A saturated `Timestamp` is outside the range
/// of `timestamptz`.
const MOMENTS: (i64, i64) = (-62_135_596_800_000, 253_402_300_799_999);

/// The number of the advisory lock for the record of `key`: its first 8 bytes. Two keys with the same number only wait
/// for each other.
pub(super) fn lock_number(key: &[u8]) -> i64 {
    let mut start = [0; 8];
    for (to, from) in start.iter_mut().zip(key) {
        *to = *from;
    }
    i64::from_be_bytes(start)
}

/// The distance of `moment` from the caller's `now` in milliseconds, limited so that the server can add it to its
/// clock.
pub(super) fn distance(moment: Timestamp, now: Timestamp) -> i64 {
    const LARGEST: i64 = 1 << 51;
    moment.as_millis().saturating_sub(now.as_millis()).clamp(-LARGEST, LARGEST)
}

/// A span in milliseconds, limited as [`distance`] is.
pub(super) fn span(span: Duration) -> i64 {
    distance(Timestamp::default().plus(span), Timestamp::default())
}

/// Converts to `timestamptz`, limited to [`MOMENTS`].
pub(super) fn moment(at: Timestamp) -> SystemTime {
    Timestamp::from_millis(at.as_millis().clamp(MOMENTS.0, MOMENTS.1)).system_time()
}

/// Converts from `timestamptz`.
pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Timestamp::default().plus(after),
        Err(before) => Timestamp::default().minus(before.duration()),
    }
}

/// The statement with `time` in place of the server's clock, which tests cannot move.
#[cfg(test)]
pub(super) fn at_time(sql: &str, time: Option<Timestamp>) -> String {
    let Some(time) = time else { return sql.to_owned() };
    let time = format!("(timestamptz 'epoch' + {} * interval '1 millisecond')", time.as_millis());
    sql.replace("clock_timestamp()", &time)
}
