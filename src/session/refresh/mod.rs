//! The refresh of a session's tokens: one at a time for each refresh token, independent of the request that caused it.
//!
//! The store, the authority and the waiting requests are served in this order:
//! 1. A request looks for a refresh in flight from the same refresh token and joins it, or begins one (`in_flight`).
//!    The refresh is a task on the background runtime (`task`): it runs to its end, also if the client disconnects.
//!    Requests wait for it 10 s at most, or 1 s if their access token is still valid.
//! 2. The task follows the results in the store from its refresh token to the newest generation (`results`). If these
//!    tokens suit the request, they are the outcome, and the authority is not asked.
//! 3. Otherwise it waits until it may ask (`gate`): for the end of the hold that its refresh token has after failures,
//!    and while the authority counts as down (`outage`) for its turn to probe or for the first success. What the fleet
//!    knows of the authority is a note in the store (`watch`).
//! 4. Then the task takes the lease of the newest refresh token in the store. One atomic call returns that
//!    the session has ended (the outcome), that there is a newer result (back to step 2), that another task has the
//!    lease (wait for a change or for its end, then back to step 2), or the lease (`lease`).
//! 5. The task asks the authority and renews the lease while the call runs. A refusal ends the session, unless most
//!    sessions are refused (`brake`). A failure holds this refresh token for a while (`hold`).
//! 6. The task stores the result and releases the lease in one atomic call, which also wakes the tasks of other
//!    instances. If the session ended meanwhile, the new tokens are signed out and no request gets them.
//! 7. The task removes itself from the in-flight map, and then all waiting requests of this process get the outcome.

use std::{sync::Arc, time::Duration};

use self::{
    in_flight::{Joined, PendingRefresh},
    outcome::Want,
    task::RefreshTask,
};
use super::{
    grant::{AccessGrant, RefreshGrant},
    shared::Shared,
};
use crate::{
    client::Client,
    clock::Timestamp,
    store::{Generation, Sid},
    telemetry::RefreshResult as Counted,
};

mod brake;
mod forced;
mod gate;
mod hold;
pub(super) mod in_flight;
mod lease;
mod outage;
pub(super) mod outcome;
mod results;
mod task;
#[cfg(test)]
mod tests;
pub(super) mod watch;

/// How long a request whose access token is still valid waits for a refresh.
const WAIT_AHEAD: Duration = Duration::from_secs(1);

impl Shared {
    /// Joins the refresh that starts from `grant`, or begins it. The tokens must be of a generation above
    /// `known`; `old_access` is the request's access token, which is due, expired or rejected.
    /// `patience`: how long the refresh waits until it may ask, if this request begins it.
    pub(super) fn refresh(
        self: &Arc<Self>,
        grant: Arc<RefreshGrant>,
        known: Generation,
        want: Want,
        old_access: Option<Arc<AccessGrant>>,
        client: Client,
        patience: Duration,
    ) -> PendingRefresh {
        let (pending, guard, publish) = match self.in_flight.join_or_begin(grant.login.sid, grant.digest, known) {
            Joined::Running(pending) => {
                self.metrics.refresh(Counted::Joined);
                return pending;
            }
            Joined::Begun { pending, guard, publish } => (pending, guard, publish),
        };
        let task = RefreshTask::new(self.clone(), grant, known, want, old_access, client, patience);
        self.background.spawn(async move {
            let outcome = task.run().await;
            // Removed from the map before the waiters get the outcome: a request after this finds the tokens in the
            // session's state or in the store.
            drop(guard);
            publish.send_replace(Some(outcome));
        });
        pending
    }

    /// How long a request whose access token is still valid waits for a refresh.
    pub(super) fn max_wait_ahead(&self) -> Duration {
        if self.is_store_unreachable() { Duration::ZERO } else { WAIT_AHEAD }
    }

    /// Acknowledges `generation` to the store, in the background, because a request had it: the results before it are
    /// then kept for `refresh_grace` only.
    pub(super) fn acknowledge(&self, sid: Sid, generation: Generation, now: Timestamp) {
        let refreshes = self.store.refreshes.clone();
        let keep_until = now.plus(self.settings.refresh_grace);
        self.background.spawn(async move {
            if let Err(error) = refreshes.acknowledge(sid, generation, keep_until, now).await {
                tracing::debug!(%error, ?sid, "a refresh result was not acknowledged; the store keeps it for a day");
            }
        });
    }
}
