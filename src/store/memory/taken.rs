//! Single-use keys in memory.

use std::collections::HashMap;

use super::{
    super::{Digest, StoreError},
    journal::{Journal, Key, Record},
};
use crate::clock::Timestamp;

/// Keys remembered; past that new ones are refused, because forgetting one would allow it twice.
const MOST_TAKEN: usize = 1_000_000;

/// By key, with the moment from which it may be taken again.
#[derive(Default)]
pub(super) struct Taken(HashMap<Digest, Timestamp>);

impl Taken {
    pub(super) fn take(
        &mut self,
        key: Digest,
        until: Timestamp,
        now: Timestamp,
        journal: &impl Journal,
    ) -> Result<bool, StoreError> {
        match self.0.get(&key) {
            Some(until) if *until > now => return Ok(false),
            None if self.0.len() >= MOST_TAKEN => return Err(StoreError::Full),
            _ => {}
        }
        self.0.insert(key, until);
        journal.keeps(Record::Taken(key, until));
        Ok(true)
    }

    pub(super) fn give_back(&mut self, key: Digest, journal: &impl Journal) {
        if self.0.remove(&key).is_some() {
            journal.forgets(Key::Taken(key));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn restore(&mut self, key: Digest, until: Timestamp) {
        self.0.insert(key, until);
    }

    pub(super) fn sweep(&mut self, now: Timestamp, journal: &impl Journal) {
        self.0.retain(|key, until| {
            let stays = *until > now;
            if !stays {
                journal.forgets(Key::Taken(*key));
            }
            stays
        });
    }
}
