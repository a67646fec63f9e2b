//! What an instance keeps in memory of a store that it shares with others.

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use super::{contract::Sid, ended_sessions::EndedSessions, waiters::Waiters};
use crate::clock::Timestamp;

/// [`Local::latest`] is at most this far behind, in milliseconds: a write of it for each request would cost more than
/// it gives.
const LATEST_BEHIND: i64 = 1000;

/// Values of `Local::reachable`.
const UNTRIED: u8 = 0;
const REACHABLE: u8 = 1;
const UNREACHABLE: u8 = 2;

/// The memory of one instance.
pub(super) struct Local {
    /// The sessions that have ended.
    pub(super) ended: EndedSessions,
    /// The tasks that wait for a session.
    pub(super) waiters: Waiters,
    /// The latest time that a call was given, in milliseconds: a store has no clock of its own.
    latest: AtomicI64,
    /// Whether the last call got an answer.
    reachable: AtomicU8,
}

impl Local {
    pub(super) fn new() -> Self {
        Self {
            ended: EndedSessions::new(),
            waiters: Waiters::default(),
            latest: AtomicI64::new(0),
            reachable: AtomicU8::new(UNTRIED),
        }
    }

    /// Notes the time that a call was given.
    pub(super) fn note_time(&self, now: Timestamp) {
        if now.as_millis() > self.latest.load(Ordering::Relaxed).saturating_add(LATEST_BEHIND) {
            self.latest.fetch_max(now.as_millis(), Ordering::Relaxed);
        }
    }

    /// The latest time that a call was given; it may be 1 s behind.
    pub(super) fn latest(&self) -> Timestamp {
        Timestamp::from_millis(self.latest.load(Ordering::Relaxed))
    }

    /// Remembers until `until` that a session has ended, tells the receivers, and wakes the tasks that wait for it.
    pub(super) fn note_end(&self, sid: Sid, until: Timestamp) {
        self.ended.add(sid, until);
        self.waiters.wake(sid);
    }

    /// Notes whether a call got an answer.
    pub(super) fn note_reachable(&self, is_reachable: bool) {
        self.reachable.store(if is_reachable { REACHABLE } else { UNREACHABLE }, Ordering::Relaxed);
    }

    /// Whether the last call got an answer; `None` before the first one.
    pub(super) fn is_reachable(&self) -> Option<bool> {
        match self.reachable.load(Ordering::Relaxed) {
            UNTRIED => None,
            noted => Some(noted == REACHABLE),
        }
    }
}
