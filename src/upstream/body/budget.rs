//! The memory for bodies that are recorded for a second try, over the whole process.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Bytes of recorded bodies in a process by default.
pub const DEFAULT_BUDGET: usize = 64 << 20;

/// The memory for recorded bodies, shared by the whole process. When it is used up nothing more is recorded; the first
/// tries are not affected.
#[derive(Debug)]
pub struct Budget {
    free: AtomicUsize,
}

impl Budget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { free: AtomicUsize::new(bytes) })
    }

    /// Reserves `bytes`; false if fewer are free.
    pub(super) fn take(&self, bytes: usize) -> bool {
        self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(bytes)).is_ok()
    }

    pub(super) fn put_back(&self, bytes: usize) {
        self.free.fetch_add(bytes, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(in crate::upstream) fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }
}
