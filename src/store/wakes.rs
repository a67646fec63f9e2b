//! Those in this process who wait for something to settle, by session. Whoever learns of a change wakes them; they look again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::sync::Notify;

use super::Sid;

/// Past this many entries those that nobody waits on are swept.
const SWEEP_ABOVE: usize = 1024;

/// Who waits for which session.
#[derive(Default)]
pub(super) struct Wakes(Mutex<HashMap<Sid, Arc<Notify>>>);

impl Wakes {
    /// Resolves when `sid` is woken after this call, or after `at_most`.
    pub(super) fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'static, ()> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() > SWEEP_ABOVE {
            waiting.retain(|_, notify| Arc::strong_count(notify) > 1);
        }
        let change = waiting.entry(sid).or_default().clone();
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
        if let Some(change) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&sid) {
            change.notify_waiters();
        }
    }

    /// Wakes everyone: something may have been missed.
    pub(super) fn wake_all(&self) {
        for (_, change) in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            change.notify_waiters();
        }
    }
}
