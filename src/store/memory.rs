//! The store in this process: nothing survives it. One lock, held for a few map operations; everything in it is bounded by count and by age.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use tokio::sync::{Notify, broadcast};

use super::{Digest, Generation, Lease, OneTime, Refreshes, Settled, Sid, Store, StoreError, StoredResult};
use crate::clock::Timestamp;

/// Sessions with a lease or a result: about 4 KiB each at most.
const MOST_SESSIONS: usize = 200_000;
/// Results of one session: an unseen chain longer than this loses its oldest links.
const MOST_RESULTS: usize = 16;
/// Single-use keys remembered; past that new ones are refused, because forgetting one would allow it twice.
const MOST_TAKEN: usize = 1_000_000;
/// What is past its time is swept once in so many writes.
const SWEEP_EVERY: usize = 1024;
/// Endings that a slow watcher may lag behind.
const ENDINGS: usize = 4096;

/// Leases, results, ended sessions and single use, in memory.
pub struct MemoryStore {
    sessions: Mutex<HashMap<Sid, Entry>>,
    ended: RwLock<HashMap<Sid, Timestamp>>,
    /// How many sessions have ended: most requests need not look further than at a zero.
    ended_count: AtomicUsize,
    taken: Mutex<HashMap<Digest, Timestamp>>,
    endings: broadcast::Sender<Sid>,
    fences: AtomicU64,
    writes: AtomicUsize,
}

#[derive(Default)]
struct Entry {
    leases: HashMap<Digest, Held>,
    results: Vec<Kept>,
    change: Arc<Notify>,
}

struct Held {
    fence: u64,
    until: Timestamp,
}

struct Kept {
    rt: Digest,
    keep_until: Timestamp,
    result: StoredResult,
}

impl MemoryStore {
    /// An empty store, as the gateway's parts share it.
    pub fn shared() -> Store {
        let store = Arc::new(Self {
            sessions: Mutex::default(),
            ended: RwLock::default(),
            ended_count: AtomicUsize::new(0),
            taken: Mutex::default(),
            endings: broadcast::channel(ENDINGS).0,
            fences: AtomicU64::new(1),
            writes: AtomicUsize::new(0),
        });
        Store { refreshes: store.clone(), one_time: store }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Sid, Entry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sweep(&self, now: Timestamp) {
        if !self.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_EVERY) {
            return;
        }
        self.sessions().retain(|_, entry| {
            entry.results.retain(|kept| kept.keep_until > now);
            entry.leases.retain(|_, held| held.until > now);
            !entry.results.is_empty() || !entry.leases.is_empty() || Arc::strong_count(&entry.change) > 1
        });
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|_, until| *until > now);
        self.ended_count.store(ended.len(), Ordering::Release);
        drop(ended);
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, until| *until > now);
    }

    fn try_lease(
        &self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.sweep(now);
        let mut sessions = self.sessions();
        if self.has_ended(sid, now) {
            return Ok(Lease::Ended);
        }
        if sessions.len() >= MOST_SESSIONS && !sessions.contains_key(&sid) {
            return Err(StoreError::Full);
        }
        let entry = sessions.entry(sid).or_default();
        let stored = entry.results.iter().find(|kept| kept.rt == rt && kept.keep_until > now);
        if let Some(kept) = stored.filter(|kept| kept.result.generation > known) {
            return Ok(Lease::Result(kept.result.clone()));
        }
        if let Some(held) = entry.leases.get(&rt)
            && held.until > now
        {
            return Ok(Lease::Held(held.until));
        }
        let fence = self.fences.fetch_add(1, Ordering::Relaxed);
        entry.leases.insert(rt, Held { fence, until });
        Ok(Lease::Granted(fence))
    }
}

impl Refreshes for MemoryStore {
    fn lease(
        &self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Lease, StoreError>> {
        ready(self.try_lease(sid, rt, known, until, now)).boxed()
    }

    fn renew(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        until: Timestamp,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let mut sessions = self.sessions();
        let held =
            sessions.get_mut(&sid).and_then(|entry| entry.leases.get_mut(&rt)).filter(|held| held.fence == fence);
        let renewed = held.map(|held| held.until = until).is_some();
        ready(Ok(renewed)).boxed()
    }

    fn settle(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        result: Option<(Generation, Bytes)>,
        keep_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Settled, StoreError>> {
        self.sweep(now);
        let mut sessions = self.sessions();
        if self.has_ended(sid, now) {
            return ready(Ok(Settled::Ended)).boxed();
        }
        let Some(entry) = sessions.get_mut(&sid) else { return ready(Ok(Settled::Lost)).boxed() };
        if entry.leases.get(&rt).is_none_or(|held| held.fence != fence) {
            return ready(Ok(Settled::Lost)).boxed();
        }
        entry.leases.remove(&rt);
        if let Some((generation, sealed)) = result {
            entry.results.retain(|kept| kept.rt != rt && kept.keep_until > now);
            if entry.results.len() >= MOST_RESULTS {
                entry.results.remove(0);
            }
            entry.results.push(Kept { rt, keep_until, result: StoredResult { generation, sealed, stored_at: now } });
        }
        entry.change.notify_waiters();
        ready(Ok(Settled::Stored)).boxed()
    }

    fn result(&self, sid: Sid, rt: Digest, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredResult>, StoreError>> {
        let sessions = self.sessions();
        let kept = sessions.get(&sid).and_then(|e| e.results.iter().find(|k| k.rt == rt && k.keep_until > now));
        ready(Ok(kept.map(|kept| kept.result.clone()))).boxed()
    }

    fn acknowledge(
        &self,
        sid: Sid,
        generation: Generation,
        keep_until: Timestamp,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        if let Some(entry) = self.sessions().get_mut(&sid) {
            for kept in entry.results.iter_mut().filter(|kept| kept.result.generation <= generation) {
                kept.keep_until = kept.keep_until.min(keep_until);
            }
        }
        ready(Ok(())).boxed()
    }

    fn end(&self, sid: Sid, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.sweep(now);
        // Both locks, in the order that `lease` and `settle` look at them: no result can slip in between.
        let mut sessions = self.sessions();
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        ended.insert(sid, until);
        self.ended_count.store(ended.len(), Ordering::Release);
        drop(ended);
        if let Some(entry) = sessions.remove(&sid) {
            entry.change.notify_waiters();
        }
        drop(sessions);
        // Nobody may be watching.
        let _ = self.endings.send(sid);
        ready(Ok(())).boxed()
    }

    fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'_, ()> {
        // Registered now, not when first polled: what settles in between must not be missed.
        let change = self.sessions().get(&sid).map(|entry| entry.change.clone().notified_owned());
        async move {
            if let Some(change) = change {
                // Out of time or woken: the caller looks again either way.
                let _ = tokio::time::timeout(at_most, change).await;
            }
        }
        .boxed()
    }

    fn has_ended(&self, sid: Sid, now: Timestamp) -> bool {
        self.ended_count.load(Ordering::Acquire) > 0
            && self.ended.read().unwrap_or_else(PoisonError::into_inner).get(&sid).is_some_and(|until| *until > now)
    }

    fn endings(&self) -> broadcast::Receiver<Sid> {
        self.endings.subscribe()
    }
}

impl OneTime for MemoryStore {
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.sweep(now);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match taken.get(&key) {
            Some(until) if *until > now => Ok(false),
            _ if taken.len() >= MOST_TAKEN => Err(StoreError::Full),
            _ => {
                taken.insert(key, until);
                Ok(true)
            }
        };
        ready(answer).boxed()
    }
}

#[cfg(test)]
mod tests;
