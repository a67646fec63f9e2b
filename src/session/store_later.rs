//! Failed writes to the store: they are tried again until they succeed or are no longer needed.

use super::shared::Shared;
use crate::{
    backoff::Backoff,
    clock::Timestamp,
    store::{Sid, StoreError},
};

/// Most failed writes that wait for another try. Further ones are dropped and logged: other instances never see them.
pub(super) const MOST_PENDING: usize = 10_000;

impl Shared {
    /// Waits and calls `store` with the current time, until it succeeds or `until` has passed. `done` gets its result.
    /// `what` of the session `sid` is written: the log names it if there are too many writes.
    pub(super) fn store_later<T, F>(
        &self,
        (what, sid): (&'static str, Sid),
        backoff: Backoff,
        until: Timestamp,
        store: impl Fn(Timestamp) -> F + Send + 'static,
        done: impl FnOnce(T) + Send + 'static,
    ) where
        F: Future<Output = Result<T, StoreError>> + Send,
        T: Send,
    {
        let Ok(permit) = self.pending_writes.clone().try_acquire_owned() else {
            tracing::error!(
                what,
                ?sid,
                most = MOST_PENDING,
                "a write to the store failed and is dropped, because too many wait for another try: other instances \
                 never see it"
            );
            return;
        };
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
