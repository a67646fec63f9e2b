//! The changes of a store in memory, for a file that must survive a restart. Leases are left out: after a restart their
//! holders no longer run.

use std::future::{Future, ready};

use super::records::{Record, RecordKey};
use crate::store::contract::StoreError;

/// Receives every change of a store in memory.
pub(in crate::store) trait Journal: Send + Sync + 'static {
    /// Whether new records can be written. After an error nothing is added to memory; ends of sessions and removals
    /// still are.
    fn check_writable(&self) -> Result<(), StoreError>;

    /// Queues a new or changed record. Called under the lock of its map, so in the order of the changes.
    fn put(&self, record: Record<'_>);

    /// Queues the removal of a record.
    fn remove(&self, key: RecordKey);

    /// Resolves when everything that was queued before this call survives a crash.
    fn written(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static;

    /// Whether the last write succeeded.
    fn is_reachable(&self) -> bool;

    /// Writes now, even if nothing is queued, and resolves with the outcome.
    fn probe(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static;
}

/// Discards every change: a restart loses everything.
pub struct NoJournal;

impl Journal for NoJournal {
    fn check_writable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn put(&self, _record: Record<'_>) {}

    fn remove(&self, _key: RecordKey) {}

    fn written(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        ready(Ok(()))
    }

    fn is_reachable(&self) -> bool {
        true
    }

    fn probe(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        ready(Ok(()))
    }
}
