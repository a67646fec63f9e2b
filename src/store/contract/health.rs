//! Whether the store can be reached.

use futures_util::future::BoxFuture;

use super::errors::StoreError;

/// Whether the store can be reached.
pub trait Health: Send + Sync {
    /// Whether the last call got an answer; `None` before the first one.
    fn is_reachable(&self) -> Option<bool>;

    /// Asks the store now, by a write: a replica and a full disk answer reads.
    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}
