//! Writes that the store did not take: they are tried again until it takes them, or until they no longer matter.

use std::time::Duration;

use super::shared::Shared;
use crate::{clock::Timestamp, store::StoreError};

/// Writes that are tried again at one time. Further ones are dropped: what they say then holds on this instance alone.
pub(super) const MOST_PENDING: usize = 10_000;

/// The pause before each try: it doubles from `first` to `longest`.
#[derive(Clone, Copy)]
pub(super) struct Pauses {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl Shared {
    /// Calls `store` with the current time until it succeeds or `until` has passed. Its result goes to `done`.
    pub(super) fn store_later<T, F>(
        &self,
        pauses: Pauses,
        until: Timestamp,
        store: impl Fn(Timestamp) -> F + Send + 'static,
        done: impl FnOnce(T) + Send + 'static,
    ) where
        F: Future<Output = Result<T, StoreError>> + Send,
        T: Send,
    {
        let Ok(permit) = self.pending_writes.clone().try_acquire_owned() else { return };
        let clock = self.clock.clone();
        self.background.spawn(async move {
            let _permit = permit;
            let mut pause = pauses.first;
            while clock.now() < until {
                tokio::time::sleep(pause).await;
                if let Ok(stored) = store(clock.now()).await {
                    return done(stored);
                }
                pause = (pause * 2).min(pauses.longest);
            }
        });
    }
}
