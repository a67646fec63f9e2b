//! Limits: how often something may happen in how long.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{errors::StoreError, ids::Digest};
use crate::clock::Timestamp;

/// At most `most` in `window`, counted under one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// What is counted.
    pub key: Digest,
    /// How many are admitted; at least 1.
    pub most: u32,
    /// In how long; at least 1 s.
    pub window: Duration,
}

/// The answer to a request to count one more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spent {
    /// One more was counted under every key.
    Within,
    /// Nothing was counted: one quota is used up.
    Over {
        /// Its place in the list, from 0.
        which: usize,
        /// When it admits one more, if nothing else is counted.
        again_at: Timestamp,
    },
}

/// Limits. A window's count weighs in the next window by the share of it that is less than a window ago (see
/// `quota.rs`). So no aligned window holds more than its quota, and the border between two windows does not admit twice
/// as many.
pub trait Counters: Send + Sync {
    /// Counts one more under every key, or under none.
    fn spend(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<Spent, StoreError>>;

    /// Takes one back under every key, from what was counted in the window of `now`.
    fn refund(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}
