//! What is to be written, in order, from the calls that changed something to the one thread that writes.

use std::{
    collections::BTreeMap,
    future::Future,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::super::{StoreError, memory::journal::Key};

/// Records that may wait to be written; past that nothing new is begun. Deletions do not count: there are at most as many as there is in memory.
const MOST_WAITING: usize = 65_536;
/// How long a call waits for its write before it gives up on it.
const DEADLINE: Duration = Duration::from_secs(10);

/// The newest value of each key that changed; `None`: it is no longer.
pub(super) type Changes = BTreeMap<Key, Option<Vec<u8>>>;

/// Between the calls and the writer.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    came: Condvar,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct Waiting {
    changes: Changes,
    records: usize,
    /// How often something was pushed.
    pushed: u64,
    /// How much of that the writer has taken.
    taken: u64,
    closed: bool,
}

/// How far the writer is, in pushes.
#[derive(Clone, Copy, Default)]
struct Progress {
    written: u64,
    attempted: u64,
}

/// What the writer takes at once.
pub(super) struct Batch {
    pub(super) changes: Changes,
    /// The number of its last push.
    upto: u64,
    /// Nothing comes after it.
    pub(super) is_last: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self { waiting: Mutex::default(), came: Condvar::new(), progress: watch::Sender::new(Progress::default()) }
    }
}

impl Queue {
    pub(super) fn push(&self, key: Key, value: Option<Vec<u8>>) {
        let mut waiting = self.waiting();
        waiting.records += usize::from(value.is_some());
        waiting.changes.insert(key, value);
        waiting.pushed += 1;
        drop(waiting);
        self.came.notify_one();
    }

    /// Has the writer write, be it nothing.
    pub(super) fn try_out(&self) {
        self.waiting().pushed += 1;
        self.came.notify_one();
    }

    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.came.notify_one();
    }

    /// Whether the last attempt to write succeeded.
    pub(super) fn is_well(&self) -> bool {
        let progress = *self.progress.borrow();
        progress.written >= progress.attempted
    }

    pub(super) fn admits(&self) -> Result<(), StoreError> {
        if !self.is_well() {
            return Err(away("the file cannot be written"));
        }
        if self.waiting().records >= MOST_WAITING {
            return Err(away("the file is too slow"));
        }
        Ok(())
    }

    /// Resolves when all that has been pushed so far was written, or an attempt at it failed.
    pub(super) fn written(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        let upto = self.waiting().pushed;
        let mut progress = self.progress.subscribe();
        async move {
            let attempt = async { progress.wait_for(|progress| progress.attempted >= upto).await.map(|p| *p) };
            match tokio::time::timeout(DEADLINE, attempt).await {
                Ok(Ok(progress)) if progress.written >= upto => Ok(()),
                Ok(Ok(_)) => Err(away("the file cannot be written")),
                Ok(Err(_)) => Err(away("the file was closed")),
                Err(_) => Err(away("the file is too slow")),
            }
        }
    }

    /// Waits for something to write; no longer than `at_most`, where that is given.
    pub(super) fn next(&self, at_most: Option<Duration>) -> Batch {
        let is_idle = |waiting: &mut Waiting| waiting.pushed == waiting.taken && !waiting.closed;
        let waiting = self.waiting();
        let mut waiting = match at_most {
            None => self.came.wait_while(waiting, is_idle).unwrap_or_else(PoisonError::into_inner),
            Some(at_most) => {
                self.came.wait_timeout_while(waiting, at_most, is_idle).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        waiting.taken = waiting.pushed;
        waiting.records = 0;
        Batch { changes: mem::take(&mut waiting.changes), upto: waiting.pushed, is_last: waiting.closed }
    }

    /// Tells those who wait how an attempt went that covered everything up to `batch`.
    pub(super) fn attempted(&self, batch: &Batch, is_written: bool) {
        self.progress.send_modify(|progress| {
            progress.attempted = batch.upto;
            if is_written {
                progress.written = batch.upto;
            }
        });
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn away(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}
