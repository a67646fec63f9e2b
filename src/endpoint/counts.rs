//! How often something was done lately, counted in the store for all instances: what limits stand on.
//!
//! The counts lie under digests keyed with the first session key: another first key begins them anew.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Timestamp,
    problem::{Problem, ProblemKind},
    seal::MacKey,
    store::{Counters, Digest, Quota, Spent, Store, StoreError},
};

/// So many in so long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// At least one.
    pub most: u32,
    /// At least a second.
    pub window: Duration,
}

impl Rate {
    /// Half as many, but one.
    #[must_use]
    pub fn half(self) -> Self {
        Self { most: (self.most / 2).max(1), ..self }
    }

    /// A tenth as many, but one.
    #[must_use]
    pub fn tenth(self) -> Self {
        Self { most: (self.most / 10).max(1), ..self }
    }
}

/// Why nothing was counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// A limit is reached; another try is worth it after this long.
    #[error("too many")]
    TooMany(Duration),
    /// Nobody knows how many there were.
    #[error("the store does not answer")]
    Store(#[from] StoreError),
}

/// For the limits on wrong guesses; where messages are limited, `otp` has its own words.
impl From<CountError> for Problem {
    fn from(error: CountError) -> Self {
        match error {
            CountError::TooMany(wait) => Self::new(ProblemKind::TooManyGuesses).after(wait),
            CountError::Store(_) => Self::new(ProblemKind::StoreUnavailable).caused_by(error),
        }
    }
}

/// The counts.
pub struct Counts {
    counters: Arc<dyn Counters>,
    key: MacKey,
}

impl Counts {
    /// Counts in `store`, under digests keyed with `key`.
    pub fn new(store: &Store, key: MacKey) -> Self {
        Self { counters: Arc::clone(&store.counters), key }
    }

    /// What `name` says may be done so often.
    pub fn quota(&self, name: &[&[u8]], rate: Rate) -> Quota {
        Quota { key: Digest(self.key.digest(name)), most: rate.most, window: rate.window }
    }

    /// Counts one under each of `quotas`, or under none where one of them is spent.
    pub async fn spend(&self, quotas: Vec<Quota>, now: Timestamp) -> Result<(), CountError> {
        match self.counters.spend(quotas, now).await? {
            Spent::Within => Ok(()),
            Spent::Over { again_at, .. } => Err(CountError::TooMany(again_at.since(now))),
        }
    }

    /// Gives back what was counted at `then`. Where that fails somebody waits a little longer, and nobody gets more than the limits say.
    pub async fn give_back(&self, quotas: Vec<Quota>, then: Timestamp) {
        if let Err(error) = self.counters.refund(quotas, then).await {
            tracing::warn!(%error, "what was counted was not given back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_limit_lets_somebody_through() {
        let rate = |most| Rate { most, window: Duration::from_secs(86_400) };
        assert_eq!((rate(1).half(), rate(5).half(), rate(1000).half()), (rate(1), rate(2), rate(500)));
        assert_eq!((rate(1).tenth(), rate(25).tenth(), rate(1000).tenth()), (rate(1), rate(2), rate(100)));
    }
}
