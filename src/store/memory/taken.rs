//! Single-use keys in memory.

use std::{collections::HashMap, time::Duration};

use super::{
    journal::Journal,
    records::{Record, RecordKey},
};
use crate::{
    clock::Timestamp,
    store::contract::{Digest, StoreError},
};

/// Taken keys. Beyond this, new ones are refused: removing one would allow a second take.
const MOST_TAKEN: usize = 1_000_000;
/// Taken keys at which one that is remembered for more than a day (a person, a device) is refused. The rest is reserved
/// for logins.
const MOST_LONG_LIVED: usize = 900_000;
const DAY: Duration = Duration::from_secs(86_400);

/// The keys, each with the time from which it can be taken again.
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
            None if self.0.len() >= if until.since(now) > DAY { MOST_LONG_LIVED } else { MOST_TAKEN } => {
                return Err(StoreError::Full);
            }
            _ => {}
        }
        self.0.insert(key, until);
        journal.put(Record::Taken(key, until));
        Ok(true)
    }

    pub(super) fn give_back(&mut self, key: Digest, journal: &impl Journal) {
        if self.0.remove(&key).is_some() {
            journal.remove(RecordKey::Taken(key));
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
            let is_kept = *until > now;
            if !is_kept {
                journal.remove(RecordKey::Taken(*key));
            }
            is_kept
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
