//! The sessions that have ended, as this process remembers them: asked on the request path, so it neither waits nor fails. Every store keeps one beside what it shares.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::broadcast;

use super::Sid;
use crate::clock::Timestamp;

/// Endings that a slow watcher may lag behind.
const BEHIND: usize = 4096;

/// Ended sessions, and those who watch for more.
pub(super) struct Endings {
    ended: RwLock<HashMap<Sid, Timestamp>>,
    /// How many: most requests need not look further than at a zero.
    count: AtomicUsize,
    told: broadcast::Sender<Sid>,
}

impl Endings {
    pub(super) fn new() -> Self {
        Self { ended: RwLock::default(), count: AtomicUsize::new(0), told: broadcast::channel(BEHIND).0 }
    }

    /// Remembers that `sid` has ended, until `until`, and tells the watchers; the second time it does not tell them. Says until when it is remembered now.
    pub(super) fn add(&self, sid: Sid, until: Timestamp) -> Timestamp {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        let before = ended.get(&sid).copied();
        let until = before.map_or(until, |before| before.max(until));
        ended.insert(sid, until);
        self.count.store(ended.len(), Ordering::Release);
        drop(ended);
        if before.is_none() {
            // Nobody may be watching.
            let _ = self.told.send(sid);
        }
        until
    }

    /// Whether `sid` has ended and is remembered at `now`.
    pub(super) fn has(&self, sid: Sid, now: Timestamp) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self.ended.read().unwrap_or_else(PoisonError::into_inner).get(&sid).is_some_and(|until| *until > now)
    }

    /// Forgets those whose time is over, and says which they were.
    pub(super) fn sweep(&self, now: Timestamp) -> Vec<Sid> {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        let forgotten = ended.extract_if(|_, until| *until <= now).map(|(sid, _)| sid).collect();
        self.count.store(ended.len(), Ordering::Release);
        forgotten
    }

    /// Sessions as they end from now on.
    pub(super) fn watch(&self) -> broadcast::Receiver<Sid> {
        self.told.subscribe()
    }
}
