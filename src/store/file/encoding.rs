//! Records as bytes: numbers are big-endian, texts are prefixed with their length. The name of each table ends with the
//! version of its encoding.

use std::{borrow::Cow, collections::HashMap};

use bytes::Bytes;

use crate::{
    clock::Timestamp,
    store::{
        contract::{DepositPlace, Digest, FamilyId, Sid, StoredResult, quota::Counted},
        memory::records::{AddressCodes, CodeRecord, DepositRecord, FamilyRecord, Record, RecordKey, ResultRecord},
    },
};

/// The table of a kind of record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RecordTable {
    Results,
    Ended,
    Taken,
    Addresses,
    Counters,
    Families,
    Deposits,
}

impl RecordTable {
    pub(super) const ALL: [Self; 7] =
        [Self::Results, Self::Ended, Self::Taken, Self::Addresses, Self::Counters, Self::Families, Self::Deposits];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Results => "results-1",
            Self::Ended => "ended-1",
            Self::Taken => "taken-1",
            Self::Addresses => "addresses-1",
            Self::Counters => "counters-1",
            Self::Families => "families-1",
            Self::Deposits => "deposits-1",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    pub(super) fn of(key: &RecordKey) -> Self {
        match key {
            RecordKey::Result(..) => Self::Results,
            RecordKey::Ended(_) => Self::Ended,
            RecordKey::Taken(_) => Self::Taken,
            RecordKey::Address(_) => Self::Addresses,
            RecordKey::Counter(_) => Self::Counters,
            RecordKey::Family(_) => Self::Families,
            RecordKey::Deposit(_) => Self::Deposits,
        }
    }
}

/// The bytes of a key in its table.
pub(super) fn key(key: &RecordKey) -> Vec<u8> {
    match key {
        RecordKey::Result(sid, rt) => [&sid.0[..], &rt.0[..]].concat(),
        RecordKey::Deposit(place) => [place.owner.0, place.key.0].concat(),
        RecordKey::Ended(Sid(id)) | RecordKey::Family(FamilyId(id)) => id.to_vec(),
        RecordKey::Taken(digest) | RecordKey::Address(digest) | RecordKey::Counter(digest) => digest.0.to_vec(),
    }
}

/// The bytes of a record's value.
pub(super) fn value(record: &Record<'_>) -> Vec<u8> {
    let mut bytes = Encoder::default();
    match record {
        Record::Result(_, kept) => {
            bytes.time(kept.keep_until).u32(kept.result.generation).time(kept.result.stored_at);
            bytes.text(&kept.result.sealed);
        }
        Record::Ended(_, until) | Record::Taken(_, until) => {
            bytes.time(*until);
        }
        Record::Address(_, address) => {
            bytes.time(address.sent_at).time(address.cool_until).u64(address.claims);
            for (browser, code) in &address.codes {
                bytes.digest(browser).digest(&code.mac).text(&code.sealed).time(code.expires).u32(code.tries);
                bytes.u32(code.sent_again).u64(code.claim).flag(code.is_exhausted).flag(code.claimed_until.is_some());
                bytes.time(code.claimed_until.unwrap_or_default());
            }
        }
        Record::Counter(_, counted, until) => {
            bytes.i64(counted.window).u32(counted.current).u32(counted.previous).time(*until);
        }
        Record::Family(_, family) => {
            bytes.u32(family.generation).time(family.advanced_at).time(family.until).text(&family.record);
        }
        Record::Deposit(_, deposit) => {
            bytes.time(deposit.until).text(&deposit.value);
        }
    }
    bytes.0
}

/// Decodes a record; `None` if `key` or `value` is malformed.
pub(super) fn record(table: RecordTable, key: &[u8], value: &[u8]) -> Option<Record<'static>> {
    let (mut key, mut value) = (Decoder(key), Decoder(value));
    let record = match table {
        RecordTable::Results => {
            let (sid, rt) = (Sid(key.array()?), key.digest()?);
            let (keep_until, generation, stored_at) = (value.time()?, value.u32()?, value.time()?);
            let result = StoredResult { generation, sealed: value.text()?, stored_at };
            Record::Result(sid, Cow::Owned(ResultRecord { rt, keep_until, result }))
        }
        RecordTable::Ended => Record::Ended(Sid(key.array()?), value.time()?),
        RecordTable::Taken => Record::Taken(key.digest()?, value.time()?),
        RecordTable::Addresses => {
            let (sent_at, cool_until, claims) = (value.time()?, value.time()?, value.u64()?);
            let mut codes = HashMap::new();
            while !value.0.is_empty() {
                codes.insert(value.digest()?, code(&mut value)?);
            }
            Record::Address(key.digest()?, Cow::Owned(AddressCodes { sent_at, cool_until, claims, codes }))
        }
        RecordTable::Counters => {
            let counted = Counted { window: value.i64()?, current: value.u32()?, previous: value.u32()? };
            Record::Counter(key.digest()?, counted, value.time()?)
        }
        RecordTable::Families => {
            let (generation, advanced_at, until) = (value.u32()?, value.time()?, value.time()?);
            let family = FamilyRecord { generation, advanced_at, until, record: value.text()? };
            Record::Family(FamilyId(key.array()?), Cow::Owned(family))
        }
        RecordTable::Deposits => {
            let place = DepositPlace { owner: key.digest()?, key: key.digest()? };
            Record::Deposit(place, Cow::Owned(DepositRecord { until: value.time()?, value: value.text()? }))
        }
    };
    (key.0.is_empty() && value.0.is_empty()).then_some(record)
}

