//! The counts that limits need: how often something was done within a window, counted in the store for all instances.
//!
//! Their keys in the store are digests keyed with the first session key; a new first key starts all counts at 0.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Timestamp,
    problem::{Problem, ProblemKind},
    seal::MacKey,
    store::{Counters, Digest, Quota, Spent, Store, StoreError},
};

/// A limit: a number within a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// The highest number within the window; at least 1.
    pub most: u32,
    /// The window; at least 1 s.
    pub window: Duration,
}

impl Rate {
    /// Half as many; at least 1.
    #[must_use]
    pub fn half(self) -> Self {
        Self { most: (self.most / 2).max(1), ..self }
    }

    /// A tenth as many; at least 1.
    #[must_use]
    pub fn tenth(self) -> Self {
        Self { most: (self.most / 10).max(1), ..self }
    }
}

/// Why nothing was counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// A limit is reached; the time until the window has room again.
    #[error("a limit is reached")]
    TooMany(Duration),
    /// The store does not answer.
    #[error("the store does not answer")]
    Store(#[from] StoreError),
}

/// For limits on wrong guesses; `otp` converts its limits on messages itself.
impl From<CountError> for Problem {
    fn from(error: CountError) -> Self {
        match error {
            CountError::TooMany(wait) => Self::new(ProblemKind::TooManyGuesses).after(wait),
            CountError::Store(_) => Self::new(ProblemKind::StoreUnavailable).caused_by(error),
        }
    }
}

/// Counts in one store, under one key.
pub struct Counts {
    counters: Arc<dyn Counters>,
    key: MacKey,
}

impl Counts {
    /// Counts in `store`, under digests keyed with `key`.
    pub fn new(store: &Store, key: MacKey) -> Self {
        Self { counters: Arc::clone(&store.counters), key }
    }

    /// The quota with that name; its parts are hashed separately.
    pub fn quota(&self, name: &[&[u8]], rate: Rate) -> Quota {
        Quota { key: Digest(self.key.digest(name)), most: rate.most, window: rate.window }
    }

    /// Adds one to each of `quotas`, or to none if one of them is used up.
    pub async fn spend(&self, quotas: Vec<Quota>, now: Timestamp) -> Result<(), CountError> {
        match self.counters.spend(quotas, now).await? {
            Spent::Within => Ok(()),
            Spent::Over { again_at, .. } => Err(CountError::TooMany(again_at.since(now))),
        }
    }

    /// Undoes a count that was made at `then`. If the store fails, the count stays one too high until the window has
    /// passed.
    pub async fn give_back(&self, quotas: Vec<Quota>, then: Timestamp, now: Timestamp) {
        if let Err(error) = self.counters.refund(quotas, then, now).await {
            tracing::warn!(%error, "the store did not undo a count: it stays one too high until its window has passed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_and_a_tenth_of_a_rate_are_at_least_one() {
        let rate = |most| Rate { most, window: Duration::from_secs(86_400) };
        assert_eq!((rate(1).half(), rate(5).half(), rate(1000).half()), (rate(1), rate(2), rate(500)));
        assert_eq!((rate(1).tenth(), rate(25).tenth(), rate(1000).tenth()), (rate(1), rate(2), rate(100)));
    }
}
