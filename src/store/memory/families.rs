//! Families of refresh tokens in memory.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use bytes::Bytes;

use super::{
    journal::Journal,
    records::{FamilyRecord, Record, RecordKey},
};
use crate::{
    clock::Timestamp,
    store::contract::{Advanced, FamilyId, Generation, StoreError},
};

/// Families in memory, one for each login. Beyond this no new login succeeds.
const MOST_FAMILIES: usize = 1_000_000;

/// The families, by id.
#[derive(Default)]
pub(super) struct Families(HashMap<FamilyId, FamilyRecord>);

impl Families {
    pub(super) fn begin(
        &mut self,
        id: FamilyId,
        record: Bytes,
        until: Timestamp,
        now: Timestamp,
        journal: &impl Journal,
    ) -> Result<(), StoreError> {
        if self.0.len() >= MOST_FAMILIES {
            return Err(StoreError::Full);
        }
        let family = FamilyRecord { generation: 0, advanced_at: now, record, until };
        journal.put(Record::Family(id, Cow::Borrowed(&family)));
        self.0.insert(id, family);
        Ok(())
    }

    pub(super) fn advance(
        &mut self,
        id: FamilyId,
        shown: Generation,
        grace: Duration,
        until: Timestamp,
        now: Timestamp,
        journal: &impl Journal,
    ) -> Advanced {
        let Some(family) = self.0.get_mut(&id).filter(|family| family.until > now) else { return Advanced::Unknown };
        if shown == family.generation {
            family.generation = family.generation.saturating_add(1);
            family.advanced_at = now;
            family.until = until;
            journal.put(Record::Family(id, Cow::Borrowed(family)));
        } else if shown > family.generation {
            return Advanced::Unknown;
        } else if shown + 1 < family.generation || family.advanced_at.plus(grace) <= now {
            self.end(id, journal);
            return Advanced::Reused;
        }
        Advanced::To { generation: family.generation, record: family.record.clone() }
    }

    pub(super) fn end(&mut self, id: FamilyId, journal: &impl Journal) {
        if self.0.remove(&id).is_some() {
            journal.remove(RecordKey::Family(id));
        }
    }

    pub(super) fn restore(&mut self, id: FamilyId, family: FamilyRecord) {
        self.0.insert(id, family);
    }

    pub(super) fn sweep(&mut self, now: Timestamp, journal: &impl Journal) {
        self.0.retain(|id, family| {
            let is_kept = family.until > now;
            if !is_kept {
                journal.remove(RecordKey::Family(*id));
            }
            is_kept
        });
    }
}
