//! Leases and results in memory.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use bytes::Bytes;

use super::{
    super::{Digest, Generation, Lease, Settled, Sid, StoreError, StoredResult},
    journal::{Journal, Key, Record},
};
use crate::clock::Timestamp;

/// Sessions with a lease or a result: about 4 KiB each at most.
const MOST_SESSIONS: usize = 200_000;
/// Results of one session: an unseen chain longer than this loses its oldest links.
const MOST_RESULTS: usize = 16;
/// Refresh tokens of one session that are asked about at once; more have no use.
const MOST_LEASES: usize = 16;
/// A lease that ran out can still be settled for so long.
const LATE: Duration = Duration::from_secs(300);

/// By session.
#[derive(Default)]
pub(super) struct Sessions(HashMap<Sid, Session>);

#[derive(Default)]
struct Session {
    leases: HashMap<Digest, Held>,
    results: Vec<Kept>,
}

struct Held {
    fence: u64,
    until: Timestamp,
}

/// A result, and for how long.
#[derive(Clone)]
pub(in crate::store) struct Kept {
    pub(in crate::store) rt: Digest,
    pub(in crate::store) keep_until: Timestamp,
    pub(in crate::store) result: StoredResult,
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
        if session.leases.len() >= MOST_LEASES {
            session.leases.retain(|_, held| held.until > now);
            if session.leases.len() >= MOST_LEASES {
                return Err(StoreError::Full);
            }
        }
        let (fence, until) = held;
        session.leases.insert(rt, Held { fence, until });
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
            if session.results.len() >= MOST_RESULTS {
                let oldest = session.results.remove(0);
                journal.forgets(Key::Result(sid, oldest.rt));
            }
            session.keep(
                sid,
                Kept { rt, keep_until, result: StoredResult { generation, sealed, stored_at: now } },
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
                journal.keeps(Record::Result(sid, Cow::Borrowed(kept)));
            }
        }
    }

    /// Drops everything of the session.
    pub(super) fn end(&mut self, sid: Sid, journal: &impl Journal) {
        if let Some(mut session) = self.0.remove(&sid) {
            session.forget(sid, journal, |_| true);
        }
    }

    pub(super) fn restore(&mut self, sid: Sid, kept: Kept) {
        let session = self.0.entry(sid).or_default();
        session.results.push(kept);
        session.results.sort_by_key(|kept| kept.result.stored_at);
    }

    pub(super) fn sweep(&mut self, now: Timestamp, journal: &impl Journal) {
        self.0.retain(|sid, session| {
            session.forget(*sid, journal, |kept| kept.keep_until <= now);
            session.leases.retain(|_, held| held.until.plus(LATE) > now);
            !session.results.is_empty() || !session.leases.is_empty()
        });
    }
}

impl Session {
    fn keep(&mut self, sid: Sid, kept: Kept, journal: &impl Journal) {
        journal.keeps(Record::Result(sid, Cow::Borrowed(&kept)));
        self.results.push(kept);
    }

    fn forget(&mut self, sid: Sid, journal: &impl Journal, goes: impl Fn(&Kept) -> bool) {
        self.results.retain(|kept| {
            let goes = goes(kept);
            if goes {
                journal.forgets(Key::Result(sid, kept.rt));
            }
            !goes
        });
    }
}
