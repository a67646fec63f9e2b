//! Keys that can be taken once.

use futures_util::future::BoxFuture;

use super::{errors::StoreError, ids::Digest};
use crate::clock::Timestamp;

/// Keys of things that may be used once (login attempts, ID tokens) or that are remembered (people and devices that
/// have logged in).
pub trait OneTime: Send + Sync {
    /// Takes `key`. True for the first call, false for every further one before the `until` of the first.
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Undoes a take, after the action that it was for failed: the next [`Self::take`] returns true.
    fn give_back(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}
