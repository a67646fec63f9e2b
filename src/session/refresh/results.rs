//! Refresh results in the store: sealed with a key derived from the old refresh token, so that only a request with that
//! token can open them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    backoff::Backoff,
    clock::Timestamp,
    seal::Purpose,
    session::{
        grant::{RefreshGrant, Session},
        sealed::{SealedAccess, SealedRefresh, SealedResult},
        shared::Shared,
    },
    store::{Digest, Generation, Sid, StoreError, StoredResult},
};

/// The waits before the tries to store a result. They are short because other instances may wait for it.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));

impl Shared {
    /// Follows the results in the store from `grant` to the newest generation above `known`. `None` if there is none.
    pub(crate) async fn newest_stored(
        &self,
        grant: &Arc<RefreshGrant>,
        known: Generation,
    ) -> Result<Option<Arc<Session>>, StoreError> {
        let (mut grant, mut known, mut newest) = (grant.clone(), known, None);
        while let Some(result) = self.store.refreshes.result(grant.login.sid, grant.digest, self.now()).await?
            && result.generation > known
        {
            let Some(session) = self.open_result(&grant, &result) else {
                tracing::error!(
                    sid = ?grant.login.sid,
                    "a refresh result in the store does not open: check that all instances have the same session keys"
                );
                break;
            };
            known = result.generation;
            if let Some(next) = &session.refresh {
                grant = next.clone();
            }
            newest = Some(session);
        }
        Ok(newest)
    }

    /// Stores a result when the store is reachable again, unless another instance has taken the lease meanwhile. An
    /// instance that waits for the lease then finds the result instead of using a spent refresh token.
    pub(super) fn settle_later(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        result: (Generation, Bytes),
        kept_until: Timestamp,
    ) {
        let refreshes = self.store.refreshes.clone();
        let settle = move |now| {
            let (refreshes, result) = (refreshes.clone(), result.clone());
            async move { refreshes.settle(sid, rt, fence, Some(result), kept_until, now).await }
        };
        self.store_later(("the result of a refresh", sid), BACKOFF, kept_until, settle, move |settled| {
            tracing::info!(?sid, ?settled, "a refresh result was stored at a later try");
        });
    }

    pub(super) fn seal_result(&self, from: &RefreshGrant, session: &Session) -> String {
        let result = SealedResult {
            access: SealedAccess::of(&session.access).expect("a refreshed access token has a login"),
            refresh: session.refresh.as_deref().map(SealedRefresh::of),
        };
        let plain =
            zeroize::Zeroizing::new(serde_json::to_vec(&result).expect("a result is made of strings and numbers"));
        self.ring.seal(Purpose::Result(&from.token), &plain, |_| 1)
    }

    fn open_result(&self, from: &RefreshGrant, stored: &StoredResult) -> Option<Arc<Session>> {
        let plain = self.ring.open(Purpose::Result(&from.token), &stored.sealed, 1).ok()?;
        let result: SealedResult = serde_json::from_slice(&plain).ok()?;
        let access = result.access.open(&self.settings)?;
        self.session(access, result.refresh.map(SealedRefresh::open), stored.stored_at)
    }
}
