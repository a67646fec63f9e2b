//! Those in this process who wait for something to settle, by session. Whoever learns of a change wakes them; they look again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::sync::Notify;

use super::Sid;

/// Below this many entries those that nobody waits on any more are left where they are.
const SWEEP_ABOVE: usize = 1024;

/// Who waits for which session.
#[derive(Default)]
pub(super) struct Wakes(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    by_sid: HashMap<Sid, Arc<Notify>>,
    /// How many the last sweep left: the next comes at twice as many, so that sweeping costs each wait little.
    left: usize,
}

impl Wakes {
    /// Resolves when `sid` is woken after this call, or after `at_most`.
    pub(super) fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'static, ()> {
        let mut waiting = self.waiting();
        if waiting.by_sid.len() > SWEEP_ABOVE.max(2 * waiting.left) {
            waiting.by_sid.retain(|_, notify| Arc::strong_count(notify) > 1);
            waiting.left = waiting.by_sid.len();
        }
        let change = waiting.by_sid.entry(sid).or_default().clone();
        // Registered now, not when first polled: what settles in between must not be missed.
        let woken = change.notified_owned();
        async move {
            // Out of time or woken: the caller looks again either way.
            let _ = tokio::time::timeout(at_most, woken).await;
        }
        .boxed()
    }

    /// Wakes those who wait for `sid`.
    pub(super) fn wake(&self, sid: Sid) {
        let change = self.waiting().by_sid.remove(&sid);
        if let Some(change) = change {
            change.notify_waiters();
        }
    }

    /// Wakes everyone: something may have been missed.
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
    async fn what_nobody_waits_for_any_more_is_forgotten_and_who_waits_is_not() {
        let wakes = Wakes::default();
        let sid = |number: u32| Sid([number.to_be_bytes(); 4].concat().try_into().unwrap());
        let still = wakes.wait(sid(u32::MAX), Duration::from_secs(3600));
        for number in 0..10_000 {
            wakes.wait(sid(number), Duration::from_millis(1)).await;
        }
        assert!(wakes.waiting().by_sid.len() <= SWEEP_ABOVE + 1);
        wakes.wake(sid(u32::MAX));
        assert!(still.now_or_never().is_some());
    }

    #[tokio::test]
    async fn everyone_is_woken_where_something_may_have_been_missed() {
        let wakes = Wakes::default();
        let waiting = [1, 2].map(|number| wakes.wait(Sid([number; 16]), Duration::from_secs(3600)));
        wakes.wake_all();
        assert!(waiting.into_iter().all(|waiting| waiting.now_or_never().is_some()));
    }
}
