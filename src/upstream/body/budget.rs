//! The memory that bodies kept for a second try may take, over the whole process.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Bytes that a process keeps of bodies by default.
pub const DEFAULT_BUDGET: usize = 64 << 20;

/// The memory for kept bodies, shared by the whole process. When it is used up nothing more is kept; bodies under way
/// still go to their first try.
#[derive(Debug)]
pub struct Budget {
    free: AtomicUsize,
}

impl Budget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { free: AtomicUsize::new(bytes) })
    }

    /// Takes `bytes` if that many are free.
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
