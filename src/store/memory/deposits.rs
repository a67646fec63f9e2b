//! Deposits in memory.

use std::{borrow::Cow, collections::HashMap};

use bytes::Bytes;

use super::{
    journal::Journal,
    records::{DepositRecord, Record, RecordKey},
};
use crate::{
    clock::Timestamp,
    store::contract::{DepositPlace, Digest},
};

/// Most bytes of all values. Beyond this, the owner with the most loses the deposit that ends first.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// What a deposit costs besides its value, in bytes: keys, times and the room in two maps.
const OVERHEAD: usize = 256;

/// The deposits, by owner.
#[derive(Default)]
pub(super) struct Deposits {
    by_owner: HashMap<Digest, HashMap<Digest, DepositRecord>>,
    bytes: usize,
}

fn size(deposit: &DepositRecord) -> usize {
    deposit.value.len() + OVERHEAD
}

/// The deposit that ends first.
fn first_to_end(deposits: &HashMap<Digest, DepositRecord>) -> Option<Digest> {
    deposits.iter().min_by_key(|(key, deposit)| (deposit.until, **key)).map(|(key, _)| *key)
}

impl Deposits {
    pub(super) fn deposit(
        &mut self,
        place: DepositPlace,
        value: Bytes,
        until: Timestamp,
        most: usize,
        now: Timestamp,
        journal: &impl Journal,
    ) {
        self.remove(place, journal);
        self.remove_ended(place.owner, now, journal);
        while let Some(own) = self.by_owner.get(&place.owner)
            && own.len() >= most.max(1)
            && let Some(key) = first_to_end(own)
        {
            self.remove(DepositPlace { key, ..place }, journal);
        }
        let deposit = DepositRecord { until, value };
        journal.put(Record::Deposit(place, Cow::Borrowed(&deposit)));
        self.restore(place, deposit);
        while self.bytes > MOST_BYTES && self.evict(journal) {}
    }

    pub(super) fn find(&self, place: DepositPlace, now: Timestamp) -> Option<Bytes> {
        let deposit = self.by_owner.get(&place.owner)?.get(&place.key)?;
        (deposit.until > now).then(|| deposit.value.clone())
    }

    pub(super) fn withdraw(&mut self, place: DepositPlace, now: Timestamp, journal: &impl Journal) -> Option<Bytes> {
        let value = self.find(place, now);
        self.remove(place, journal);
        value
    }

    pub(super) fn restore(&mut self, place: DepositPlace, deposit: DepositRecord) {
        self.bytes += size(&deposit);
        self.by_owner.entry(place.owner).or_default().insert(place.key, deposit);
    }

    pub(super) fn sweep(&mut self, now: Timestamp, journal: &impl Journal) {
        let owners: Vec<_> = self.by_owner.keys().copied().collect();
        for owner in owners {
            self.remove_ended(owner, now, journal);
        }
    }

    fn remove(&mut self, place: DepositPlace, journal: &impl Journal) {
        let Some(own) = self.by_owner.get_mut(&place.owner) else { return };
        if let Some(deposit) = own.remove(&place.key) {
            self.bytes -= size(&deposit);
            journal.remove(RecordKey::Deposit(place));
        }
        if own.is_empty() {
            self.by_owner.remove(&place.owner);
        }
    }

    fn remove_ended(&mut self, owner: Digest, now: Timestamp, journal: &impl Journal) {
        let Some(own) = self.by_owner.get(&owner) else { return };
        let ended: Vec<_> = own.iter().filter(|(_, deposit)| deposit.until <= now).map(|(key, _)| *key).collect();
        for key in ended {
            self.remove(DepositPlace { owner, key }, journal);
        }
    }

    /// Removes the deposit that ends first of the owner with the most bytes. False if there is none.
    fn evict(&mut self, journal: &impl Journal) -> bool {
        let largest = self.by_owner.iter().max_by_key(|(_, own)| own.values().map(size).sum::<usize>());
        let Some((owner, own)) = largest else { return false };
        let Some(key) = first_to_end(own) else { return false };
        self.remove(DepositPlace { owner: *owner, key }, journal);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{super::journal::NoJournal, *};

    #[test]
    fn beyond_the_memory_limit_the_owner_with_the_most_loses_its_deposits() {
        let now = Timestamp::from_secs(1_700_000_000);
        let until = now.plus(std::time::Duration::from_secs(60));
        let place = |owner: u8, key: u64| DepositPlace {
            owner: Digest([owner; 32]),
            key: Digest([key.to_be_bytes(); 4].concat().try_into().unwrap()),
        };
        let mut deposits = Deposits::default();
        deposits.deposit(place(1, 0), Bytes::from_static(b"mine"), until, 64, now, &NoJournal);
        let large = Bytes::from(vec![0; 1 << 20]);
        for key in 0..200 {
            deposits.deposit(place(2, key), large.clone(), until, 1000, now, &NoJournal);
        }
        assert!(deposits.bytes <= MOST_BYTES);
        assert_eq!(deposits.find(place(1, 0), now), Some(Bytes::from_static(b"mine")));
        assert!(deposits.find(place(2, 199), now).is_some() || deposits.by_owner[&Digest([2; 32])].len() > 50);
        deposits.sweep(until, &NoJournal);
        assert_eq!((deposits.bytes, deposits.by_owner.len()), (0, 0));
    }
}
