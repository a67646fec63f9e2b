//! Writes that the store did not take: they are tried again until it takes them, or until they no longer matter.

use super::shared::Shared;
use crate::{backoff::Backoff, clock::Timestamp, store::StoreError};

/// Writes that are tried again at one time. Further ones are dropped: what they say then holds on this instance alone.
pub(super) const MOST_PENDING: usize = 10_000;

impl Shared {
    /// Calls `store` with the current time until it succeeds or `until` has passed, and waits
    /// before each try. Its result goes to `done`.
    pub(super) fn store_later<T, F>(
        &self,
        backoff: Backoff,
        until: Timestamp,
        store: impl Fn(Timestamp) -> F + Send + 'static,
        done: impl FnOnce(T) + Send + 'static,
    ) where
        F: Future<Output = Result<T, StoreError>> + Send,
        T: Send,
    {
        let Ok(permit) = self.pending_writes.clone().try_acquire_owned() else { return };
        let (clock, random) = (self.clock.clone(), self.random.clone());
        self.background.spawn(async move {
            let _permit = permit;
            let mut tries = 0;
            while clock.now() < until {
                tokio::time::sleep(backoff.wait(tries, &random)).await;
                if let Ok(stored) = store(clock.now()).await {
                    return done(stored);
                }
                tries += 1;
            }
        });
    }
}
