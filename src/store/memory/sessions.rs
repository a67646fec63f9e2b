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
        Digest, Generation, Lease, Settled, Sid, StoreError, StoredResult,
        refreshes::{LAPSED_LEASE_KEPT, MOST_LEASES, MOST_RESULTS},
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
    until: Timestamp,
}

impl Sessions {
    pub(super) fn lease(
        &mut self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        held: (u64, Timestamp),
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
        if let Some(other) = session.leases.get(&rt).filter(|other| other.until > now) {
            return Ok(Lease::Held(other.until));
        }
        if session.leases.len() >= usize::from(MOST_LEASES) {
            session.leases.retain(|_, held| held.until > now);
            if session.leases.len() >= usize::from(MOST_LEASES) {
                return Err(StoreError::Full);
            }
        }
        let (fence, until) = held;
        session.leases.insert(rt, StoredLease { fence, until });
        Ok(Lease::Granted(fence))
    }

    pub(super) fn renew(&mut self, sid: Sid, rt: Digest, fence: u64, until: Timestamp) -> bool {
        let held = self.0.get_mut(&sid).and_then(|session| session.leases.get_mut(&rt));
        held.filter(|held| held.fence == fence).map(|held| held.until = until).is_some()
    }

    pub(super) fn settle(
        &mut self,
        (sid, rt, fence): (Sid, Digest, u64),
        result: Option<(Generation, Bytes)>,
        keep_until: Timestamp,
        now: Timestamp,
        journal: &impl Journal,
    ) -> Settled {
        let Some(session) = self.0.get_mut(&sid) else { return Settled::Lost };
        if session.leases.get(&rt).is_none_or(|held| held.fence != fence) {
            return Settled::Lost;
        }
        session.leases.remove(&rt);
        if let Some((generation, sealed)) = result {
            session.forget(sid, journal, |kept| kept.rt == rt || kept.keep_until <= now);
            if session.results.len() >= usize::from(MOST_RESULTS) {
                let oldest = session.results.remove(0);
                journal.remove(RecordKey::Result(sid, oldest.rt));
            }
            session.keep(
                sid,
                ResultRecord { rt, keep_until, result: StoredResult { generation, sealed, stored_at: now } },
                journal,
            );
        }
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
