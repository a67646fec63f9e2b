//! The in-memory state of one instance for a store that it shares with other instances: `redis` and `postgres`.

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use super::{contract::Sid, ended_sessions::EndedSessions, waiters::Waiters};
use crate::clock::Timestamp;

/// [`LocalState::latest`] may be this many milliseconds behind: writing it for each request would move the cache line
/// between all cores.
const LATEST_LAG_MILLIS: i64 = 1000;

/// Values of `LocalState::reachable`.
const UNTRIED: u8 = 0;
const REACHABLE: u8 = 1;
const UNREACHABLE: u8 = 2;

/// What this instance remembers itself.
pub(super) struct LocalState {
    /// The sessions that have ended.
    pub(super) ended: EndedSessions,
    /// The tasks that wait for a lease of a session to be settled.
    pub(super) waiters: Waiters,
    /// The latest `now` of any call, in milliseconds since the Unix epoch. Background tasks use it as the current time.
    latest: AtomicI64,
    /// Whether the last call got an answer.
    reachable: AtomicU8,
}

impl LocalState {
    pub(super) fn new() -> Self {
        Self {
            ended: EndedSessions::new(),
            waiters: Waiters::default(),
            latest: AtomicI64::new(0),
            reachable: AtomicU8::new(UNTRIED),
        }
    }

    /// Records the `now` of a call.
    pub(super) fn note_time(&self, now: Timestamp) {
        if now.as_millis() > self.latest.load(Ordering::Relaxed).saturating_add(LATEST_LAG_MILLIS) {
            self.latest.fetch_max(now.as_millis(), Ordering::Relaxed);
        }
    }

    /// The latest `now` of any call; up to 1 s behind.
    pub(super) fn latest(&self) -> Timestamp {
        Timestamp::from_millis(self.latest.load(Ordering::Relaxed))
    }

    /// Remembers until `until` that a session has ended, sends its id to the receivers, and wakes the tasks that wait
    /// for it.
    pub(super) fn note_end(&self, sid: Sid, until: Timestamp) {
        self.ended.add(sid, until);
        self.waiters.wake(sid);
    }

    /// Records whether the last call got an answer.
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