fn code(value: &mut Decoder<'_>) -> Option<CodeRecord> {
    let (mac, sealed, expires, tries) = (value.digest()?, value.text()?, value.time()?, value.u32()?);
    let (sent_again, claim, is_exhausted, is_claimed) = (value.u32()?, value.u64()?, value.flag()?, value.flag()?);
    let claimed_until = Some(value.time()?).filter(|_| is_claimed);
    Some(CodeRecord { mac, sealed, expires, tries, sent_again, claim, claimed_until, is_exhausted })
}

#[derive(Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u32(&mut self, number: u32) -> &mut Self {
        self.raw(&number.to_be_bytes())
    }

    fn u64(&mut self, number: u64) -> &mut Self {
        self.raw(&number.to_be_bytes())
    }

    fn i64(&mut self, number: i64) -> &mut Self {
        self.raw(&number.to_be_bytes())
    }

    fn time(&mut self, time: Timestamp) -> &mut Self {
        self.i64(time.as_millis())
    }

    fn flag(&mut self, flag: bool) -> &mut Self {
        self.raw(&[u8::from(flag)])
    }

    fn digest(&mut self, digest: &Digest) -> &mut Self {
        self.raw(&digest.0)
    }

    fn text(&mut self, text: &[u8]) -> &mut Self {
        self.u32(u32::try_from(text.len()).expect("sealed values are far shorter than 4 GiB")).raw(text)
    }
}

struct Decoder<'b>(&'b [u8]);

impl Decoder<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.i64().map(Timestamp::from_millis)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.array()? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    fn digest(&mut self) -> Option<Digest> {
        self.array().map(Digest)
    }

    fn text(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Bytes::copy_from_slice(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn samples() -> Vec<Record<'static>> {
        let (sid, digest) = (Sid([7; 16]), Digest([9; 32]));
        let code = |claimed_until| CodeRecord {
            mac: digest,
            sealed: Bytes::from_static(b"digits"),
            expires: at(180),
            tries: 3,
            sent_again: 2,
            claim: u64::MAX,
            claimed_until,
            is_exhausted: claimed_until.is_none(),
        };
        let codes = HashMap::from([(digest, code(None)), (Digest([1; 32]), code(Some(at(-1))))]);
        let result = StoredResult { generation: 5, sealed: Bytes::new(), stored_at: at(1) };
        vec![
            Record::Result(sid, Cow::Owned(ResultRecord { rt: digest, keep_until: at(9), result })),
            Record::Ended(sid, at(1)),
            Record::Taken(digest, Timestamp::from_millis(i64::MAX)),
            Record::Address(digest, Cow::Owned(AddressCodes { sent_at: at(1), cool_until: at(2), claims: 3, codes })),
            Record::Counter(digest, Counted { window: -4, current: 2, previous: u32::MAX }, at(3)),
            Record::Family(
                FamilyId([3; 16]),
                Cow::Owned(FamilyRecord {
                    generation: 8,
                    advanced_at: at(1),
                    record: Bytes::from_static(b"who"),
                    until: at(4),
                }),
            ),
            Record::Deposit(
                DepositPlace { owner: digest, key: Digest([2; 32]) },
                Cow::Owned(DepositRecord { until: at(5), value: Bytes::from_static(b"sealed") }),
            ),
        ]
    }

    #[test]
    fn a_record_is_decoded_unchanged_and_one_byte_more_or_less_is_refused() {
        for sample in samples() {
            let (table, key, bytes) = (RecordTable::of(&sample.key()), key(&sample.key()), value(&sample));
            let read = record(table, &key, &bytes).unwrap();
            assert!(read.key() == sample.key(), "{table:?}");
            // Codes are encoded in any order.
            let (mut again, mut sorted) = (value(&read), bytes.clone());
            again.sort_unstable();
            sorted.sort_unstable();
            assert_eq!(again, sorted, "{table:?}");
            assert!(record(table, &key, &bytes[..bytes.len() - 1]).is_none(), "{table:?}");
            assert!(record(table, &key, &[&bytes[..], &[0]].concat()).is_none(), "{table:?}");
            assert!(record(table, &key[1..], &bytes).is_none(), "{table:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(table in 0..7_usize, key: Vec<u8>, value: Vec<u8>) {
            let _ = record(RecordTable::ALL[table], &key, &value);
        }
    }
}
