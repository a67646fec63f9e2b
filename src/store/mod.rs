//! What several requests, and later several instances, must agree on. Four rules hold for every implementation:
//!
//! 1. every call can fail, and a failure never lets anyone in;
//! 2. absence is an `Option` or a variant, not an error;
//! 3. time is passed in: a store has no clock of its own;
//! 4. one call is one atomic step.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::clock::Timestamp;

mod memory;

pub use memory::MemoryStore;

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

    /// Holds a granted lease until `until`. False where it is no longer held.
    fn renew(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Gives a lease back, with what the authority answered (`None`: nothing of use), and wakes those who wait. The result stays until `keep_until`.
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

    /// Resolves when something settled or ended for the session since the call, or after `at_most`.
    fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'_, ()>;

    /// The sessions that have ended, remembered in this process: asked on the request path, so it neither waits nor fails.
    fn has_ended(&self, sid: Sid, now: Timestamp) -> bool;

    /// Sessions as they end, wherever in the fleet that happens.
    fn endings(&self) -> tokio::sync::broadcast::Receiver<Sid>;
}

/// Things that may be used once: login attempts, ID tokens, codes.
pub trait OneTime: Send + Sync {
    /// True for the first taker of `key`; remembered until `until`.
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>>;
}

/// The store as the parts of the gateway share it.
#[derive(Clone)]
pub struct Store {
    /// Leases, results, ended sessions.
    pub refreshes: Arc<dyn Refreshes>,
    /// Single use.
    pub one_time: Arc<dyn OneTime>,
}

/// `[store]`, validated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Settings {
    /// In this process; nothing survives it.
    #[default]
    Memory,
}
