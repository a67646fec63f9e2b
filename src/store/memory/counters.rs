//! Counts of quotas in memory.

use std::collections::HashMap;

use super::{
    journal::Journal,
    records::{Record, RecordKey},
};
use crate::{
    clock::Timestamp,
    store::contract::{Digest, Quota, Spent, StoreError, quota::Counted},
};

/// Keys with a count. Beyond this, events of new keys are refused: removing a count would allow its quota twice.
const MOST_KEYS: usize = 1_000_000;

/// The counts, by key, each with the time from which it has no effect.
#[derive(Default)]
pub(super) struct Counters(HashMap<Digest, (Counted, Timestamp)>);

impl Counters {
    pub(super) fn spend(
        &mut self,
        quotas: &[Quota],
        now: Timestamp,
        journal: &impl Journal,
    ) -> Result<Spent, StoreError> {
        for (which, quota) in quotas.iter().enumerate() {
            let counted = self.0.get(&quota.key).map(|(counted, _)| *counted).unwrap_or_default();
            if let Some(again_at) = quota.refused_until(counted, now) {
                return Ok(Spent::Over { which, again_at });
            }
        }
        let new = quotas.iter().filter(|quota| !self.0.contains_key(&quota.key)).count();
        if self.0.len() + new > MOST_KEYS {
            return Err(StoreError::Full);
        }
        for quota in quotas {
            let (counted, until) = self.0.entry(quota.key).or_default();
            *counted = counted.at(quota.window_of(now));
            counted.current += 1;
            *until = quota.forgotten_at(now);
            journal.put(Record::Counter(quota.key, *counted, *until));
        }
        Ok(Spent::Within)
    }

    pub(super) fn refund(&mut self, quotas: &[Quota], counted_at: Timestamp, journal: &impl Journal) {
        for quota in quotas {
            // A refund after the end of its window is dropped: the current window counts other events.
            let Some((counted, until)) = self.0.get_mut(&quota.key) else { continue };
            if counted.window != quota.window_of(counted_at) {
                continue;
            }
            counted.current = counted.current.saturating_sub(1);
            if (counted.current, counted.previous) == (0, 0) {
                self.0.remove(&quota.key);
                journal.remove(RecordKey::Counter(quota.key));
            } else {
                journal.put(Record::Counter(quota.key, *counted, *until));
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn restore(&mut self, key: Digest, counted: Counted, until: Timestamp) {
        self.0.insert(key, (counted, until));
    }

    pub(super) fn sweep(&mut self, now: Timestamp, journal: &impl Journal) {
        self.0.retain(|key, (_, until)| {
            let is_kept = *until > now;
            if !is_kept {
                journal.remove(RecordKey::Counter(*key));
            }
            is_kept
        });
    }
}
