//! This process's map of ended sessions. Every request looks its session up here, so a look-up neither waits nor fails.
//! Each store has such a map in addition to its records.

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

/// Ended sessions that are queued for a slow receiver; beyond this it loses the oldest.
const MOST_UNRECEIVED: usize = 4096;

/// The ended sessions, each with the time until which it is remembered, and the receivers of newly ended ones.
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

    /// Remembers until `until` that `sid` has ended. The first time, `sid` is sent to the receivers. Returns the time
    /// until which it is remembered: the latest of all calls for this `sid`.
    pub(super) fn add(&self, sid: Sid, until: Timestamp) -> Timestamp {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        let before = ended.get(&sid).copied();
        let until = before.map_or(until, |before| before.max(until));
        ended.insert(sid, until);
        self.count.store(ended.len(), Ordering::Release);
        drop(ended);
        if before.is_none() {
            // An error means that there is no receiver.
            let _ = self.receivers.send(sid);
        }
        until
    }

    /// Whether `sid` has ended and is remembered at `now`.
    pub(super) fn has(&self, sid: Sid, now: Timestamp) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self.ended.read().unwrap_or_else(PoisonError::into_inner).get(&sid).is_some_and(|until| *until > now)
    }

    /// Removes and returns the sessions that need not be remembered after `now`.
    pub(super) fn sweep(&self, now: Timestamp) -> Vec<Sid> {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        let forgotten = ended.extract_if(|_, until| *until <= now).map(|(sid, _)| sid).collect();
        self.count.store(ended.len(), Ordering::Release);
        forgotten
    }

    /// The sessions that end after this call.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Sid> {
        self.receivers.subscribe()
    }
}
