//! The refreshes that this process is running: one for each session, refresh token and generation. Later requests join
//! it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::outcome::{RETRY_AFTER, RefreshOutcome};
use crate::{
    session::grant::Session,
    store::{Digest, Generation, Sid},
};

/// The session, the refresh token that a refresh starts from, and the generation above which its waiters need tokens.
/// The token alone is not enough: backends give one person's sessions, or by mistake all people's, the same one.
type Key = (Sid, Digest, Generation);

/// The refreshes in flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight {
    pending: Arc<Mutex<HashMap<Key, PendingRefresh>>>,
}

/// A refresh that is running or has ended. Clones wait for the same refresh.
#[derive(Clone, Debug)]
pub(crate) struct PendingRefresh(watch::Receiver<Option<RefreshOutcome>>);

/// What the caller of [`InFlight::join_or_begin`] has to do.
pub(super) enum Joined {
    /// Wait: the refresh is already running.
    Running(PendingRefresh),
    /// Run the refresh; when it has ended, drop the guard and then send the outcome.
    Begun { pending: PendingRefresh, guard: InFlightGuard, publish: watch::Sender<Option<RefreshOutcome>> },
}

/// Removes the refresh from the in-flight map when it ends, also on panic. After a panic its waiters see that the
/// sender of the outcome is gone.
pub(super) struct InFlightGuard {
    in_flight: InFlight,
    key: Key,
}

impl InFlight {
    /// The session's running refresh that starts from `rt`, whatever generation its waiters need.
    pub(crate) fn find(&self, sid: Sid, rt: Digest) -> Option<PendingRefresh> {
        self.lock().iter().find(|((of, from, _), _)| (*of, *from) == (sid, rt)).map(|(_, pending)| pending.clone())
    }

    /// Joins the session's refresh from `rt` to a generation above `known`, or adds a new one to the map.
    pub(super) fn join_or_begin(&self, sid: Sid, rt: Digest, known: Generation) -> Joined {
        let key = (sid, rt, known);
        let mut running = self.lock();
        if let Some(pending) = running.get(&key) {
            return Joined::Running(pending.clone());
        }
        let (publish, outcome) = watch::channel(None);
        let pending = PendingRefresh(outcome);
        running.insert(key, pending.clone());
        Joined::Begun { pending, guard: InFlightGuard { in_flight: self.clone(), key }, publish }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, PendingRefresh>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.in_flight.lock().remove(&self.key);
    }
}

impl PendingRefresh {
    /// Waits for the outcome. `Unavailable` if that takes longer than `max_wait`; the refresh continues.
    pub(crate) async fn outcome_within(&self, max_wait: Duration) -> RefreshOutcome {
        let mut outcome = self.0.clone();
        match tokio::time::timeout(max_wait, outcome.wait_for(Option::is_some)).await {
            Ok(Ok(ended)) => ended.clone().unwrap_or(RefreshOutcome::Unavailable(RETRY_AFTER)),
            Ok(Err(_)) | Err(_) => RefreshOutcome::Unavailable(RETRY_AFTER),
        }
    }

    /// The tokens of a refresh that has succeeded.
    pub(crate) fn tokens(&self) -> Option<Arc<Session>> {
        match &*self.0.borrow() {
            Some(RefreshOutcome::Refreshed(session)) => Some(session.clone()),
            Some(
                RefreshOutcome::Ended
                | RefreshOutcome::SignedOut
                | RefreshOutcome::Held(_)
                | RefreshOutcome::TooOften(_)
                | RefreshOutcome::Unavailable(_),
            )
            | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_never_joins_the_refresh_of_another_one_with_the_same_refresh_token() {
        let in_flight = InFlight::default();
        let (rt, [a, b]) = (Digest([7; 32]), [1, 2].map(|n| Sid([n; 16])));
        let begun = in_flight.join_or_begin(a, rt, 0);
        assert!(matches!(begun, Joined::Begun { .. }));
        assert!(matches!(in_flight.join_or_begin(a, rt, 0), Joined::Running(_)));
        assert!(in_flight.find(b, rt).is_none());
        let other = in_flight.join_or_begin(b, rt, 0);
        assert!(matches!(other, Joined::Begun { .. }) && in_flight.find(b, rt).is_some());
        drop(other);
        assert!(in_flight.find(a, rt).is_some() && in_flight.find(b, rt).is_none());
    }
}
