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

    /// Remembers that `sid` has ended, until `until`, and tells the watchers; the second time it does not tell them.
    pub(super) fn add(&self, sid: Sid, until: Timestamp) {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        let before = ended.insert(sid, until);
        if let Some(before) = before.filter(|before| *before > until) {
            ended.insert(sid, before);
        }
        self.count.store(ended.len(), Ordering::Release);
        drop(ended);
        if before.is_none() {
            // Nobody may be watching.
            let _ = self.told.send(sid);
        }
    }

    /// Whether `sid` has ended and is remembered at `now`.
    pub(super) fn has(&self, sid: Sid, now: Timestamp) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self.ended.read().unwrap_or_else(PoisonError::into_inner).get(&sid).is_some_and(|until| *until > now)
    }

    /// Forgets those whose time is over.
    pub(super) fn sweep(&self, now: Timestamp) {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|_, until| *until > now);
        self.count.store(ended.len(), Ordering::Release);
    }

    /// Sessions as they end from now on.
    pub(super) fn watch(&self) -> broadcast::Receiver<Sid> {
        self.told.subscribe()
    }
}
