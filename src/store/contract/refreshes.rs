//! Leases on refresh tokens, results of refreshes, and ended sessions.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{
    errors::StoreError,
    ids::{Digest, Generation, Sid},
};
use crate::clock::Timestamp;

/// Results that are kept for one session. A session whose browser has not shown any of more results than this loses the
/// oldest.
pub(in crate::store) const MOST_RESULTS: u16 = 16;
/// Refresh tokens of one session that can be leased at once. An honest browser needs two or three.
pub(in crate::store) const MOST_LEASES: u16 = 16;
/// A lease that ran out can still be settled for at least this long, as long as nobody else was granted it: its result
/// may hold the only valid token. Memory and file keep it for 5 minutes, postgres for an hour.
pub(in crate::store) const LAPSED_LEASE_KEPT: Duration = Duration::from_secs(60);
/// An ended session is known to every instance within this time, as long as the store can be reached.
pub(in crate::store) const END_KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// The result of one refresh: opaque to the store, sealed by the session module.
#[derive(Clone, Debug)]
pub struct StoredResult {
    /// The generation of the tokens in it.
    pub generation: Generation,
    /// The sealed tokens.
    pub sealed: Bytes,
    /// When it was stored.
    pub stored_at: Timestamp,
}

/// The answer to a request for a lease.
#[derive(Debug)]
pub enum Lease {
    /// The caller asks the authority, and settles with this fencing number.
    Granted(u64),
    /// Another holder is asking the authority, at the latest until this moment.
    Held(Timestamp),
    /// There is a result newer than the one the caller knows.
    Result(StoredResult),
    /// The session has ended.
    Ended,
}

/// The answer to the settlement of a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// The result is stored, and everybody who waits for the session is woken.
    Stored,
    /// The session ended meanwhile: nothing was stored.
    Ended,
    /// The lease was lost to another holder: nothing was stored.
    Lost,
}

/// Who may refresh, the results of refreshes, and which sessions have ended. All entries of a session are found by its
/// `sid`, so each method can be one script on one node of a shared store.
pub trait Refreshes: Send + Sync {
    /// Leases the refresh token whose digest is `rt` until `until`, unless the session has ended, a result of a
    /// generation above `known` is stored under `rt`, or another holder has the lease.
    fn lease(
        &self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Lease, StoreError>>;

    /// Prolongs a granted lease until `until`. False if another holder has it by now, or it was settled.
    fn renew(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Gives a lease back with the authority's answer, and wakes everybody who waits for the session. `None` says that
    /// there was no usable answer: an older result stays. The new result stays until `keep_until`. A lease that ran out
    /// is settled like any other as long as nobody else was granted it: its result may hold the only valid token.
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

    /// The browser has shown tokens of `generation`: results of the session up to that generation are kept until
    /// `keep_until` at most.
    fn acknowledge(
        &self,
        sid: Sid,
        generation: Generation,
        keep_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Ends the session: the end is remembered until `until`, its results are dropped, everybody who waits for it is
    /// woken, and every receiver of [`Self::endings`] is told.
    fn end(&self, sid: Sid, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Resolves when a lease of the session was settled or the session ended since the call (not since the first poll),
    /// or after `at_most`. The store need not hold anything for the session.
    fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'_, ()>;

    /// Whether the session has ended, as this process remembers it. Asked for every request, so it neither waits nor
    /// fails.
    fn has_ended(&self, sid: Sid, now: Timestamp) -> bool;

    /// Sessions as they end, on any instance.
    fn endings(&self) -> tokio::sync::broadcast::Receiver<Sid>;
}
