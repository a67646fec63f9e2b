//! Leases and results in memory.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use bytes::Bytes;

use super::{
    journal::Journal,
    records::{Record, RecordKey, ResultRecord},
};
use crate::{
    clock::Timestamp,
    store::contract::{
        Digest, Generation, Grant, Holder, Lease, Settled, Sid, StoreError, StoredResult,
        refreshes::{HOLDER_MAY_ANSWER, LAPSED_LEASE_KEPT, MOST_LEASES, MOST_RESULTS},
    },
};

/// Sessions with a lease or a result; each needs 4 KiB at most.
const MOST_SESSIONS: usize = 200_000;
/// How long a lease that ran out can still be settled.
const LATE_SETTLEMENT: Duration = LAPSED_LEASE_KEPT.saturating_mul(5);

/// Leases and results, by session.
#[derive(Default)]
pub(super) struct Sessions(HashMap<Sid, Session>);

#[derive(Default)]
struct Session {
    leases: HashMap<Digest, StoredLease>,
    results: Vec<ResultRecord>,
}

struct StoredLease {
    fence: u64,
    /// `None` if it was settled, and is kept for `doubtful_until` alone.
    holder: Option<Holder>,
    granted_at: Timestamp,
    /// Until then the call of an earlier holder that never settled may be answered.
    doubtful_until: Timestamp,
    until: Timestamp,
}

impl StoredLease {
    /// The `doubtful_until` of the next holder.
    fn doubtful_after(&self) -> Timestamp {
        match self.holder {
            Some(_) => self.doubtful_until.max(self.granted_at.plus(HOLDER_MAY_ANSWER)),
            None => self.doubtful_until,
        }
    }

    fn grant(&self, now: Timestamp) -> Lease {
        Lease::Granted(Grant { fence: self.fence, doubtful_for: self.doubtful_until.since(now) })
    }
}

impl Sessions {
    pub(super) fn lease(
        &mut self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        (fence, holder, lasting): (u64, Holder, Duration),
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        if self.0.len() >= MOST_SESSIONS && !self.0.contains_key(&sid) {
            return Err(StoreError::Full);
        }
        let session = self.0.entry(sid).or_default();
        let stored = session.results.iter().find(|kept| kept.rt == rt && kept.keep_until > now);
        if let Some(kept) = stored.filter(|kept| kept.result.generation > known) {
            return Ok(Lease::Result(kept.result.clone()));
        }
        let until = now.plus(lasting);
        let mut doubtful_until = Timestamp::default();
        if let Some(held) = session.leases.get_mut(&rt) {
            if held.holder == Some(holder) {
                held.until = until;
                return Ok(held.grant(now));
            }
            if held.until > now {
                return Ok(Lease::Held(held.until.since(now)));
            }
            doubtful_until = held.doubtful_after();
        } else if session.leases.len() >= usize::from(MOST_LEASES) {
            session.leases.retain(|_, held| held.until > now);
            if session.leases.len() >= usize::from(MOST_LEASES) {
                return Err(StoreError::Full);
            }
        }
        let lease = StoredLease { fence, holder: Some(holder), granted_at: now, doubtful_until, until };
        let granted = lease.grant(now);
        session.leases.insert(rt, lease);
        Ok(granted)
    }

    pub(super) fn renew(&mut self, sid: Sid, rt: Digest, fence: u64, until: Timestamp) -> bool {
        let held = self.0.get_mut(&sid).and_then(|session| session.leases.get_mut(&rt));
        held.filter(|held| held.fence == fence && held.holder.is_some()).map(|held| held.until = until).is_some()
    }

    pub(super) fn settle(
        &mut self,
        (sid, rt, fence): (Sid, Digest, u64),
        result: Option<(Generation, Bytes)>,
        keep_until: Timestamp,
        now: Timestamp,
        journal: &impl Journal,
    ) -> Settled {
        let was_held = self.0.get_mut(&sid).is_some_and(|session| session.release(rt, fence, result.is_some(), now));
        let Some((generation, sealed)) = result else {
            return if was_held { Settled::Stored } else { Settled::Lost };
        };
        if self.0.len() >= MOST_SESSIONS && !self.0.contains_key(&sid) {
            return Settled::Lost;
        }
        let session = self.0.entry(sid).or_default();
        let mut of_token = session.results.iter().filter(|kept| kept.rt == rt && kept.keep_until > now);
        if !was_held && of_token.any(|kept| kept.result.generation >= generation) {
            return Settled::Lost;
        }
        session.forget(sid, journal, |kept| kept.rt == rt || kept.keep_until <= now);
        if session.results.len() >= usize::from(MOST_RESULTS) {
            let oldest = session.results.remove(0);
            journal.remove(RecordKey::Result(sid, oldest.rt));
        }
        let result = StoredResult { generation, sealed, stored_at: now };
        session.keep(sid, ResultRecord { rt, keep_until, result }, journal);
        Settled::Stored
    }

    pub(super) fn result(&self, sid: Sid, rt: Digest, now: Timestamp) -> Option<StoredResult> {
        let kept = self.0.get(&sid)?.results.iter().find(|kept| kept.rt == rt && kept.keep_until > now);
        kept.map(|kept| kept.result.clone())
    }

    pub(super) fn acknowledge(
        &mut self,
        sid: Sid,
        generation: Generation,
        keep_until: Timestamp,
        journal: &impl Journal,
    ) {
        let Some(session) = self.0.get_mut(&sid) else { return };
        for kept in session.results.iter_mut().filter(|kept| kept.result.generation <= generation) {
            if kept.keep_until > keep_until {
                kept.keep_until = keep_until;
                journal.put(Record::Result(sid, Cow::Borrowed(kept)));
            }
        }
    }

    /// Removes the leases and results of the session.
    pub(super) fn end(&mut self, sid: Sid, journal: &impl Journal) {
        if let Some(mut session) = self.0.remove(&sid) {
            session.forget(sid, journal, |_| true);
        }
    }

    pub(super) fn restore(&mut self, sid: Sid, kept: ResultRecord) {
        let session = self.0.entry(sid).or_default();
        session.results.push(kept);
        session.results.sort_by_key(|kept| kept.result.stored_at);
    }

    pub(super) fn sweep(&mut self, now: Timestamp, journal: &impl Journal) {
        self.0.retain(|sid, session| {
            session.forget(*sid, journal, |kept| kept.keep_until <= now);
            session.leases.retain(|_, held| held.until.plus(LATE_SETTLEMENT) > now);
            !session.results.is_empty() || !session.leases.is_empty()
        });
    }
}

impl Session {
    /// Ends the lease of that fence; false if there is none. After a call without a result it is kept as long as it is
    /// doubtful.
    fn release(&mut self, rt: Digest, fence: u64, has_result: bool, now: Timestamp) -> bool {
        let held = self.leases.get_mut(&rt).filter(|held| held.fence == fence && held.holder.is_some());
        let Some(held) = held else { return false };
        (held.holder, held.until) = (None, now);
        if has_result || held.doubtful_until <= now {
            self.leases.remove(&rt);
        }
        true
    }

    fn keep(&mut self, sid: Sid, kept: ResultRecord, journal: &impl Journal) {
        journal.put(Record::Result(sid, Cow::Borrowed(&kept)));
        self.results.push(kept);
    }

    fn forget(&mut self, sid: Sid, journal: &impl Journal, is_removed: impl Fn(&ResultRecord) -> bool) {
        self.results.retain(|kept| {
            let is_removed = is_removed(kept);
            if is_removed {
                journal.remove(RecordKey::Result(sid, kept.rt));
            }
            !is_removed
        });
    }
}
