//! Families of refresh tokens in memory.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;

use super::super::{Advanced, FamilyId, Generation, StoreError};
use crate::clock::Timestamp;

/// Logins whose refresh tokens are remembered; past that nobody new can log in.
const MOST_FAMILIES: usize = 1_000_000;

/// By id.
#[derive(Default)]
pub(super) struct Families(HashMap<FamilyId, Family>);

struct Family {
    generation: Generation,
    advanced_at: Timestamp,
    record: Bytes,
    until: Timestamp,
}

impl Families {
    pub(super) fn begin(
        &mut self,
        family: FamilyId,
        record: Bytes,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.0.len() >= MOST_FAMILIES {
            return Err(StoreError::Full);
        }
        self.0.insert(family, Family { generation: 0, advanced_at: now, record, until });
        Ok(())
    }

    pub(super) fn advance(
        &mut self,
        family: FamilyId,
        shown: Generation,
        grace: Duration,
        until: Timestamp,
        now: Timestamp,
    ) -> Advanced {
        let Some(held) = self.0.get_mut(&family).filter(|held| held.until > now) else { return Advanced::Unknown };
        if shown == held.generation {
            held.generation = held.generation.saturating_add(1);
            held.advanced_at = now;
            held.until = until;
        } else if shown > held.generation {
            return Advanced::Unknown;
        } else if shown + 1 < held.generation || held.advanced_at.plus(grace) <= now {
            self.0.remove(&family);
            return Advanced::Reused;
        }
        Advanced::To { generation: held.generation, record: held.record.clone() }
    }

    pub(super) fn end(&mut self, family: FamilyId) {
        self.0.remove(&family);
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.0.retain(|_, family| family.until > now);
    }
}
