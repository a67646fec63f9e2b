//! Whether the store can be reached.

use futures_util::future::BoxFuture;

use super::errors::StoreError;
use crate::clock::Timestamp;

/// The clocks of the store and of an instance may differ by this many milliseconds.
const CLOCKS_AGREE_WITHIN: i64 = 2000;

/// Whether a difference of the store's clock from an instance's, in milliseconds, is small enough. If it is not, the
/// instance says so; leases and expiry do not depend on it.
pub fn clocks_agree(difference: i64) -> bool {
    difference.saturating_abs() <= CLOCKS_AGREE_WITHIN
}

/// Whether the store can be reached.
pub trait Health: Send + Sync {
    /// Whether the last call got an answer; `None` before the first call.
    fn is_reachable(&self) -> Option<bool>;

    /// How far the store's clock is ahead of this process's, in milliseconds; negative if it is behind. `None` if both
    /// are the same clock, or before the first answer.
    fn clock_difference(&self) -> Option<i64>;

    /// The time of the store's clock when this process's shows `now`. A time that one instance seals and another judges
    /// is of this clock, so that it does not matter how far their own are apart. As long as the difference is unknown,
    /// `now` itself.
    fn time_at(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.as_millis().saturating_add(self.clock_difference().unwrap_or(0)))
    }

    /// Makes a write. A read would also succeed on a replica or with a full disk.
    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}
