//! The clock for all expiry. It is passed as an argument, so that tests can advance it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A point in time: milliseconds since the Unix epoch, possibly negative. Arithmetic saturates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The moment `secs` seconds after the Unix epoch, the unit of NumericDate (RFC 7519 section 2).
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The moment `span` later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// The moment `span` earlier.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC, in whole seconds. A moment after the year 9999 is written as the end of that year.
    pub fn rfc3339(self) -> String {
        OffsetDateTime::from_unix_timestamp(self.as_secs())
            .ok()
            .and_then(|t| t.format(&Rfc3339).ok())
            .unwrap_or_else(|| "9999-12-31T23:59:59Z".to_owned())
    }

    /// The same point in time as the standard library's type, for HTTP dates. Out of its range: the Unix epoch.
    pub fn system_time(self) -> SystemTime {
        let from_epoch = Duration::from_millis(self.0.unsigned_abs());
        let time = if self.0 >= 0 { UNIX_EPOCH.checked_add(from_epoch) } else { UNIX_EPOCH.checked_sub(from_epoch) };
        time.unwrap_or(UNIX_EPOCH)
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A clock. Cheap to clone; clones of a movable clock move together.
#[derive(Clone)]
pub struct Clock {
    /// How far a movable clock is ahead of the system's, in milliseconds.
    ahead: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    pub const fn system() -> Self {
        Self { ahead: None }
    }

    /// A clock that starts at the system's time and can be moved with [`Clock::advance`].
    pub fn movable() -> Self {
        Self::ahead_by(0)
    }

    /// A movable clock that starts this many milliseconds ahead of the system's; a negative number is behind.
    pub fn ahead_by(millis: i64) -> Self {
        Self { ahead: Some(Arc::new(AtomicI64::new(millis))) }
    }

    /// The current time.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> Timestamp {
        let system = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis);
        Timestamp(system.saturating_add(self.ahead.as_ref().map_or(0, |a| a.load(Ordering::Relaxed))))
    }

    /// Moves a movable clock forward. Has no effect on the system's clock.
    pub fn advance(&self, span: Duration) {
        if let Some(ahead) = &self.ahead {
            ahead.fetch_add(millis(span), Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.ahead.is_some() { "Clock(movable)" } else { "Clock(system)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_movable_clock_and_its_clones_move_together() {
        let clock = Clock::movable();
        let before = clock.clone().now();
        clock.advance(Duration::from_secs(3600));
        assert!(clock.clone().now().since(before) >= Duration::from_secs(3600));
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        let end = Timestamp::from_secs(i64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(Timestamp::default().since(end), Duration::ZERO);
        assert_eq!(end.rfc3339(), "9999-12-31T23:59:59Z");
    }
}
