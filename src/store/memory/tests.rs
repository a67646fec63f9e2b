//! The contract, and what memory alone must do.

use super::*;
use crate::store::conformance;

async fn memory() -> Option<(Store, ())> {
    Some((MemoryStore::shared(), ()))
}

/// What is said of two handles holds the more for one.
async fn same_twice() -> Option<(Store, Store, ())> {
    let store = MemoryStore::shared();
    Some((store.clone(), store, ()))
}

conformance::conformance!(memory);
conformance::shared!(same_twice);
