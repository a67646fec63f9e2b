//! Whether the store answers, and what it means when it does not.

use futures_util::future::BoxFuture;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, it did not answer in time, or it gave an answer of another version. Whether the call took
    /// effect is unknown.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// It is at its limit, and nothing was changed.
    #[error("the store is full")]
    Full,
}

/// Whether the store can be reached.
pub trait Health: Send + Sync {
    /// Whether the last call got an answer; `None` before the first one.
    fn is_reachable(&self) -> Option<bool>;

    /// Asks the store now, by a write: a replica and a full disk answer reads.
    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}
