//! State that requests, and instances of the gateway, share. The traits are in `contract/`. One test suite
//! (`conformance/`) runs against each of the four implementations: `memory/`, `file/`, `redis/` and `postgres/`.

#[cfg(test)]
mod conformance;
mod contract;
mod ended_sessions;
mod file;
mod local;
mod memory;
mod open;
mod postgres;
mod reconnect;
mod redis;
mod tls;
mod waiters;
mod words;

pub use contract::{
    Advanced, CodeFacts, Codes, Counters, DepositPlace, Deposits, Digest, Families, FamilyId, Generation, Grant,
    Health, Holder, Lease, NewCode, Note, Notes, OneTime, OpenStoreError, Opened, Owner, Quota, Refreshes, Replaced,
    Resent, Settled, Sid, Spent, Store, StoreError, StoredResult, Tried, clocks_agree,
};
pub use memory::MemoryStore;
pub use open::{Settings, check, open};
