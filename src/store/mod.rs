//! What several requests, and later several instances, must agree on. Four rules hold for every implementation:
//!
//! 1. every call can fail, and a failure never lets anyone in;
//! 2. absence is an `Option` or a variant, not an error;
//! 3. time is passed in: a store has no clock of its own;
//! 4. one call is one atomic step.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::{channel::Channel, clock::Timestamp, secret::Secret};

#[cfg(test)]
mod conformance;
mod endings;
mod file;
mod memory;
mod open;
mod postgres;
mod quota;
mod redis;
mod wakes;

pub use memory::MemoryStore;
pub use open::{OpenError, judge, open};
pub use postgres::PostgresStore;
pub use redis::RedisStore;

/// The login that a session began with: 128 random bits, new at each login.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid(pub [u8; 16]);

impl std::fmt::Debug for Sid {
    /// Enough to correlate log lines, too little to guess the rest.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}{:02x}…", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// SHA-256 of something that is looked up but must not be readable in the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Digest(pub [u8; 32]);

/// Counts the refreshes of one session, from 0 at login.
pub type Generation = u32;

/// The store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It could not be reached, or it is too slow.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// It holds as much as it may.
    #[error("the store is full")]
    Full,
}

/// One refresh result: opaque to the store, sealed by the session module.
#[derive(Clone, Debug)]
pub struct StoredResult {
    /// The generation the result brought.
    pub generation: Generation,
    /// The sealed tokens.
    pub sealed: Bytes,
    /// When it was stored.
    pub stored_at: Timestamp,
}

/// What asking for the right to refresh brought.
#[derive(Debug)]
pub enum Lease {
    /// Ask the authority; settle with this fencing number.
    Granted(u64),
    /// Another holder is asking, at the latest until this moment.
    Held(Timestamp),
    /// There is a result newer than the one known.
    Result(StoredResult),
    /// The session has ended.
    Ended,
}

/// What settling a lease brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// The result stands, and those who waited were woken.
    Stored,
    /// The session ended meanwhile: nothing was stored.
    Ended,
    /// The lease was lost to another holder: nothing was stored.
    Lost,
}

