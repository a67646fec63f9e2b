//! The sessions that have ended, as this process remembers them. They are looked up for every request, so a look-up
//! neither waits nor fails. Every store has this map beside what it shares.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::broadcast;

use super::contract::Sid;
use crate::clock::Timestamp;

/// Endings that a slow receiver may be behind before it loses the oldest.
const MOST_UNRECEIVED: usize = 4096;

/// Ended sessions, and the receivers of further ones.
pub(super) struct EndedSessions {
    ended: RwLock<HashMap<Sid, Timestamp>>,
    /// The number of entries: while it is 0 no look-up takes the lock.
    count: AtomicUsize,
    receivers: broadcast::Sender<Sid>,
}

impl EndedSessions {
    pub(super) fn new() -> Self {
        Self { ended: RwLock::default(), count: AtomicUsize::new(0), receivers: broadcast::channel(MOST_UNRECEIVED).0 }
    }

    /// Remembers until `until` that `sid` has ended, and tells the receivers unless they were told before. Returns
    /// until when it is remembered: the later of the two moments.
    pub(super) fn add(&self, sid: Sid, until: Timestamp) -> Timestamp {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        let before = ended.get(&sid).copied();
        let until = before.map_or(until, |before| before.max(until));
        ended.insert(sid, until);
        self.count.store(ended.len(), Ordering::Release);
        drop(ended);
        if before.is_none() {
            // An error says that there is no receiver.
            let _ = self.receivers.send(sid);
        }
        until
    }

    /// Whether `sid` has ended and is remembered at `now`.
    pub(super) fn has(&self, sid: Sid, now: Timestamp) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self.ended.read().unwrap_or_else(PoisonError::into_inner).get(&sid).is_some_and(|until| *until > now)
    }

    /// Forgets the sessions that are remembered until `now` or earlier, and returns them.
    pub(super) fn sweep(&self, now: Timestamp) -> Vec<Sid> {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        let forgotten = ended.extract_if(|_, until| *until <= now).map(|(sid, _)| sid).collect();
        self.count.store(ended.len(), Ordering::Release);
        forgotten
    }

    /// Sessions as they end from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Sid> {
        self.receivers.subscribe()
    }
}
