//! The tasks of this process that wait for a session's lease to be settled. They are woken when it is settled or the
//! session ends, on this instance or another, and then ask the store again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::sync::Notify;

use super::contract::Sid;

/// Number of entries above which entries without waiters are removed.
const SWEEP_ABOVE: usize = 1024;

/// The waiting tasks, by session.
#[derive(Default)]
pub(super) struct Waiters(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    by_sid: HashMap<Sid, Arc<Notify>>,
    /// Entries left by the last sweep. The next sweep is at twice as many, so its cost per wait stays constant.
    left: usize,
}

impl Waiters {
    /// Resolves when [`Self::wake`] is called for `sid` after this call, or after `at_most`.
    pub(super) fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'static, ()> {
        let mut waiting = self.waiting();
        if waiting.by_sid.len() > SWEEP_ABOVE.max(2 * waiting.left) {
            waiting.by_sid.retain(|_, notify| Arc::strong_count(notify) > 1);
            waiting.left = waiting.by_sid.len();
        }
        let change = waiting.by_sid.entry(sid).or_default().clone();
        // Registered now, not at the first poll: a settlement in between must not be missed.
        let woken = change.notified_owned();
        async move {
            // A timeout is not an error: the caller asks the store again in both cases.
            let _ = tokio::time::timeout(at_most, woken).await;
        }
        .boxed()
    }

    /// Wakes the tasks that wait for `sid`.
    pub(super) fn wake(&self, sid: Sid) {
        let change = self.waiting().by_sid.remove(&sid);
        if let Some(change) = change {
            change.notify_waiters();
        }
    }

    /// Wakes every waiting task: a settlement may have been missed.
    pub(super) fn wake_all(&self) {
        for (_, change) in self.waiting().by_sid.drain() {
            change.notify_waiters();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn entries_without_waiters_are_removed_and_a_waiter_is_still_woken() {
        let waiters = Waiters::default();
        let sid = |number: u32| Sid([number.to_be_bytes(); 4].concat().try_into().unwrap());
        let still = waiters.wait(sid(u32::MAX), Duration::from_secs(3600));
        for number in 0..10_000 {
            waiters.wait(sid(number), Duration::from_millis(1)).await;
        }
        assert!(waiters.waiting().by_sid.len() <= SWEEP_ABOVE + 1);
        waiters.wake(sid(u32::MAX));
        assert!(still.now_or_never().is_some());
    }

    #[tokio::test]
    async fn wake_all_wakes_the_waiters_of_every_session() {
        let waiters = Waiters::default();
        let waiting = [1, 2].map(|number| waiters.wait(Sid([number; 16]), Duration::from_secs(3600)));
        waiters.wake_all();
        assert!(waiting.into_iter().all(|waiting| waiting.now_or_never().is_some()));
    }
}
