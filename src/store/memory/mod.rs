//! The store in this process. A lock is held for a few map operations at a time, and every map is bounded by count and
//! by age. A restart loses everything, unless a journal writes it to disk (`file/` does).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use tokio::sync::broadcast;

use self::{
    journal::{Journal, NoJournal},
    records::{Record, RecordKey},
};
use super::{
    contract::{
        Advanced, Codes, Counters, DepositPlace, Deposits, Digest, Families, FamilyId, Generation, Health, Holder,
        Lease, NewCode, Note, Notes, OneTime, Opened, Owner, Quota, Refreshes, Replaced, Resent, Settled, Sid, Spent,
        Store, StoreError, StoredResult, Tried,
    },
    ended_sessions::EndedSessions,
    waiters::Waiters,
};
use crate::clock::Timestamp;

mod codes;
mod counters;
mod deposits;
mod families;
pub(super) mod journal;
mod notes;
pub(super) mod records;
mod sessions;
mod taken;

/// Writes between two removals of expired records.
const SWEEP_EVERY: usize = 1024;

/// All shared state, in memory. `J` receives every change.
pub struct MemoryStore<J = NoJournal> {
    /// A session is also ended under this lock, so that no result is stored for it afterwards.
    sessions: Mutex<sessions::Sessions>,
    ended: EndedSessions,
    waiters: Waiters,
    taken: Mutex<taken::Taken>,
    codes: Mutex<codes::Codes>,
    counters: Mutex<counters::Counters>,
    families: Mutex<families::Families>,
    deposits: Mutex<deposits::Deposits>,
    notes: Mutex<notes::SharedNotes>,
    fences: AtomicU64,
    writes: AtomicUsize,
    journal: J,
}

impl MemoryStore {
    /// An empty store.
    pub fn shared() -> Store {
        Store::of(Arc::new(Self::with(NoJournal, [])))
    }
}

#[expect(private_bounds, reason = "a journal takes records, which are private to the store")]
impl<J: Journal> MemoryStore<J> {
    /// A store with the initial `records`, which passes every change to `journal`.
    pub(super) fn with(journal: J, records: impl IntoIterator<Item = Record<'static>>) -> Self {
        let store = Self {
            sessions: Mutex::default(),
            ended: EndedSessions::new(),
            waiters: Waiters::default(),
            taken: Mutex::default(),
            codes: Mutex::default(),
            counters: Mutex::default(),
            families: Mutex::default(),
            deposits: Mutex::default(),
            notes: Mutex::default(),
            fences: AtomicU64::new(1),
            writes: AtomicUsize::new(0),
            journal,
        };
        for record in records {
            match record {
                Record::Result(sid, kept) => locked(&store.sessions).restore(sid, kept.into_owned()),
                Record::Ended(sid, until) => {
                    store.ended.add(sid, until);
                }
                Record::Taken(key, until) => locked(&store.taken).restore(key, until),
                Record::Address(id, address) => locked(&store.codes).restore(id, address.into_owned()),
                Record::Counter(key, counted, until) => locked(&store.counters).restore(key, counted, until),
                Record::Family(id, family) => locked(&store.families).restore(id, family.into_owned()),
                Record::Deposit(place, deposit) => locked(&store.deposits).restore(place, deposit.into_owned()),
            }
        }
        store
    }

    fn sweep(&self, now: Timestamp) {
        if !self.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_EVERY) {
            return;
        }
        let mut sessions = locked(&self.sessions);
        sessions.sweep(now, &self.journal);
        for sid in self.ended.sweep(now) {
            self.journal.remove(RecordKey::Ended(sid));
        }
        drop(sessions);
        locked(&self.taken).sweep(now, &self.journal);
        locked(&self.codes).sweep(now, &self.journal);
        locked(&self.counters).sweep(now, &self.journal);
        locked(&self.families).sweep(now, &self.journal);
        locked(&self.deposits).sweep(now, &self.journal);
    }

    /// Runs before every call that adds a record: fails if the journal cannot write, and removes expired records.
    fn admit(&self, now: Timestamp) -> Result<(), StoreError> {
        self.journal.check_writable()?;
        self.sweep(now);
        Ok(())
    }

    /// Delays the answer until the changes that this call made, and those that it read, survive a crash.
    fn answer_once_written<'s, T: Send + 's>(
        &self,
        answer: Result<T, StoreError>,
    ) -> BoxFuture<'s, Result<T, StoreError>> {
        let written = self.journal.written();
        async move {
            let answer = answer?;
            written.await?;
            Ok(answer)
        }
        .boxed()
    }

    fn try_lease(
        &self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        (holder, lasting): (Holder, Duration),
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.admit(now)?;
        let mut sessions = locked(&self.sessions);
        if self.ended.has(sid, now) {
            return Ok(Lease::Ended);
        }
        let fence = self.fences.fetch_add(1, Ordering::Relaxed);
        sessions.lease(sid, rt, known, (fence, holder, lasting), now)
    }
}

