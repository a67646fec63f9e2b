//! The store in this process: nothing survives it. One lock, held for a few map operations; everything in it is bounded by count and by age.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use tokio::sync::{Notify, broadcast};

use super::{
    Advanced, Again, Digest, FamilyId, Generation, Health, Lease, NewCode, OneTime, Opened, Quota, Refreshes, Settled,
    Sid, Spent, Store, StoreError, StoredResult, Tried, endings::Endings,
};
use crate::clock::Timestamp;

mod codes;
mod counters;
mod families;

/// Sessions with a lease or a result: about 4 KiB each at most.
const MOST_SESSIONS: usize = 200_000;
/// Results of one session: an unseen chain longer than this loses its oldest links.
const MOST_RESULTS: usize = 16;
/// Single-use keys remembered; past that new ones are refused, because forgetting one would allow it twice.
const MOST_TAKEN: usize = 1_000_000;
/// What is past its time is swept once in so many writes.
const SWEEP_EVERY: usize = 1024;

/// Everything that instances share, in memory.
pub struct MemoryStore {
    sessions: Mutex<HashMap<Sid, Entry>>,
    endings: Endings,
    taken: Mutex<HashMap<Digest, Timestamp>>,
    codes: Mutex<codes::Codes>,
    counters: Mutex<counters::Counters>,
    families: Mutex<families::Families>,
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
        Store::of(Arc::new(Self {
            sessions: Mutex::default(),
            endings: Endings::new(),
            taken: Mutex::default(),
            codes: Mutex::default(),
            counters: Mutex::default(),
            families: Mutex::default(),
            fences: AtomicU64::new(1),
            writes: AtomicUsize::new(0),
        }))
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Sid, Entry>> {
        held(&self.sessions)
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
        self.endings.sweep(now);
        held(&self.taken).retain(|_, until| *until > now);
        held(&self.codes).sweep(now);
        held(&self.counters).sweep(now);
        held(&self.families).sweep(now);
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
        // Under the lock that `lease` and `settle` look under: no result can slip in between.
        let mut sessions = self.sessions();
        self.endings.add(sid, until);
        if let Some(entry) = sessions.remove(&sid) {
            entry.change.notify_waiters();
        }
        drop(sessions);
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
        self.endings.has(sid, now)
    }

    fn endings(&self) -> broadcast::Receiver<Sid> {
        self.endings.watch()
    }
}

impl OneTime for MemoryStore {
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.sweep(now);
        let mut taken = held(&self.taken);
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

    fn give_back(&self, key: Digest, _now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        held(&self.taken).remove(&key);
        ready(Ok(())).boxed()
    }
}

impl super::Codes for MemoryStore {
    fn open(
        &self,
        code: NewCode,
        cooldown: Duration,
        most_live: usize,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Opened, StoreError>> {
        self.sweep(now);
        ready(held(&self.codes).open(code, cooldown, most_live, now)).boxed()
    }

    fn again(
        &self,
        address: Digest,
        browser: Digest,
        most: u32,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Again, StoreError>> {
        ready(Ok(held(&self.codes).again(address, browser, most, now))).boxed()
    }

    fn try_code(
        &self,
        address: Digest,
        browser: Digest,
        mac: Digest,
        most_tries: u32,
        claim_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Tried, StoreError>> {
        ready(Ok(held(&self.codes).try_code(address, browser, mac, most_tries, claim_until, now))).boxed()
    }

    fn settle_code(
        &self,
        address: Digest,
        browser: Digest,
        claim: u64,
        spent: bool,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        ready(Ok(held(&self.codes).settle(address, browser, claim, spent))).boxed()
    }
}

impl super::Counters for MemoryStore {
    fn spend(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<Spent, StoreError>> {
        self.sweep(now);
        ready(held(&self.counters).spend(&quotas, now)).boxed()
    }

    fn refund(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        held(&self.counters).refund(&quotas, now);
        ready(Ok(())).boxed()
    }
}

impl super::Families for MemoryStore {
    fn begin(
        &self,
        family: FamilyId,
        record: Bytes,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.sweep(now);
        ready(held(&self.families).begin(family, record, until, now)).boxed()
    }

    fn advance(
        &self,
        family: FamilyId,
        shown: Generation,
        grace: Duration,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Advanced, StoreError>> {
        ready(Ok(held(&self.families).advance(family, shown, grace, until, now))).boxed()
    }

    fn end_family(&self, family: FamilyId, _now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        held(&self.families).end(family);
        ready(Ok(())).boxed()
    }
}

impl Health for MemoryStore {
    fn is_reachable(&self) -> Option<bool> {
        Some(true)
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(Ok(())).boxed()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