/// Who may refresh, what refreshes brought, and which sessions have ended. All of a session's entries can be reached by its `sid`, so each method can be one
/// script on one node of a shared store.
pub trait Refreshes: Send + Sync {
    /// Takes the right to refresh with the RT whose digest is `rt`, unless the session has ended, a result of a generation above `known` is stored under `rt`, or the
    /// right is held. Held rights fall back at `until`.
    fn lease(
        &self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Lease, StoreError>>;

    /// Holds a granted lease until `until`. False where another holder has it by now, or it was settled.
    fn renew(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Gives a lease back, with what the authority answered (`None`: nothing of use; an older result stays), and wakes those who wait. The result stays until `keep_until`. A lease
    /// that ran out settles like any other while nobody else was granted it: its result may hold the only valid token.
    fn settle(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        result: Option<(Generation, Bytes)>,
        keep_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Settled, StoreError>>;

    /// The stored result for `rt`, of any generation.
    fn result(&self, sid: Sid, rt: Digest, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredResult>, StoreError>>;

    /// A visitor showed `generation`: results of the session up to it are kept until `keep_until` at most.
    fn acknowledge(
        &self,
        sid: Sid,
        generation: Generation,
        keep_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Ends the session: remembered until `until`, its results dropped, whoever waits for it woken, every watcher told.
    fn end(&self, sid: Sid, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Resolves when something settled or ended for the session since the call (not since the first poll), or after `at_most`. There need not be anything stored for it.
    fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'_, ()>;

    /// The sessions that have ended, remembered in this process: asked on the request path, so it neither waits nor fails.
    fn has_ended(&self, sid: Sid, now: Timestamp) -> bool;

    /// Sessions as they end, wherever in the fleet that happens.
    fn endings(&self) -> tokio::sync::broadcast::Receiver<Sid>;
}

/// Things that may be used once: login attempts, ID tokens; and what is to be remembered: people and devices that have logged in.
pub trait OneTime: Send + Sync {
    /// True for the first taker of `key`; remembered until `until`.
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Undoes a take of what came to nothing: the next taker is the first again.
    fn give_back(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// A one-time code about to be sent. `address` and `browser` name it: one code for each pair.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// Whom it goes to: a keyed digest of channel and address.
    pub address: Digest,
    /// Who may use it: a digest of purpose and the asking browser's handle.
    pub browser: Digest,
    /// A keyed digest of its digits and of all that it is bound to: comparing two of these tells nothing to who times it.
    pub mac: Digest,
    /// Its digits, sealed, to send them again.
    pub sealed: Bytes,
    /// From then on it is dead.
    pub expires: Timestamp,
    /// For whoever audits the store.
    pub facts: CodeFacts,
}

/// What a code's record says in clear.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeFacts {
    /// The channel of the address.
    pub channel: Channel,
    /// `verify`, `login` or `prove`.
    pub purpose: &'static str,
    /// The address, masked.
    pub masked: String,
}

/// What opening a code brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// It stands, in place of the older one of the same browser for the same address.
    Stored,
    /// Nothing was stored: the address was sent a code too short a time ago, or has as many live codes as it may. Worth another try from then on.
    TooSoon(Timestamp),
}

/// What asking for a code once more brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Again {
    /// The live code; this sending is counted.
    Code {
        /// Its digits, sealed.
        sealed: Bytes,
        /// When it dies.
        expires: Timestamp,
    },
    /// It was sent again as often as it may; it dies then.
    TooOften(Timestamp),
    /// There is no live code.
    None,
}

/// What trying a code brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tried {
    /// It is right, and claimed for this taker until it is settled or the claim runs out; the number is the claim's.
    Right(u64),
    /// It is wrong; the try is counted.
    Wrong,
    /// There is no live code, its tries are used up, or another taker has it: nothing was compared.
    Gone,
}

/// One-time codes. All codes of an address can be reached by its digest, so each method can be one script on one node of a shared store.
pub trait Codes: Send + Sync {
    /// Keeps `code`, unless the address was sent one less than `cooldown` ago, or other browsers have `most_live` live codes for it (live: not expired, not spent, not claimed
    /// for good, tries left).
    fn open(
        &self,
        code: NewCode,
        cooldown: Duration,
        most_live: usize,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Opened, StoreError>>;

    /// The live code of this browser, to be sent once more: at most `most` times. Its tries stay as they are, and so does the cool-down.
    fn again(
        &self,
        address: Digest,
        browser: Digest,
        most: u32,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Again, StoreError>>;

    /// Counts a try, then compares `mac` with the live code's: one atomic step. After `most_tries` wrong ones the code is dead. A right one is claimed until `claim_until`.
    fn try_code(
        &self,
        address: Digest,
        browser: Digest,
        mac: Digest,
        most_tries: u32,
        claim_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Tried, StoreError>>;

    /// Ends a claim: `spent`, the code is used up; otherwise it lives on, and its right try is not counted. False where the claim was lost meanwhile: it ran out and another
    /// taker has the code, or the browser was sent another code. That the code's own time is over takes no claim away.
    fn settle_code(
        &self,
        address: Digest,
        browser: Digest,
        claim: u64,
        spent: bool,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;
}

/// So many in so long, counted under one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// What is counted.
    pub key: Digest,
    /// So many; at least 1.
    pub most: u32,
    /// In so long; at least a second.
    pub window: Duration,
}

/// What counting brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spent {
    /// One more was counted under every key.
    Within,
    /// Nothing was counted: one quota is used up.
    Over {
        /// Which, by its place in the list.
        which: usize,
        /// When it admits one more, if nothing else is counted.
        again_at: Timestamp,
    },
}

/// Limits. A window's count weighs in the next one by the share of it that is less than a window ago (see `quota.rs`), so that no aligned window ever holds more than its
/// quota, and no border lets twice as many through.
pub trait Counters: Send + Sync {
    /// Counts one more under every key, or under none.
    fn spend(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<Spent, StoreError>>;

    /// Takes one back under every key, of what was counted in the window of `now`.
    fn refund(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// The refresh tokens of one login at the gateway as the authority.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FamilyId(pub [u8; 16]);

/// What showing a refresh token brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Advanced {
    /// The family stands at this generation now: one above the one that was shown.
    To {
        /// The generation of the new token.
        generation: Generation,
        /// What was kept with the family.
        record: Bytes,
    },
    /// A token that had long been replaced: somebody else has it too. The family is ended.
    Reused,
    /// There is no such family, or it has ended.
    Unknown,
}

/// Families of opaque rotating refresh tokens, with reuse detection (RFC 9700 section 4.14.2).
pub trait Families: Send + Sync {
    /// Begins a family at generation 0; it ends at `until`.
    fn begin(
        &self,
        family: FamilyId,
        record: Bytes,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Shows the token of generation `shown`. The newest brings the family one further, and keeps it until `until`; the one before it brings the same again where it was
    /// replaced less than `grace` ago (an answer that got lost); any older one, or that one later, ends the family.
    fn advance(
        &self,
        family: FamilyId,
        shown: Generation,
        grace: Duration,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Advanced, StoreError>>;

    /// Ends the family.
    fn end_family(&self, family: FamilyId, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Whether the store can be reached.
pub trait Health: Send + Sync {
    /// What the last exchange showed; `None` before the first.
    fn is_reachable(&self) -> Option<bool>;

    /// Asks it now.
    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// The store as the parts of the gateway share it.
#[derive(Clone)]
pub struct Store {
    /// Leases, results, ended sessions.
    pub refreshes: Arc<dyn Refreshes>,
    /// Single use.
    pub one_time: Arc<dyn OneTime>,
    /// One-time codes.
    pub codes: Arc<dyn Codes>,
    /// Limits.
    pub counters: Arc<dyn Counters>,
    /// The gateway's own refresh tokens.
    pub families: Arc<dyn Families>,
    /// Whether it is there.
    pub health: Arc<dyn Health>,
}

impl Store {
    /// One implementation for everything.
    pub fn of<S: Refreshes + OneTime + Codes + Counters + Families + Health + 'static>(store: Arc<S>) -> Self {
        Self {
            refreshes: store.clone(),
            one_time: store.clone(),
            codes: store.clone(),
            counters: store.clone(),
            families: store.clone(),
            health: store,
        }
    }
}

/// `[store]`, validated.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Settings {
    /// In this process; nothing survives it.
    #[default]
    Memory,
    /// In a file of this machine; survives a crash.
    File {
        /// Where.
        path: PathBuf,
    },
    /// In Redis (or something that speaks like it), alone, behind Sentinels, or as a Cluster.
    Redis {
        /// Its address, which may hold a password.
        url: Secret,
    },
    /// In `PostgreSQL`.
    Postgres {
        /// Its address, which may hold a password.
        url: Secret,
    },
}

impl Settings {
    /// The word for it in the file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::File { .. } => "file",
            Self::Redis { .. } => "redis",
            Self::Postgres { .. } => "postgres",
        }
    }
}
