//! The lease under which one task of the whole fleet asks the authority for a refresh token. It is short, and renewed
//! while the authority is asked, so that the tasks of other instances take over soon after their holder has died.

use std::{convert::Infallible, time::Duration};

use crate::{
    clock::Timestamp,
    session::{digest::digest_of, shared::Shared},
    store::{Digest, Generation, Grant, Holder, Lease, Sid, StoreError},
};

/// How long a lease lasts without renewal.
const LEASE: Duration = Duration::from_secs(4);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(1);
/// The shortest wait for another holder's lease, so that times rounded by the store cause no busy loop.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

/// The lease of one refresh token.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldLease {
    pub(super) sid: Sid,
    pub(super) rt: Digest,
    pub(super) fence: u64,
    /// Until then another holder's call, which never settled, may be answered.
    doubtful_until: Timestamp,
}

/// What asking for the lease resulted in.
pub(super) enum Asked {
    /// The session has ended.
    Ended,
    /// The store has a newer result, or another holder's lease was settled or ran out: look again.
    LookAgain,
    /// The task has the lease.
    Granted(HeldLease),
}

impl Shared {
    /// Asks for the lease of `rt`, or waits until another holder's ends. The task that began with `start` and needs
    /// tokens newer than `known` is the holder: there is one such task in this process at a time, so the next one gets
    /// a lease whose grant was lost on the way.
    pub(super) async fn ask_for_lease(
        &self,
        (start, known): (Digest, Generation),
        (sid, rt, newest): (Sid, Digest, Generation),
    ) -> Result<Asked, StoreError> {
        let refreshes = &self.store.refreshes;
        let of_task = digest_of(&[b"holder", &self.process, &start.0, &known.to_be_bytes()]);
        let mut holder = [0; 16];
        holder.copy_from_slice(&of_task.0[..16]);
        // Subscribed before the lease is asked for, so that no change is missed between the two.
        let change = refreshes.wait(sid, LEASE);
        let was_reachable = !self.is_store_unreachable();
        let mut asked_at = self.now();
        let mut lease = refreshes.lease(sid, rt, newest, Holder(holder), LEASE, asked_at).await;
        if matches!(lease, Err(StoreError::Unavailable(_))) && was_reachable {
            // The connection may have broken after the grant.
            asked_at = self.now();
            lease = refreshes.lease(sid, rt, newest, Holder(holder), LEASE, asked_at).await;
        }
        Ok(match lease? {
            Lease::Ended => Asked::Ended,
            // Read again from the store, because further results may follow this one.
            Lease::Result(_) => Asked::LookAgain,
            Lease::Held(left) => {
                // The end of the wait is no error: the lease ran out, or was prolonged.
                let _ = tokio::time::timeout(left.max(SHORTEST_WAIT), change).await;
                Asked::LookAgain
            }
            Lease::Granted(Grant { fence, doubtful_for }) => {
                Asked::Granted(HeldLease { sid, rt, fence, doubtful_until: asked_at.plus(doubtful_for) })
            }
        })
    }

    /// Waits for `call` and renews `lease` meanwhile. A lost lease does not stop the call: its answer may have the only
    /// valid tokens.
    pub(super) async fn renewing<T>(&self, lease: HeldLease, call: impl Future<Output = T>) -> T {
        let renewals = async {
            loop {
                tokio::time::sleep(RENEWAL).await;
                let HeldLease { sid, rt, fence, .. } = lease;
                if let Err(error) = self.store.refreshes.renew(sid, rt, fence, LEASE, self.now()).await {
                    tracing::warn!(%error, ?sid, "the lease of a refresh was not renewed");
                }
            }
        };
        tokio::select! {
            answer = call => answer,
            never = renewals => match never as Infallible {},
        }
    }

    /// Returns a lease without a result.
    pub(super) async fn release(&self, lease: HeldLease, now: Timestamp) -> Result<(), StoreError> {
        self.store.refreshes.settle(lease.sid, lease.rt, lease.fence, None, now, now).await.map(drop)
    }
}

impl HeldLease {
    /// Whether a refusal at `now` says nothing: another holder's call may have spent the refresh token.
    pub(super) fn is_doubtful(&self, now: Timestamp) -> bool {
        self.doubtful_until > now
    }
}

#[cfg(test)]
mod tests;
