//! What the store has to be told and could not be: told again until it takes it, or until it matters to nobody.

use std::time::Duration;

use super::Inner;
use crate::{clock::Timestamp, store::StoreError};

/// Ends and results that wait to be stored: past that they hold on this instance alone.
pub(super) const MOST_UNSTORED: usize = 10_000;

/// How long to wait before a try: each time twice as long as before.
#[derive(Clone, Copy)]
pub(super) struct Pauses {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl Inner {
    /// Calls `store`, with the time at which it does, until it succeeds or `until` has come; what was stored goes to `done`.
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
        let Ok(place) = self.unstored.clone().try_acquire_owned() else { return };
        let clock = self.clock.clone();
        self.background.spawn(async move {
            let _place = place;
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
