//! Keys that can be taken once.

use futures_util::future::BoxFuture;

use super::{errors::StoreError, ids::Digest};
use crate::clock::Timestamp;

/// Keys of what may be used once (login attempts, ID tokens) and of what is remembered (people and devices that have
/// logged in).
pub trait OneTime: Send + Sync {
    /// True for the first taker of `key`, false for every other one before `until`.
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Undoes a take whose purpose was not reached: the next taker is the first again.
    fn give_back(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}
