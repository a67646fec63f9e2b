//! How often `POST /refresh` may make the authority be asked: counted per session, for the fleet.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    session::{digest::digest_of, shared::Shared},
    store::{Quota, Sid, Spent},
};

/// Refreshes that `POST /refresh` may cause per session and [`WINDOW`].
const MOST: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);

impl Shared {
    /// Counts a refresh that `POST /refresh` asks for; the time until one is admitted if there were too many. `now` is
    /// of the store's clock. While the store is away this instance counts alone.
    pub(super) async fn forced_too_often(&self, sid: Sid, now: Timestamp) -> Option<Duration> {
        let quota = Quota { key: digest_of(&[b"forced refreshes", &sid.0]), most: MOST, window: WINDOW };
        match self.store.counters.spend(vec![quota], now).await {
            Ok(Spent::Within) => None,
            Ok(Spent::Over { again_at, .. }) => Some(again_at.since(now)),
            Err(error) => {
                tracing::debug!(%error, ?sid, "a forced refresh was not counted in the store: this instance counts alone");
                let state = self.states.find(sid)?;
                state.forced_too_often(MOST as usize, WINDOW, now)
            }
        }
    }
}
