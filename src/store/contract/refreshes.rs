//! Leases on refresh tokens, results of refreshes, and ended sessions.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{
    errors::StoreError,
    ids::{Digest, Generation, Holder, Sid},
};
use crate::clock::Timestamp;

/// Stored results per session; beyond this the oldest is removed. Only a browser that acknowledges none of them reaches
/// this.
pub(in crate::store) const MOST_RESULTS: u16 = 16;
/// Refresh tokens of one session that can be leased at once. A browser needs two or three.
pub(in crate::store) const MOST_LEASES: u16 = 16;
/// A lease that ran out can still be settled for at least this long, unless another caller was granted it: its result
/// may contain the only valid refresh token. `memory` and `file` keep it for 5 minutes, `postgres` for an hour.
pub(in crate::store) const LAPSED_LEASE_KEPT: Duration = Duration::from_secs(60);
/// A holder's call to the authority can be answered for this long after the lease was granted: the deadline of that
/// call.
pub(in crate::store) const HOLDER_MAY_ANSWER: Duration = Duration::from_secs(60);
/// Every instance learns that a session has ended within this time, as long as the store can be reached.
pub(in crate::store) const END_KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// The result of one refresh: opaque to the store, sealed by the session module.
#[derive(Clone, Debug)]
pub struct StoredResult {
    /// The generation of the tokens in it.
    pub generation: Generation,
    /// The sealed tokens.
    pub sealed: Bytes,
    /// The `now` of the call that stored it.
    pub stored_at: Timestamp,
}

/// The answer to [`Refreshes::lease`].
#[derive(Debug)]
pub enum Lease {
    /// The caller has the lease: it asks the authority, and settles.
    Granted(Grant),
    /// Another holder has the lease; unless it is prolonged, it ends after this time.
    Held(Duration),
    /// There is a result newer than the one the caller knows.
    Result(StoredResult),
    /// The session has ended.
    Ended,
}

/// A granted lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The fencing number, with which the lease is prolonged and settled.
    pub fence: u64,
    /// For this long the call of an earlier holder that never settled may still be answered. A refusal within this
    /// time says nothing about the session: that call may have spent the refresh token. Zero if there was none.
    pub doubtful_for: Duration,
}

/// The answer to [`Refreshes::settle`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// The result is stored, and all tasks that wait for the session are woken.
    Stored,
    /// The session ended meanwhile: nothing was stored.
    Ended,
    /// The lease was granted to another holder meanwhile, and there was no result to store, or there is one that is at
    /// least as new: nothing was stored.
    Lost,
}

/// Leases of refresh tokens, results of refreshes, and ended sessions. All entries of a session are stored under its
/// `sid`, so each method can be one script on one node of a shared store.
pub trait Refreshes: Send + Sync {
    /// Leases the refresh token whose digest is `rt` to `holder` for the time `lasting`, unless the session has ended,
    /// a result of a generation above `known` is stored under `rt`, or another holder has the lease. A holder that asks
    /// again, because the answer was lost, gets its lease with the same fencing number.
    fn lease(
        &self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        holder: Holder,
        lasting: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Lease, StoreError>>;

    /// Prolongs a granted lease: it ends `lasting` from now. False if another holder has the lease now, or it was
    /// settled.
    fn renew(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        lasting: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Returns a lease with the authority's answer, and wakes all tasks that wait for the session. `None` means that
    /// there was no usable answer: an older result stays. The new result is kept until `keep_until`. A result is stored
    /// also if the lease has ended or another holder has it, unless one of this or a later generation is stored: it may
    /// contain the only valid refresh token.
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

    /// Records that a request carried tokens of `generation`: results of the session up to this generation are kept
    /// until `keep_until` at most.
    fn acknowledge(
        &self,
        sid: Sid,
        generation: Generation,
        keep_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Ends the session: the end is remembered until `until`, its results are removed, all tasks that wait for it are
    /// woken, and its id is sent to every receiver of [`Self::endings`].
    fn end(&self, sid: Sid, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Resolves when a lease of the session is settled or the session ends after this call (not after the first poll),
    /// or after `at_most`. The session need not have entries in the store.
    fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'_, ()>;

    /// Whether the session has ended, from this process's memory. Called for every request, so it neither waits nor
    /// fails.
    fn has_ended(&self, sid: Sid, now: Timestamp) -> bool;

    /// The sessions that end after this call, on any instance.
    fn endings(&self) -> tokio::sync::broadcast::Receiver<Sid>;
}
