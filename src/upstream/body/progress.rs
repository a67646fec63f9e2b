//! How far the body of a request is, seen by the task that waits for the answer.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// How far the body of a request is.
#[derive(Default)]
pub(in crate::upstream) struct UploadProgress {
    moves: AtomicU64,
    phase: AtomicU8,
    is_answered: AtomicBool,
}

/// The side that the body waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream) enum UploadPhase {
    /// The upstream has to read more.
    WaitingForUpstream = 0,
    /// The visitor has to send more; the body itself has a deadline for that.
    WaitingForVisitor = 1,
    /// The whole body was given to hyper, or it has failed.
    Done = 2,
}

impl UploadProgress {
    /// Records that a part of the body was received or sent.
    pub(super) fn moved(&self, phase: UploadPhase) {
        self.moves.fetch_add(1, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Records that the upstream's answer has begun.
    pub(in crate::upstream) fn answered(&self) {
        self.is_answered.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_answered(&self) -> bool {
        self.is_answered.load(Ordering::Relaxed)
    }

    /// How often the body has moved; a changed number means that it is not idle.
    pub(in crate::upstream) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Relaxed)
    }

    pub(in crate::upstream) fn phase(&self) -> UploadPhase {
        match self.phase.load(Ordering::Relaxed) {
            0 => UploadPhase::WaitingForUpstream,
            1 => UploadPhase::WaitingForVisitor,
            _ => UploadPhase::Done,
        }
    }

    pub(in crate::upstream) fn is_done(&self) -> bool {
        self.phase() == UploadPhase::Done
    }
}
