//! Keys that can be taken once.

use futures_util::future::BoxFuture;

use super::{errors::StoreError, ids::Digest};
use crate::clock::Timestamp;

/// Who causes keys to be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    /// The owner's key, for example of a client and a kind of keys.
    pub key: Digest,
    /// Keys of this owner that are kept; at least 1.
    pub most: u32,
}

/// Keys of things that may be used once (login attempts, ID tokens) or that are remembered (people and devices that
/// have logged in).
pub trait OneTime: Send + Sync {
    /// Takes `key`. True for the first call, false for every further one before the `until` of the first. Only for keys
    /// that are given back as soon as the request is handled: the others have an owner.
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Takes `key` as one of `owner`'s keys. Of those the newest are kept, as many as [`Owner::most`] says: a further
    /// one makes the store forget the oldest, which can then be taken again. So no client can fill the store.
    fn take_of(
        &self,
        owner: Owner,
        key: Digest,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Undoes a take, after the action that it was for failed: the next [`Self::take`] returns true.
    fn give_back(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}
