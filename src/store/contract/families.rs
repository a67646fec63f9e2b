//! Families of opaque rotating refresh tokens, with reuse detection (RFC 9700 section 4.14.2).

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{
    errors::StoreError,
    ids::{FamilyId, Generation},
};
use crate::clock::Timestamp;

/// A family that has come so far is not advanced any further: its newest token stays valid.
pub(in crate::store) const LAST_GENERATION: Generation = Generation::MAX;

/// The answer to a refresh token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Advanced {
    /// The family is at this generation now: one above the generation of the token that was shown.
    To {
        /// The generation of the new token.
        generation: Generation,
        /// The record that was stored with the family.
        record: Bytes,
    },
    /// The token was replaced longer ago than the grace: somebody else has it too. The family is ended.
    Reused,
    /// There is no such family, or it has ended.
    Unknown,
}

/// Families of refresh tokens: one family for each login at the gateway as the token authority.
pub trait Families: Send + Sync {
    /// Begins a family at generation 0; it ends at `until`.
    fn begin(
        &self,
        family: FamilyId,
        record: Bytes,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Shows the token of generation `shown`. The newest token advances the family by one, and prolongs it until
    /// `until`. The token before it gives the same answer again if it was replaced less than `grace` ago: the answer
    /// may have been lost. Any older token, or that one later, ends the family.
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
