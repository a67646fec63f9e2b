//! Whether the store can be reached.

use futures_util::future::BoxFuture;

use super::errors::StoreError;

/// Whether the store can be reached.
pub trait Health: Send + Sync {
    /// Whether the last call got an answer; `None` before the first call.
    fn is_reachable(&self) -> Option<bool>;

    /// How far the store's clock is ahead of this process's, in milliseconds; negative if it is behind. `None` if both
    /// are the same clock, or before the first answer.
    fn clock_difference(&self) -> Option<i64>;

    /// Makes a write. A read would also succeed on a replica or with a full disk.
    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}
