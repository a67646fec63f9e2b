//! Single-use keys in memory.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::{
    journal::Journal,
    records::{Record, RecordKey},
};
use crate::{
    clock::Timestamp,
    store::contract::{Digest, Owner, StoreError},
};

/// Taken keys. Beyond this, new ones are refused: removing one would allow a second take.
const MOST_TAKEN: usize = 1_000_000;
/// Taken keys at which one that is remembered for more than a day (a person, a device) is refused. The rest is reserved
/// for logins.
const MOST_LONG_LIVED: usize = 900_000;
const DAY: Duration = Duration::from_secs(86_400);

/// The keys, each with the time from which it can be taken again.
#[derive(Default)]
pub(super) struct Taken {
    keys: HashMap<Digest, Timestamp>,
    /// The keys of each owner, oldest first. Not written to a journal: after a restart they only expire.
    owned: HashMap<Digest, VecDeque<Digest>>,
}

impl Taken {
    pub(super) fn take(
        &mut self,
        key: Digest,
        until: Timestamp,
        now: Timestamp,
        journal: &impl Journal,
    ) -> Result<bool, StoreError> {
        match self.keys.get(&key) {
            Some(until) if *until > now => return Ok(false),
            None if self.keys.len() >= if until.since(now) > DAY { MOST_LONG_LIVED } else { MOST_TAKEN } => {
                return Err(StoreError::Full);
            }
            _ => {}
        }
        self.keys.insert(key, until);
        journal.put(Record::Taken(key, until));
        Ok(true)
    }

    pub(super) fn take_of(
        &mut self,
        owner: Owner,
        key: Digest,
        until: Timestamp,
        now: Timestamp,
        journal: &impl Journal,
    ) -> Result<bool, StoreError> {
        if !self.take(key, until, now, journal)? {
            return Ok(false);
        }
        let keys = self.owned.entry(owner.key).or_default();
        keys.retain(|other| *other != key);
        keys.push_back(key);
        let excess = keys.len().saturating_sub(usize::try_from(owner.most).unwrap_or(usize::MAX));
        for oldest in keys.drain(..excess).collect::<Vec<_>>() {
            self.give_back(oldest, journal);
        }
        Ok(true)
    }

    pub(super) fn give_back(&mut self, key: Digest, journal: &impl Journal) {
        if self.keys.remove(&key).is_some() {
            journal.remove(RecordKey::Taken(key));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn restore(&mut self, key: Digest, until: Timestamp) {
        self.keys.insert(key, until);
    }

    pub(super) fn sweep(&mut self, now: Timestamp, journal: &impl Journal) {
        self.keys.retain(|key, until| {
            let is_kept = *until > now;
            if !is_kept {
                journal.remove(RecordKey::Taken(*key));
            }
            is_kept
        });
        self.owned.retain(|_, owned| {
            owned.retain(|key| self.keys.contains_key(key));
            !owned.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{super::journal::NoJournal, *};

    #[test]
    fn keys_remembered_for_more_than_a_day_leave_room_for_logins() {
        let now = Timestamp::from_secs(1_700_000_000);
        let (soon, late) = (now.plus(Duration::from_secs(600)), now.plus(400 * DAY));
        let key = |number: usize| Digest([number.to_be_bytes(); 4].concat().try_into().unwrap());
        let mut taken = Taken::default();
        for number in 0..MOST_LONG_LIVED {
            taken.restore(key(number), late);
        }
        assert!(matches!(taken.take(key(MOST_LONG_LIVED), late, now, &NoJournal), Err(StoreError::Full)));
        assert!(taken.take(key(MOST_LONG_LIVED), soon, now, &NoJournal).unwrap());
        assert!(!taken.take(key(0), late, now, &NoJournal).unwrap(), "a taken key stays taken");
        for number in MOST_LONG_LIVED..MOST_TAKEN {
            taken.restore(key(number), soon);
        }
        assert!(matches!(taken.take(key(MOST_TAKEN), soon, now, &NoJournal), Err(StoreError::Full)));
    }
}
