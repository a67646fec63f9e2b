//! The records that memory contains and a journal writes.

use std::{borrow::Cow, collections::HashMap};

use bytes::Bytes;

use crate::{
    clock::Timestamp,
    store::contract::{DepositPlace, Digest, FamilyId, Generation, Sid, StoredResult, quota::Counted},
};

/// The result of a refresh, with the refresh token that it replaces and its expiry.
#[derive(Clone)]
pub(in crate::store) struct ResultRecord {
    pub(in crate::store) rt: Digest,
    pub(in crate::store) keep_until: Timestamp,
    pub(in crate::store) result: StoredResult,
}

/// The codes that an address was sent.
#[derive(Clone, Default)]
pub(in crate::store) struct AddressCodes {
    pub(in crate::store) sent_at: Timestamp,
    pub(in crate::store) cool_until: Timestamp,
    /// The highest number of a claim on any of its codes.
    pub(in crate::store) claims: u64,
    /// The codes, by browser.
    pub(in crate::store) codes: HashMap<Digest, CodeRecord>,
}

/// One code, live or claimed.
#[derive(Clone)]
pub(in crate::store) struct CodeRecord {
    pub(in crate::store) mac: Digest,
    pub(in crate::store) sealed: Bytes,
    pub(in crate::store) expires: Timestamp,
    pub(in crate::store) tries: u32,
    pub(in crate::store) sent_again: u32,
    /// The number of the newest claim, also after it ran out.
    pub(in crate::store) claim: u64,
    pub(in crate::store) claimed_until: Option<Timestamp>,
    pub(in crate::store) is_exhausted: bool,
}

/// The refresh tokens of one login.
#[derive(Clone)]
pub(in crate::store) struct FamilyRecord {
    pub(in crate::store) generation: Generation,
    pub(in crate::store) advanced_at: Timestamp,
    pub(in crate::store) record: Bytes,
    pub(in crate::store) until: Timestamp,
}

/// A value that is kept for minutes.
#[derive(Clone)]
pub(in crate::store) struct DepositRecord {
    pub(in crate::store) until: Timestamp,
    pub(in crate::store) value: Bytes,
}

/// A record with its key.
pub(in crate::store) enum Record<'r> {
    Result(Sid, Cow<'r, ResultRecord>),
    /// With the time until which the end is remembered.
    Ended(Sid, Timestamp),
    /// With the time from which the key can be taken again.
    Taken(Digest, Timestamp),
    Address(Digest, Cow<'r, AddressCodes>),
    /// With the time from which the count has no effect.
    Counter(Digest, Counted, Timestamp),
    Family(FamilyId, Cow<'r, FamilyRecord>),
    Deposit(DepositPlace, Cow<'r, DepositRecord>),
}

/// The key of a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::store) enum RecordKey {
    Result(Sid, Digest),
    Ended(Sid),
    Taken(Digest),
    Address(Digest),
    Counter(Digest),
    Family(FamilyId),
    Deposit(DepositPlace),
}

impl Record<'_> {
    pub(in crate::store) fn key(&self) -> RecordKey {
        match self {
            Self::Result(sid, kept) => RecordKey::Result(*sid, kept.rt),
            Self::Ended(sid, _) => RecordKey::Ended(*sid),
            Self::Taken(key, _) => RecordKey::Taken(*key),
            Self::Address(address, _) => RecordKey::Address(*address),
            Self::Counter(key, ..) => RecordKey::Counter(*key),
            Self::Family(family, _) => RecordKey::Family(*family),
            Self::Deposit(place, _) => RecordKey::Deposit(*place),
        }
    }
}
