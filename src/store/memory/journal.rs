//! What a store in memory tells of its changes, so that a file can keep what a restart must not lose. Leases are not
//! among them: after a restart their holders are gone.

use std::future::{Future, ready};

use super::records::{Record, RecordKey};
use crate::store::contract::StoreError;

/// What is told of every change.
pub(in crate::store) trait Journal: Send + Sync + 'static {
    /// Whether it can take more. Without that nothing is added to memory; ends and removals always are.
    fn admits(&self) -> Result<(), StoreError>;

    /// Takes a record, new or changed. Called under the lock of what changed, so in the order of the changes.
    fn keeps(&self, record: Record<'_>);

    /// Takes the removal of a record.
    fn forgets(&self, key: RecordKey);

    /// Resolves when everything that it was told before this call survives a crash.
    fn written(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static;

    /// Whether the last write succeeded.
    fn is_reachable(&self) -> bool;

    /// Writes now, even if there is nothing to write, and resolves with the outcome.
    fn probe(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static;
}

/// No journal: what is in memory ends with the process.
pub struct NoJournal;

impl Journal for NoJournal {
    fn admits(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn keeps(&self, _record: Record<'_>) {}

    fn forgets(&self, _key: RecordKey) {}

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