impl<J: Journal> Refreshes for MemoryStore<J> {
    fn lease(
        &self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        holder: Holder,
        lasting: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Lease, StoreError>> {
        self.answer_once_written(self.try_lease(sid, rt, known, (holder, lasting), now))
    }

    fn renew(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        lasting: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let mut sessions = locked(&self.sessions);
        let renewed = !self.ended.has(sid, now) && sessions.renew(sid, rt, fence, now.plus(lasting));
        drop(sessions);
        self.answer_once_written(Ok(renewed))
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
        let mut sessions = locked(&self.sessions);
        let settled = if self.ended.has(sid, now) {
            Settled::Ended
        } else {
            sessions.settle((sid, rt, fence), result, keep_until, now, &self.journal)
        };
        drop(sessions);
        if settled == Settled::Stored {
            self.waiters.wake(sid);
        }
        self.answer_once_written(Ok(settled))
    }

    fn result(&self, sid: Sid, rt: Digest, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredResult>, StoreError>> {
        let result = locked(&self.sessions).result(sid, rt, now);
        self.answer_once_written(Ok(result))
    }

    fn acknowledge(
        &self,
        sid: Sid,
        generation: Generation,
        keep_until: Timestamp,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        locked(&self.sessions).acknowledge(sid, generation, keep_until, &self.journal);
        self.answer_once_written(Ok(()))
    }

    fn end(&self, sid: Sid, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.sweep(now);
        let mut sessions = locked(&self.sessions);
        let until = self.ended.add(sid, until);
        self.journal.put(Record::Ended(sid, until));
        sessions.end(sid, &self.journal);
        drop(sessions);
        self.waiters.wake(sid);
        self.answer_once_written(Ok(()))
    }

    fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'_, ()> {
        self.waiters.wait(sid, at_most)
    }

    fn has_ended(&self, sid: Sid, now: Timestamp) -> bool {
        self.ended.has(sid, now)
    }

    fn endings(&self) -> broadcast::Receiver<Sid> {
        self.ended.subscribe()
    }
}

impl<J: Journal> OneTime for MemoryStore<J> {
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        let answer = self.admit(now).and_then(|()| locked(&self.taken).take(key, until, now, &self.journal));
        self.answer_once_written(answer)
    }

    fn take_of(
        &self,
        owner: Owner,
        key: Digest,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let answer = self.admit(now).and_then(|()| locked(&self.taken).take_of(owner, key, until, now, &self.journal));
        self.answer_once_written(answer)
    }

    fn give_back(&self, key: Digest, _now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        locked(&self.taken).give_back(key, &self.journal);
        self.answer_once_written(Ok(()))
    }
}

impl<J: Journal> Codes for MemoryStore<J> {
    fn open(
        &self,
        code: NewCode,
        cooldown: Duration,
        most_live: usize,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Opened, StoreError>> {
        let opened =
            self.admit(now).and_then(|()| locked(&self.codes).open(code, cooldown, most_live, now, &self.journal));
        self.answer_once_written(opened)
    }

    fn resend(
        &self,
        address: Digest,
        browser: Digest,
        most: u32,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Resent, StoreError>> {
        let resent = self.admit(now).map(|()| locked(&self.codes).resend((address, browser), most, now, &self.journal));
        self.answer_once_written(resent)
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
        let tried = self.admit(now).map(|()| {
            locked(&self.codes).try_code((address, browser), mac, most_tries, claim_until, now, &self.journal)
        });
        self.answer_once_written(tried)
    }

    fn settle_code(
        &self,
        address: Digest,
        browser: Digest,
        claim: u64,
        spent: bool,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let settled = locked(&self.codes).settle((address, browser), claim, spent, &self.journal);
        self.answer_once_written(Ok(settled))
    }
}

impl<J: Journal> Counters for MemoryStore<J> {
    fn spend(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<Spent, StoreError>> {
        let spent = self.admit(now).and_then(|()| locked(&self.counters).spend(&quotas, now, &self.journal));
        self.answer_once_written(spent)
    }

    fn refund(
        &self,
        quotas: Vec<Quota>,
        counted_at: Timestamp,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        locked(&self.counters).refund(&quotas, counted_at, &self.journal);
        self.answer_once_written(Ok(()))
    }
}

impl<J: Journal> Families for MemoryStore<J> {
    fn begin(
        &self,
        family: FamilyId,
        record: Bytes,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let begun =
            self.admit(now).and_then(|()| locked(&self.families).begin(family, record, until, now, &self.journal));
        self.answer_once_written(begun)
    }

    fn advance(
        &self,
        family: FamilyId,
        shown: Generation,
        grace: Duration,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Advanced, StoreError>> {
        let advanced =
            self.admit(now).map(|()| locked(&self.families).advance(family, shown, grace, until, now, &self.journal));
        self.answer_once_written(advanced)
    }

    fn end_family(&self, family: FamilyId, _now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        locked(&self.families).end(family, &self.journal);
        self.answer_once_written(Ok(()))
    }
}

impl<J: Journal> Deposits for MemoryStore<J> {
    fn deposit(
        &self,
        place: DepositPlace,
        value: Bytes,
        until: Timestamp,
        most: usize,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let answer =
            self.admit(now).map(|()| locked(&self.deposits).deposit(place, value, until, most, now, &self.journal));
        self.answer_once_written(answer)
    }

    fn deposited(&self, place: DepositPlace, now: Timestamp) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        let value = locked(&self.deposits).find(place, now);
        self.answer_once_written(Ok(value))
    }

    fn withdraw(&self, place: DepositPlace, now: Timestamp) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        let value = locked(&self.deposits).withdraw(place, now, &self.journal);
        self.answer_once_written(Ok(value))
    }
}

impl<J: Journal> Notes for MemoryStore<J> {
    fn read(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<Note, StoreError>> {
        let note = locked(&self.notes).read(key, now);
        ready(Ok(note)).boxed()
    }

    fn replace(
        &self,
        key: Digest,
        before: Bytes,
        after: Bytes,
        keep: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Replaced, StoreError>> {
        let replaced = locked(&self.notes).replace(key, &before, after, keep, now);
        ready(Ok(replaced)).boxed()
    }
}

impl<J: Journal> Health for MemoryStore<J> {
    fn is_reachable(&self) -> Option<bool> {
        Some(self.journal.is_reachable())
    }

    fn clock_difference(&self) -> Option<i64> {
        None
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.journal.probe().boxed()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
