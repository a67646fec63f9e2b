//! Sealed values that are kept for minutes, for one browser.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{errors::StoreError, ids::Digest};
use crate::clock::Timestamp;

/// Where a value is deposited. All deposits of an owner are stored under its digest, so each method can be one script
/// on one node of a shared store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DepositPlace {
    /// The client that caused the deposit: a keyed digest.
    pub owner: Digest,
    /// The deposit: a digest of a secret that one browser has.
    pub key: Digest,
}

/// Values that are kept for minutes, for one browser. A client has a bounded number of them.
pub trait Deposits: Send + Sync {
    /// Stores `value` until `until`, in place of an older one with the same key. If the owner has `most` other live
    /// deposits, those that end first are removed until there is room.
    fn deposit(
        &self,
        place: DepositPlace,
        value: Bytes,
        until: Timestamp,
        most: usize,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The live value; `None` if there is none.
    fn deposited(&self, place: DepositPlace, now: Timestamp) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>>;

    /// Removes the live value and returns it; of several callers one gets it.
    fn withdraw(&self, place: DepositPlace, now: Timestamp) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>>;
}
