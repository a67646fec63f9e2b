//! Quotas: how often something may happen in a period.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{errors::StoreError, ids::Digest};
use crate::clock::Timestamp;

/// At most `most` events per `window`, counted under one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// The key of the count, for example of an address or a client.
    pub key: Digest,
    /// Events that are admitted per window; at least 1.
    pub most: u32,
    /// The length of a window; at least 1 s.
    pub window: Duration,
}

/// The answer to [`Counters::spend`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spent {
    /// One more was counted under every key.
    Within,
    /// Nothing was counted: one quota is used up.
    Over {
        /// The index of this quota in the list of the call, from 0.
        which: usize,
        /// When this quota admits one more event, if nothing else is counted until then.
        again_at: Timestamp,
    },
}

/// Counts of events. The count of the previous window is added to the current one in proportion to the part of it that
/// is less than one window ago (see `quota.rs`). So no aligned window admits more than its quota, and at the border of
/// two windows a client cannot spend two quotas.
pub trait Counters: Send + Sync {
    /// Counts one more event under every key, or under none if one quota is used up.
    fn spend(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<Spent, StoreError>>;

    /// Subtracts one under every key from the count of the window in which `counted_at` is; never below zero. A key
    /// without a count leaves no entry.
    fn refund(
        &self,
        quotas: Vec<Quota>,
        counted_at: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>>;
}
