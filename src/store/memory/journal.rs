//! What a store in memory tells of its changes, so that another place can keep what it must not forget. Leases are not among them: whoever held one is gone after a restart.

use std::{
    borrow::Cow,
    future::{Future, ready},
};

use super::{
    super::{Digest, FamilyId, Sid, StoreError, contract::quota::Counted},
    codes::Address,
    families::Family,
    sessions::Kept,
};
use crate::clock::Timestamp;

/// Who is told.
pub(in crate::store) trait Journal: Send + Sync + 'static {
    /// Whether it can take more. What only adds to memory is not begun where it cannot; what ends something is.
    fn admits(&self) -> Result<(), StoreError>;

    /// Is told of a record, new or changed. Called under the lock of what changed, so the order is that of the changes.
    fn keeps(&self, record: Record<'_>);

    /// Is told that a record is no longer.
    fn forgets(&self, key: Key);

    /// Resolves when everything it was told of before this call cannot be lost any more.
    fn written(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static;

    /// What the last writing showed.
    fn is_reachable(&self) -> bool;

    /// Resolves when it has been tried out.
    fn tried(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static;
}

/// Something that is remembered.
pub(in crate::store) enum Record<'r> {
    Result(Sid, Cow<'r, Kept>),
    Ended(Sid, Timestamp),
    Taken(Digest, Timestamp),
    Address(Digest, Cow<'r, Address>),
    /// With the moment from which it weighs nothing.
    Counter(Digest, Counted, Timestamp),
    Family(FamilyId, Cow<'r, Family>),
}

/// What a record is found by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::store) enum Key {
    Result(Sid, Digest),
    Ended(Sid),
    Taken(Digest),
    Address(Digest),
    Counter(Digest),
    Family(FamilyId),
}

impl Record<'_> {
    pub(in crate::store) fn key(&self) -> Key {
        match self {
            Self::Result(sid, kept) => Key::Result(*sid, kept.rt),
            Self::Ended(sid, _) => Key::Ended(*sid),
            Self::Taken(key, _) => Key::Taken(*key),
            Self::Address(address, _) => Key::Address(*address),
            Self::Counter(key, ..) => Key::Counter(*key),
            Self::Family(family, _) => Key::Family(*family),
        }
    }
}

/// Nobody is told: what is in memory ends with the process.
pub struct Nowhere;

impl Journal for Nowhere {
    fn admits(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn keeps(&self, _record: Record<'_>) {}

    fn forgets(&self, _key: Key) {}

    fn written(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        ready(Ok(()))
    }

    fn is_reachable(&self) -> bool {
        true
    }

    fn tried(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        ready(Ok(()))
    }
}
