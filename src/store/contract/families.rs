//! Families of opaque rotating refresh tokens, with reuse detection (RFC 9700 section 4.14.2).

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{
    errors::StoreError,
    ids::{FamilyId, Generation},
};
use crate::clock::Timestamp;

/// A family at this generation is not advanced any further: its newest token stays valid.
pub(in crate::store) const LAST_GENERATION: Generation = Generation::MAX;

/// The answer to [`Families::advance`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Advanced {
    /// The token is valid. The successor has this generation, one above the token's.
    To {
        /// The generation of the new token.
        generation: Generation,
        /// The record that was stored with the family.
        record: Bytes,
    },
    /// The token was replaced longer ago than `grace`, so a second party has a copy of it. The family was ended.
    Reused,
    /// There is no such family, it has ended, or the token is of a generation that was never issued.
    Unknown,
}

/// Families of refresh tokens: one for each login, where the gateway itself is the token authority.
pub trait Families: Send + Sync {
    /// Begins a family at generation 0. It ends at `until` unless it is advanced before.
    fn begin(
        &self,
        family: FamilyId,
        record: Bytes,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Uses the token of generation `shown`. The newest token advances the family by one and prolongs it until `until`.
    /// The token before it gets the same answer again if it was replaced less than `grace` ago, because the answer may
    /// have been lost. After `grace`, or with any older token, the family ends.
    fn advance(
        &self,
        family: FamilyId,
        shown: Generation,
        grace: Duration,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Advanced, StoreError>>;

    /// Ends the family; no error if there is none.
    fn end_family(&self, family: FamilyId, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}
